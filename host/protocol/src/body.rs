//! Bodies as bytes that were counted: [`InputBuffer`] hands out what has arrived of a
//! request body, [`Tally`] keeps a response body to the length it announced.
//!
//! Neither waits for anything: who owns the stream feeds them.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;

use bytes::{Bytes, BytesMut};

/// What has arrived of a request body and was not read yet (protocol 2.2).
///
/// All ways of reading share it, so they can be mixed. Each either gives bytes, the empty
/// ones at the end of the body (for ever after, S20), or says [`NeedMore`]: nothing was
/// taken, [`push`](InputBuffer::push) or [`end`](InputBuffer::end), then ask again.
///
/// What arrives while nothing waits to be read is handed out as slices of what was pushed.
/// What has to wait is copied together: a piece may be a small part of a large buffer, which
/// it would keep alive. So what waits takes about as much memory as it has bytes. Each byte is
/// looked at once in the search for line ends, however small the pieces in which a line arrives.
#[derive(Clone, Debug, Default)]
pub struct InputBuffer {
    pieces: VecDeque<Bytes>,
    /// What came after `pieces`, in the making of the next one.
    tail: BytesMut,
    /// What still fits into that.
    room: usize,
    len: usize,
    ended: bool,
    scan: Scan,
}

/// How far the search for a line end has come: no newline is before this place.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    piece: usize,
    offset: usize,
    /// The same place, counted from the front.
    total: usize,
}

/// More input is needed to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedMore;

/// The sizes of the pieces that are copied together: small ones, and large ones once so much waits.
/// Allocators keep what is smaller than about half a MiB for the thread that asked for it, and what is
/// larger goes back to the system when it is freed. A piece is there until its last byte is read.
const TAIL: usize = 16 * 1024;
const MUCH: usize = 8 * TAIL;
const LARGE_TAIL: usize = 1024 * 1024;

impl InputBuffer {
    /// An empty buffer of a body that has not ended.
    pub fn new() -> Self {
        InputBuffer::default()
    }

    /// The whole of a body.
    pub fn of_bytes(data: Bytes) -> Self {
        let mut buffer = InputBuffer::new();
        buffer.push(data);
        buffer.end();
        buffer
    }

    /// Appends what arrived. After [`end`](InputBuffer::end) there is nothing to append to,
    /// and it is ignored.
    pub fn push(&mut self, data: Bytes) {
        if self.ended || data.is_empty() {
            return;
        }
        let first = self.len == 0;
        self.len += data.len();
        if first {
            self.pieces.push_back(data);
            return;
        }
        let mut rest = &data[..];
        while !rest.is_empty() {
            if self.tail.is_empty() {
                self.room = match self.len {
                    0..MUCH => TAIL,
                    _ => LARGE_TAIL,
                };
                self.tail = BytesMut::with_capacity(self.room);
            }
            let (now, later) = rest.split_at(rest.len().min(self.room));
            self.tail.extend_from_slice(now);
            self.room -= now.len();
            rest = later;
            if self.room == 0 {
                self.close_tail();
            }
        }
    }

    /// The body ends here.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether [`end`](InputBuffer::end) was called.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Bytes that have arrived and were not read.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `read(size)`: exactly so many bytes unless the body ends before; none means the
    /// rest of it (S19). Size 0 never needs more.
    pub fn take_exact(&mut self, size: Option<u64>) -> Result<Bytes, NeedMore> {
        match size.map(clamp) {
            Some(size) if size <= self.len => Ok(self.take(size)),
            _ if self.ended => Ok(self.take(self.len)),
            _ => Err(NeedMore),
        }
    }

    /// `read-some(max)`: at least one byte unless the body has ended, at most `max`.
    pub fn take_some(&mut self, max: u64) -> Result<Bytes, NeedMore> {
        let max = clamp(max);
        if max == 0 || self.len == 0 {
            let answered = max == 0 || self.ended;
            return if answered {
                Ok(Bytes::new())
            } else {
                Err(NeedMore)
            };
        }
        let first = self.pieces.front().map_or(self.tail.len(), Bytes::len);
        Ok(self.take(max.min(first)))
    }

