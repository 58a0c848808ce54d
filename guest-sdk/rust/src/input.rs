//! `wsgi.input`: the body of the request, for reading.

use alloc::vec::Vec;
#[cfg(feature = "std")]
use std::io::{self, BufRead, Read};

use crate::IoError;
use crate::raw::types;

/// How much [`BufRead`] asks for at a time, in bytes.
#[cfg(feature = "std")]
const BUFFER: u64 = 16 * 1024;

/// The body of the request, as it arrives.
///
/// Its methods are those of PEP 3333 with the errors of the gateway; for the
/// rest of the Rust world it is a [`Read`] and a [`BufRead`]. All share one
/// position. It always ends: read to the end and ignore `CONTENT_LENGTH`
/// (`docs/protocol.md`, 2.2).
///
/// Only [`BufRead`]'s own methods read ahead. What they hold belongs to this
/// value, and another handle to the same stream does not see it.
#[derive(Debug)]
pub struct Input {
    raw: types::Input,
    /// What [`BufRead`](std::io::BufRead) read ahead and has not given out: `ahead[position..]`.
    ahead: Vec<u8>,
    position: usize,
}

impl Input {
    /// Wraps a handle of [`raw`](crate::raw).
    pub fn from_raw(raw: types::Input) -> Self {
        Self {
            raw,
            ahead: Vec::new(),
            position: 0,
        }
    }

    /// The handle itself. It does not see what [`BufRead`] read ahead.
    pub fn as_raw(&self) -> &types::Input {
        &self.raw
    }

    /// The handle itself. What [`BufRead`] read ahead is lost.
    pub fn into_raw(self) -> types::Input {
        self.raw
    }

    /// A body made of these bytes, for tests and middleware.
    pub fn of_bytes(data: &[u8]) -> Self {
        Self::from_raw(types::Input::of_bytes(data))
    }

    /// All the rest (`S19`).
    ///
    /// # Errors
    ///
    /// As [`read_size`](Self::read_size). What arrived before is lost with it.
    pub fn read_rest(&mut self) -> Result<Vec<u8>, IoError> {
        self.read_up_to(None)
    }

    /// Exactly `size` bytes unless the body ends first. Empty is the end.
    ///
    /// # Errors
    ///
    /// The client has gone, is too slow, sent more than the host allows, or
    /// broke the transfer coding.
    pub fn read_size(&mut self, size: u64) -> Result<Vec<u8>, IoError> {
        self.read_up_to(Some(size))
    }

    /// At least one byte unless the body has ended, at most `max`: whatever is
    /// there, for streaming. Empty is the end.
    ///
    /// # Errors
    ///
    /// As [`read_size`](Self::read_size).
    pub fn read_some(&mut self, max: u64) -> Result<Vec<u8>, IoError> {
        if self.position < self.ahead.len() {
            return Ok(self.take_ahead(max));
        }
        self.raw.read_some(max)
    }

    /// One line with its `\n`, or its first `size` bytes if it is longer; the
    /// last may lack the `\n`. Empty is the end (`S21`).
    ///
    /// # Errors
    ///
    /// As [`read_size`](Self::read_size).
    pub fn next_line(&mut self, size: Option<u64>) -> Result<Vec<u8>, IoError> {
        let ahead = &self.ahead[self.position..];
        let max = size.unwrap_or(u64::MAX);
        let newline = ahead.iter().position(|&byte| byte == b'\n');
        let wanted = newline.map_or(u64::MAX, |at| at as u64 + 1).min(max);
        let mut line = self.take_ahead(wanted);
        if newline.is_some() || line.len() as u64 >= max {
            return Ok(line);
        }
        let more = self
            .raw
            .read_line(size.map(|size| size - line.len() as u64))?;
        join(&mut line, more);
        Ok(line)
    }

    /// Lines of together about `hint` bytes, or all of them (`S22`).
    ///
    /// # Errors
    ///
    /// As [`read_size`](Self::read_size).
    pub fn next_lines(&mut self, hint: Option<u64>) -> Result<Vec<Vec<u8>>, IoError> {
        let mut lines = Vec::new();
        let mut total = 0;
        while self.position < self.ahead.len() {
            let line = self.next_line(None)?;
            total += line.len() as u64;
            lines.push(line);
            if hint.is_some_and(|hint| hint > 0 && total >= hint) {
                return Ok(lines);
            }
        }
        lines.append(
            &mut self
                .raw
                .read_lines(hint.map(|hint| hint.saturating_sub(total)))?,
        );
        Ok(lines)
    }

    fn read_up_to(&mut self, size: Option<u64>) -> Result<Vec<u8>, IoError> {
        let mut data = self.take_ahead(size.unwrap_or(u64::MAX));
        let missing = size.map(|size| size - data.len() as u64);
        if missing == Some(0) {
            return Ok(data);
        }
        let more = self.raw.read(missing)?;
        join(&mut data, more);
        Ok(data)
    }

    fn skip(&mut self, count: usize) {
        self.position = (self.position + count).min(self.ahead.len());
    }

    fn take_ahead(&mut self, max: u64) -> Vec<u8> {
        let ahead = &self.ahead[self.position..];
        let count = usize::try_from(max).map_or(ahead.len(), |max| max.min(ahead.len()));
        let taken = ahead[..count].to_vec();
        self.skip(count);
        taken
    }
}

/// Appends without a copy where nothing was there yet.
fn join(data: &mut Vec<u8>, more: Vec<u8>) {
    if data.is_empty() {
        *data = more;
    } else {
        data.extend_from_slice(&more);
    }
}

/// Reads what is there, as a socket does: fewer bytes than asked for are not
/// the end, none is.
#[cfg(feature = "std")]
impl Read for Input {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if target.is_empty() {
            return Ok(0);
        }
        let data = self.read_some(target.len() as u64).map_err(to_io)?;
        let count = data.len().min(target.len());
        target[..count].copy_from_slice(&data[..count]);
        Ok(count)
    }

    fn read_to_end(&mut self, target: &mut Vec<u8>) -> io::Result<usize> {
        let data = self.read_rest().map_err(to_io)?;
        let count = data.len();
        join(target, data);
        Ok(count)
    }
}

#[cfg(feature = "std")]
impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position >= self.ahead.len() {
            self.ahead = self.raw.read_some(BUFFER).map_err(to_io)?;
            self.position = 0;
        }
        Ok(&self.ahead[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.skip(count);
    }
}

#[cfg(feature = "std")]
fn to_io(error: IoError) -> io::Error {
    let kind = match error {
        IoError::Disconnected => io::ErrorKind::ConnectionAborted,
        IoError::TimedOut => io::ErrorKind::TimedOut,
        IoError::TooLarge => io::ErrorKind::FileTooLarge,
        IoError::Malformed => io::ErrorKind::InvalidData,
        IoError::Other(_) => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_errors() {
        let cases = [
            (IoError::Disconnected, io::ErrorKind::ConnectionAborted),
            (IoError::TimedOut, io::ErrorKind::TimedOut),
            (IoError::TooLarge, io::ErrorKind::FileTooLarge),
            (IoError::Malformed, io::ErrorKind::InvalidData),
            (IoError::Other(String::new()), io::ErrorKind::Other),
        ];
        for (error, kind) in cases {
            let converted = to_io(error.clone());
            assert_eq!(converted.kind(), kind);
            let inner = converted.get_ref().and_then(|inner| inner.downcast_ref());
            assert_eq!(inner, Some(&error));
        }
    }
}
