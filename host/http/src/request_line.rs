//! The beginning of a head as it came, for the log of heads that never become a request.

use std::time::Duration;

use http::StatusCode;
use wasm_gw_protocol::RequestId;

/// The beginning of a head, kept for the log: hyper takes a head out of its buffer before it refuses
/// some of them, and what is left there then is not the head but what the client sent behind it.
#[derive(Default)]
pub(crate) struct RequestLine {
    pub(crate) bytes: Vec<u8>,
    room: usize,
}

impl RequestLine {
    /// Room for the method, the blanks and the version beside a target.
    const AROUND: usize = 128;

    pub(crate) fn begin(&mut self, bytes: &[u8], target: usize) {
        self.bytes.clear();
        self.room = target.saturating_add(Self::AROUND);
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
        self.extend(&bytes[start.unwrap_or(bytes.len())..]);
    }

    /// Takes what belongs to the line, its end included, while there is room.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.room == 0 {
            return;
        }
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let taken = &bytes[..end.map_or(bytes.len(), |end| end + 1).min(self.room)];
        self.bytes.extend_from_slice(taken);
        self.room = if end.is_some() {
            0
        } else {
            self.room - taken.len()
        };
    }
}

/// A refused head, for the access log.
pub(crate) struct RefusedLine<'a> {
    pub(crate) method: Option<&'a [u8]>,
    pub(crate) target: Option<&'a [u8]>,
    pub(crate) status: StatusCode,
    pub(crate) bytes: u64,
    pub(crate) id: &'a RequestId,
    pub(crate) wall: Duration,
    pub(crate) aborted: bool,
}
