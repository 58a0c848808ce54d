//! `start-response` as a state machine: what an application said, what may still change,
//! and what is to be sent now.
//!
//! ```text
//!  Idle --start--> Set --first block, write, or end--> Sent --end--> Done
//!                   ^ start with exc-info replaces      start with exc-info aborts
//! ```
//!
//! It sends nothing itself: every step returns what is due, as a [`Send`].

mod check;
mod outcome;

#[cfg(test)]
mod tests;

pub use outcome::{Broken, Head, Length, Notice, Reason, Send, StartError, WriteError};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, SERVER};
use http::{HeaderValue, Method, StatusCode, Version, request, response};

use crate::body::Tally;
use check::{Checked, check_head};

/// How large a response head may be (protocol 1.4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseLimits {
    /// Number of header fields.
    pub fields: usize,
    /// Status and field lines together, in bytes: each name, colon, blank and value.
    pub header_section: usize,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        ResponseLimits {
            fields: 128,
            header_section: 64 * 1024,
        }
    }
}

/// What about a request decides how its response is framed (protocol 1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKind {
    /// The method is HEAD: a head as for GET, and no body.
    pub head: bool,
    /// HTTP/1.0 has no chunked coding.
    pub version: Version,
}

impl RequestKind {
    /// That of a request.
    pub fn of(parts: &request::Parts) -> Self {
        RequestKind {
            head: parts.method == Method::HEAD,
            version: parts.version,
        }
    }
}

/// One response, from the first call of `start-response` to its last byte.
///
/// The host calls [`start`](Exchange::start) and [`write`](Exchange::write) when the
/// application does. What the application returned is [`empty`](Exchange::empty),
/// [`whole`](Exchange::whole), or a row of [`block`](Exchange::block) while
/// [`wants_more`](Exchange::wants_more), then [`finish`](Exchange::finish).
#[derive(Debug)]
pub struct Exchange {
    kind: RequestKind,
    limits: ResponseLimits,
    server: Option<HeaderValue>,
    /// `start` was called, well or badly. Never unset (S29, S30).
    started: bool,
    /// The head as it stands, until it is sent.
    set: Option<Checked>,
    /// The status of the head that is set or was sent.
    status: Option<StatusCode>,
    sent: bool,
    tally: Tally,
    phase: Phase,
    end: End,
    notices: Vec<Notice>,
}

/// Where the application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Calling,
    Returned,
    Iterating,
}

/// How the exchange ended, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Done,
    Aborted,
    Disconnected,
}

impl Exchange {
    /// An exchange in which nothing has happened. `server` is the Server field for
    /// applications that set none (S34).
    pub fn new(kind: RequestKind, limits: ResponseLimits, server: Option<HeaderValue>) -> Self {
        Exchange {
            kind,
            limits,
            server,
            started: false,
            set: None,
            status: None,
            sent: false,
            tally: Tally::default(),
            phase: Phase::Calling,
            end: End::Open,
            notices: Vec::new(),
        }
    }

