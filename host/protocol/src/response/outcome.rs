//! What a step of an [`Exchange`](super::Exchange) answers: to the host (what to send, what
//! to log) and to the application (what it did wrong).

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::{StatusCode, response};

/// What the host must now send, in this order.
#[derive(Debug)]
#[must_use = "what is not sent is lost"]
pub enum Send {
    /// Nothing is due.
    Nothing,
    /// The head.
    Head(Head),
    /// Bytes of the body; never empty.
    Block(Bytes),
    /// The head, and at once the first bytes of the body.
    HeadAndBlock(Head, Bytes),
}

impl Send {
    pub(crate) fn of(head: Option<Head>, block: Bytes) -> Send {
        match head {
            Some(head) if block.is_empty() => Send::Head(head),
            Some(head) => Send::HeadAndBlock(head, block),
            None if block.is_empty() => Send::Nothing,
            None => Send::Block(block),
        }
    }

    /// The same as a pair, for callers that treat the two alike.
    pub fn into_parts(self) -> (Option<Head>, Option<Bytes>) {
        match self {
            Send::Nothing => (None, None),
            Send::Head(head) => (Some(head), None),
            Send::Block(block) => (None, Some(block)),
            Send::HeadAndBlock(head, block) => (Some(head), Some(block)),
        }
    }
}

/// A response head that passed all checks.
#[derive(Debug)]
pub struct Head {
    /// Status and fields; a [`Reason`] among the extensions if the application's reason
    /// phrase is not the usual one. The version is not set.
    pub parts: response::Parts,
    /// How long the body will be.
    pub length: Length,
    /// The end of the connection is the end of the body: HTTP/1.0 and the length unknown
    /// (S47). Else a body of unknown length is chunked.
    pub close_delimited: bool,
}

/// The length of a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Content-Length bytes.
    Known(u64),
    /// Chunked, or until the connection closes.
    Unknown,
    /// No body whatever the fields say: HEAD, 204, 304.
    None,
}

/// The application's reason phrase as bytes, in the extensions of a response head.
///
/// Absent if it is the usual phrase of its status; empty if the application gave none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(pub Bytes);

/// Why `start-response.start` failed. Texts are excerpts, for the application to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// A second call without `exc-info` (S29).
    AlreadyStarted,
    /// A call with `exc-info` after the head was sent (S28). The exchange is aborted.
    HeadersSent,
    /// The status is not `NNN reason`, or below 200 (protocol 1.4.3).
    BadStatus(String),
    /// The name is not an RFC 9110 token (1.4.5).
    BadHeaderName(String),
    /// The value has control characters (1.4.6); carries the name.
    BadHeaderValue(String),
    /// A code point above U+00FF (S60), in the field of this name or in `status`.
    NotLatin1(String),
    /// The field is about the connection (S33).
    HopByHop(String),
    /// Content-Length is not a number, or differs from another one (1.4.7).
    BadContentLength(String),
    /// More fields or bytes than [`ResponseLimits`](super::ResponseLimits) (1.4.4).
    TooLarge,
    /// The client went away, or the host gave the request up.
    Disconnected,
}

/// Why `writer.write` failed. Nothing of its block was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The block does not fit into the announced length any more (S45).
    ContentLengthExceeded,
    /// The returned body has begun, or the response is complete (A13).
    BodyStarted,
    /// The exchange was aborted.
    Aborted,
    /// The client went away.
    Disconnected,
}

/// Why a returned body cannot be sent, or not to its end. A fault of the application,
/// but for [`Broken::Aborted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The body began or ended without a valid `start` (S44).
    NotStarted,
    /// The body ended before its announced length (S46). If the head was not sent yet
    /// (see [`head_sent`](super::Exchange::head_sent)) it is not, and an error page can be.
    TooShort {
        /// Content-Length.
        announced: u64,
        /// What the application gave of it.
        sent: u64,
    },
    /// The exchange was aborted, or the client went away.
    Aborted,
}

/// Something that is worth a line in the log but no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A body was given for a status that has none (204, 304), and dropped.
    BodyDropped(StatusCode),
    /// The body was longer than its Content-Length, and cut off (S45).
    Truncated {
        /// Content-Length.
        announced: u64,
    },
    /// A status of 600 and above (1.4.3).
    UnusualStatus(u16),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::AlreadyStarted => f.write_str("start was called again without exc-info"),
            StartError::HeadersSent => f.write_str("the response head has already been sent"),
            StartError::BadStatus(status) => write!(f, "{status:?} is not a status"),
            StartError::BadHeaderName(name) => write!(f, "{name:?} is not a header name"),
            StartError::BadHeaderValue(name) => {
                write!(f, "the value of {name:?} has control characters")
            }
            StartError::NotLatin1(place) => write!(f, "{place:?} has a code point above U+00FF"),
            StartError::HopByHop(name) => write!(f, "{name:?} is a hop-by-hop header"),
            StartError::BadContentLength(value) => write!(f, "{value:?} is not a Content-Length"),
            StartError::TooLarge => f.write_str("the response head is too large"),
            StartError::Disconnected => f.write_str("the client went away"),
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteError::ContentLengthExceeded => "more bytes than the announced Content-Length",
            WriteError::BodyStarted => "write was called after the returned body began",
            WriteError::Aborted => "the response was aborted",
            WriteError::Disconnected => "the client went away",
        })
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::NotStarted => f.write_str("the body came without a call of start-response"),
            Broken::TooShort { announced, sent } => {
                write!(
                    f,
                    "the body ended after {sent} of {announced} announced bytes"
                )
            }
            Broken::Aborted => f.write_str("the response was aborted"),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::BodyDropped(status) => {
                write!(f, "a body was dropped: status {} has none", status.as_u16())
            }
            Notice::Truncated { announced } => {
                write!(
                    f,
                    "the body was cut off at its Content-Length of {announced}"
                )
            }
            Notice::UnusualStatus(code) => write!(f, "status {code} is outside of 200 to 599"),
        }
    }
}

impl Error for StartError {}
impl Error for WriteError {}
impl Error for Broken {}