    /// `readline(limit)`: up to and with the next newline, but no more than `limit` bytes;
    /// the last line of a body may lack its newline. Limit 0 never needs more (S21).
    pub fn take_line(&mut self, limit: Option<u64>) -> Result<Bytes, NeedMore> {
        let limit = limit.map_or(usize::MAX, clamp);
        if let Some(size) = self.find_line_end(limit) {
            return Ok(self.take(size));
        }
        if self.len >= limit {
            Ok(self.take(limit))
        } else if self.ended {
            Ok(self.take(self.len))
        } else {
            Err(NeedMore)
        }
    }

    /// The length of the first line, newline included, if it ends within `limit` bytes.
    fn find_line_end(&mut self, limit: usize) -> Option<usize> {
        while self.scan.total < limit {
            let piece: &[u8] = match self.pieces.get(self.scan.piece) {
                Some(piece) => piece,
                None if self.scan.piece == self.pieces.len() => &self.tail,
                None => return None,
            };
            let unseen = piece.get(self.scan.offset..).unwrap_or_default();
            let within = &unseen[..unseen.len().min(limit - self.scan.total)];
            if let Some(at) = within.iter().position(|byte| *byte == b'\n') {
                // Not moved past: the newline is taken now, and with it the place.
                return Some(self.scan.total + at + 1);
            }
            self.scan.total += within.len();
            self.scan.offset += within.len();
            if within.len() < unseen.len() || self.scan.piece == self.pieces.len() {
                return None;
            }
            self.scan.piece += 1;
            self.scan.offset = 0;
        }
        None
    }

    /// Takes `size` bytes, which must be there.
    fn take(&mut self, size: usize) -> Bytes {
        if size == 0 {
            return Bytes::new();
        }
        if self.pieces.is_empty() {
            self.close_tail();
        }
        let first = self.pieces.front().map_or(0, Bytes::len);
        if size <= first {
            return self.take_from_front(size);
        }
        let mut joined = BytesMut::with_capacity(size);
        while joined.len() < size && self.len > 0 {
            if self.pieces.is_empty() {
                self.close_tail();
            }
            let first = self.pieces.front().map_or(0, Bytes::len);
            let part = self.take_from_front(first.min(size - joined.len()));
            joined.extend_from_slice(&part);
        }
        joined.freeze()
    }

    /// Takes `size` bytes of the first piece, which must hold them.
    fn take_from_front(&mut self, size: usize) -> Bytes {
        let Some(front) = self.pieces.front_mut() else {
            return Bytes::new();
        };
        let whole = size >= front.len();
        let taken = if whole {
            self.pieces.pop_front().unwrap_or_default()
        } else {
            front.split_to(size)
        };
        self.len -= taken.len();

        let scan = &mut self.scan;
        scan.total = scan.total.saturating_sub(taken.len());
        match (scan.piece.checked_sub(1), whole) {
            (Some(before), true) => scan.piece = before,
            // The place was in a later piece, and still is.
            (Some(_), false) => {}
            (None, true) => scan.offset = 0,
            (None, false) => scan.offset = scan.offset.saturating_sub(taken.len()),
        }
        taken
    }

    /// Makes a piece of the tail. Its index stays what it was.
    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
    }
}

/// Sizes beyond the address space mean: as much as there is.
fn clamp(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

impl fmt::Display for NeedMore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more input is needed")
    }
}

impl Error for NeedMore {}

/// How much of an announced length was sent (S45, S46).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Content-Length, if there is one.
    pub(crate) announced: Option<u64>,
    /// Bytes of the body that were sent.
    pub(crate) sent: u64,
}

impl Tally {
    pub(crate) fn new(announced: Option<u64>) -> Self {
        Tally { announced, sent: 0 }
    }

    /// How many of `len` further bytes may be sent.
    pub(crate) fn room_for(&self, len: usize) -> usize {
        match self.announced {
            None => len,
            Some(announced) => {
                let left = announced.saturating_sub(self.sent);
                usize::try_from(left).map_or(len, |left| left.min(len))
            }
        }
    }

    pub(crate) fn add(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len as u64);
    }

    /// Whether the announced length was reached; never without one.
    pub(crate) fn is_full(&self) -> bool {
        self.announced
            .is_some_and(|announced| self.sent >= announced)
    }

    /// The announced length, if it was not reached.
    pub(crate) fn missing(&self) -> Option<u64> {
        self.announced.filter(|announced| self.sent < *announced)
    }
}

#[cfg(test)]
mod tests;