    /// `start-response.start`: the checks of protocol 1.4, in their order. Nothing is sent
    /// (S26). `exc_info` says whether the application gave an exception.
    ///
    /// A call with `exc_info` replaces all that was set before, also if it then fails
    /// (S27): who wanted to replace a head must not see it sent.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. [`StartError::HeadersSent`] aborts the exchange (S28).
    pub fn start<'a>(
        &mut self,
        status: &str,
        headers: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
        exc_info: bool,
    ) -> Result<(), StartError> {
        if self.started && !exc_info {
            return Err(StartError::AlreadyStarted);
        }
        if self.sent {
            self.abort();
            return Err(StartError::HeadersSent);
        }
        if self.end != End::Open {
            return Err(StartError::Disconnected);
        }
        // Before anything can fail, so that after a bad first call only one with an
        // exception is accepted (S30).
        self.started = true;
        self.set = None;
        self.status = None;

        let checked = check_head(status, headers, &self.limits)?;
        if checked.status.as_u16() >= 600 {
            self.notice(Notice::UnusualStatus(checked.status.as_u16()));
        }
        self.status = Some(checked.status);
        self.set = Some(checked);
        Ok(())
    }

    /// `writer.write`: the first one sends the head, even if its block is empty (S26).
    /// A writer of an earlier `start` writes here too (S49).
    ///
    /// A block beyond the announced length is refused whole: the application learns of it
    /// and can still write the part that fits (S45).
    ///
    /// # Errors
    ///
    /// See [`WriteError`]. [`WriteError::Aborted`] also after a later `start` failed, and
    /// with it there is no head to send.
    pub fn write(&mut self, block: Bytes) -> Result<Send, WriteError> {
        match self.end {
            End::Disconnected => return Err(WriteError::Disconnected),
            End::Aborted => return Err(WriteError::Aborted),
            End::Done => return Err(WriteError::BodyStarted),
            End::Open if self.phase == Phase::Iterating => return Err(WriteError::BodyStarted),
            End::Open => {}
        }
        let Some(status) = self.status else {
            return Err(WriteError::Aborted);
        };
        let tally = self.current_tally();
        if self.has_body(status) && tally.room_for(block.len()) < block.len() {
            return Err(WriteError::ContentLengthExceeded);
        }
        let head = self.take_head(None);
        Ok(Send::of(head, self.admit(block)))
    }

    /// The application returned a body. Writing is still allowed: only from inside of the
    /// body it would be out of turn.
    pub fn returned(&mut self) {
        if self.phase == Phase::Calling {
            self.phase = Phase::Returned;
        }
    }

    /// The host is about to call the body's first `next`. From now on
    /// [`write`](Exchange::write) is [`WriteError::BodyStarted`] (A13).
    pub fn iteration_began(&mut self) {
        self.phase = Phase::Iterating;
    }

    /// The application returned one block as its body: all that is left to send, and the
    /// end. If nothing was written before, its length is the Content-Length (S40), for
    /// HEAD too unless it is empty, which then says nothing about what GET would send.
    ///
    /// # Errors
    ///
    /// See [`Broken`]. With [`Broken::TooShort`] nothing of the block was sent.
    pub fn whole(&mut self, block: Bytes) -> Result<Send, Broken> {
        let status = match self.end {
            End::Done => return Ok(Send::Nothing),
            End::Aborted | End::Disconnected => return Err(Broken::Aborted),
            End::Open => self.status.ok_or(Broken::NotStarted)?,
        };
        self.iteration_began();
        let mut tally = self.current_tally();
        tally.add(tally.room_for(block.len()));
        if self.has_body(status)
            && let Some(announced) = tally.missing()
        {
            self.abort();
            return Err(Broken::TooShort {
                announced,
                sent: tally.sent,
            });
        }
        let says_length = !block.is_empty() || !self.kind.head;
        let head = self.take_head(says_length.then_some(block.len() as u64));
        let block = self.admit(block);
        self.end = End::Done;
        Ok(Send::of(head, block))
    }

    /// The application returned no body. As [`whole`](Exchange::whole) with an empty block:
    /// Content-Length is 0 unless the application gave one (S47).
    ///
    /// # Errors
    ///
    /// See [`Broken`].
    pub fn empty(&mut self) -> Result<Send, Broken> {
        self.whole(Bytes::new())
    }

    /// A block of the returned body, from `next` or from a host body. An empty one sends
    /// nothing and needs no head (S26). What exceeds the announced length is cut off (S45).
    ///
    /// # Errors
    ///
    /// See [`Broken`].
    pub fn block(&mut self, block: Bytes) -> Result<Send, Broken> {
        match self.end {
            End::Open => {}
            End::Done => return Ok(Send::Nothing),
            End::Aborted | End::Disconnected => return Err(Broken::Aborted),
        }
        self.iteration_began();
        if block.is_empty() {
            return Ok(Send::Nothing);
        }
        if self.status.is_none() {
            return Err(Broken::NotStarted);
        }
        let head = self.take_head(None);
        Ok(Send::of(head, self.admit(block)))
    }

    /// Whether to ask the returned body for another block: not once the announced length
    /// was sent (S45), nor once a head without a body was (HEAD, 204, 304), nor after the end.
    pub fn wants_more(&self) -> bool {
        match (self.end, self.status) {
            (End::Open, Some(status)) if self.sent => {
                self.has_body(status) && !self.tally.is_full()
            }
            (End::Open, _) => true,
            _ => false,
        }
    }

    /// The returned body is exhausted, or [`wants_more`](Exchange::wants_more) no longer.
    /// Sends the head if that is still due, with Content-Length 0 (S47).
    ///
    /// # Errors
    ///
    /// See [`Broken`].
    pub fn finish(&mut self) -> Result<Send, Broken> {
        self.whole(Bytes::new())
    }

    /// The response cannot be completed. If its head was sent the transfer must end in a
    /// way the client notices. A response that is complete stays so: what fails in
    /// `close` comes too late to spoil it.
    pub fn abort(&mut self) {
        if self.end == End::Open {
            self.end = End::Aborted;
        }
    }

    /// The client went away.
    pub fn disconnect(&mut self) {
        self.end = End::Disconnected;
    }

    /// Whether the head was given out to be sent; then an error page is too late.
    pub fn head_sent(&self) -> bool {
        self.sent
    }

    /// Whether the exchange was aborted, by [`StartError::HeadersSent`] say.
    pub fn is_aborted(&self) -> bool {
        self.end == End::Aborted
    }

    /// The status of the head that is set or was sent.
    pub fn started(&self) -> Option<StatusCode> {
        self.status
    }

    /// Bytes of the body given out to be sent.
    pub fn body_sent(&self) -> u64 {
        self.tally.sent
    }

    /// What the log should know and the application got away with. Each once.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn has_body(&self, status: StatusCode) -> bool {
        !self.kind.head && status_has_body(status)
    }

    /// The count so far, or the one that the head which is set would start.
    fn current_tally(&self) -> Tally {
        match &self.set {
            Some(checked) => Tally::new(checked.content_length),
            None => self.tally,
        }
    }

    /// The head, once. `computed` is a Content-Length for applications that gave none.
    fn take_head(&mut self, computed: Option<u64>) -> Option<Head> {
        let Checked {
            status,
            reason,
            mut headers,
            content_length,
        } = self.set.take()?;
        let has_body = self.has_body(status);
        let content_length = match status {
            StatusCode::NO_CONTENT => None,
            // What a GET that is not answered by 304 would get is not known here.
            StatusCode::NOT_MODIFIED => content_length,
            _ => content_length.or(computed),
        };
        // `check_head` has left its place for it, if the application gave one.
        match content_length {
            Some(length) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            None => {
                headers.remove(CONTENT_LENGTH);
            }
        }
        if let Some(server) = self.server.take()
            && !headers.contains_key(SERVER)
        {
            headers.insert(SERVER, server);
        }
        let length = match content_length {
            _ if !has_body => Length::None,
            Some(length) => Length::Known(length),
            None => Length::Unknown,
        };
        self.sent = true;
        self.tally = Tally::new(content_length);

        let mut parts = empty_parts();
        parts.status = status;
        parts.headers = headers;
        if let Some(reason) = reason {
            parts.extensions.insert(reason);
        }
        Some(Head {
            parts,
            length,
            close_delimited: length == Length::Unknown && self.kind.version < Version::HTTP_11,
        })
    }

    /// What of a block is sent; counts it.
    fn admit(&mut self, mut block: Bytes) -> Bytes {
        let Some(status) = self.status else {
            return Bytes::new();
        };
        if !self.has_body(status) {
            if !block.is_empty() && !self.kind.head {
                self.notice(Notice::BodyDropped(status));
            }
            return Bytes::new();
        }
        let room = self.tally.room_for(block.len());
        if let Some(announced) = self.tally.announced
            && room < block.len()
        {
            self.notice(Notice::Truncated { announced });
            block.truncate(room);
        }
        self.tally.add(block.len());
        block
    }

    fn notice(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }
}

fn status_has_body(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// `response::Parts` has no constructor of its own.
fn empty_parts() -> response::Parts {
    http::Response::new(()).into_parts().0
}
