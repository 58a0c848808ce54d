//! The server through real sockets, byte by byte where it matters. One binary; a module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on is a test that fails"
)]

mod support;

/// What a well-behaved client sees: framing, persistence, pipelining.
mod messages;

/// Heads that are refused, by hyper and by us.
mod heads;

/// Request bodies: limits, times, Expect, smuggling.
mod bodies;

/// Blocks that are larger than what is sent at once.
mod blocks;

/// Answers that break off.
mod aborts;

/// Slow heads, resting connections, clients that do not read.
mod timeouts;

/// Clients that leave.
mod disconnects;

/// Answers survive the close.
mod closing;

/// One line a request.
mod access_log;

/// Accepting, unix sockets, too many connections.
mod listening;

/// The end of a server.
mod draining;
