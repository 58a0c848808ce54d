//! `start_response` and the `write` it returns.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
#[cfg(feature = "std")]
use std::io;

use crate::held::Held;
use crate::raw::types;
use crate::{Error, Result, StartError, WriteError};

/// The callable that begins the response (`S25`).
///
/// Nothing is sent by it: status and headers wait for the first block that is
/// not empty, for the first [`write`](Writer::write_block), or for the end of
/// the body (`S26`). It may be called late, from inside the body's iterator: it
/// is owned and can be moved there (`S42`).
#[derive(Debug)]
pub struct StartResponse(Held<types::StartResponse>);

impl StartResponse {
    /// Wraps a handle of [`raw`](crate::raw).
    pub fn from_raw(start_response: types::StartResponse) -> Self {
        Self(Held::new(start_response))
    }

    /// Wraps what came with the request.
    pub(crate) fn of_request(start_response: types::StartResponse) -> Self {
        Self(Held::of_request(start_response))
    }

    /// The handle itself.
    pub fn as_raw(&self) -> &types::StartResponse {
        &self.0
    }

    /// The handle itself, for middleware that passes it on.
    pub fn into_raw(self) -> types::StartResponse {
        self.0.into_raw()
    }

    /// Sets status and headers, such as `"200 OK"` and
    /// `&[("Content-Type", "text/plain")]`.
    ///
    /// # Errors
    ///
    /// What the host refuses (`docs/protocol.md`, 1.4): a second call, a status
    /// or a header that HTTP does not allow. After a refused call only
    /// [`restart`](Self::restart) is accepted (`S29`, `S30`).
    pub fn start(&self, status: &str, headers: &[(&str, &str)]) -> Result<Writer, StartError> {
        self.start_with_exc_info(status, headers, None)
    }

    /// Replaces status and headers because of an error (`S27`): what
    /// `start_response(status, headers, exc_info)` is in PEP 3333.
    ///
    /// # Errors
    ///
    /// When the headers are out already there is nothing to replace: the given
    /// error comes back, to be raised again by `?` (`S28`, `A10`). What else the
    /// host refuses comes as a [`StartError`].
    pub fn restart(
        &self,
        status: &str,
        headers: &[(&str, &str)],
        failure: &Error,
    ) -> Result<Writer> {
        match self.start_with_exc_info(status, headers, Some(failure)) {
            Ok(writer) => Ok(writer),
            Err(StartError::HeadersSent) => Err(failure.clone()),
            Err(other) => Err(other.into()),
        }
    }

    /// The plain call of the host, with or without an error.
    ///
    /// # Errors
    ///
    /// What the host refuses, as [`start`](Self::start) and also
    /// [`StartError::HeadersSent`].
    pub fn start_with_exc_info(
        &self,
        status: &str,
        headers: &[(&str, &str)],
        exc_info: Option<&Error>,
    ) -> Result<Writer, StartError> {
        let headers: Vec<types::Header> = headers
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        self.start_with_headers(status, &headers, exc_info)
    }

    /// The same for a list of headers that is owned already.
    ///
    /// # Errors
    ///
    /// As [`start_with_exc_info`](Self::start_with_exc_info).
    pub fn start_with_headers(
        &self,
        status: &str,
        headers: &[types::Header],
        exc_info: Option<&Error>,
    ) -> Result<Writer, StartError> {
        self.0
            .start(status, headers, exc_info.map(Error::as_exception))
            .map(|writer| Writer(Held::of(&self.0, writer)))
    }
}

/// The `write` callable that [`StartResponse::start`] returns.
///
/// It is for code that can only push. Whoever can, returns a
/// [`Body`](crate::Body) instead, and never calls `write` from inside it
/// (`A13`).
#[derive(Debug)]
pub struct Writer(Held<types::Writer>);

impl Writer {
    /// Wraps a handle of [`raw`](crate::raw).
    pub fn from_raw(writer: types::Writer) -> Self {
        Self(Held::new(writer))
    }

    /// The handle itself.
    pub fn as_raw(&self) -> &types::Writer {
        &self.0
    }

    /// Sends one block of the body and returns once it is sent or queued to be
    /// sent (`S48`). The first call sends the headers, an empty block too.
    ///
    /// # Errors
    ///
    /// The client has gone, the announced `Content-Length` is exceeded, the
    /// returned body began, or the response was aborted.
    pub fn write_block(&self, block: &[u8]) -> Result<(), WriteError> {
        self.0.write(block)
    }
}

/// Each call is a block of its own, so that `write!` sends one for each piece of
/// its format: wrap it in a [`std::io::BufWriter`].
#[cfg(feature = "std")]
impl io::Write for Writer {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        match self.0.write(block) {
            Ok(()) => Ok(block.len()),
            Err(error) => Err(io::Error::new(kind_of(&error), error)),
        }
    }

    /// A block is never held back: there is nothing to do.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "std")]
fn kind_of(error: &WriteError) -> io::ErrorKind {
    match error {
        WriteError::Disconnected => io::ErrorKind::BrokenPipe,
        WriteError::Aborted => io::ErrorKind::ConnectionAborted,
        WriteError::ContentLengthExceeded => io::ErrorKind::InvalidInput,
        WriteError::BodyStarted | WriteError::Other(_) => io::ErrorKind::Other,
    }
}
