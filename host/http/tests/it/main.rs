//! The server through real sockets, byte by byte where it matters. One binary; a module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on is a test that fails"
)]

mod support;

mod messages; // what a well-behaved client sees: framing, persistence, pipelining
mod heads; // heads that are refused, by hyper and by us
mod bodies; // request bodies: limits, times, Expect, smuggling
mod aborts; // answers that break off
mod timeouts; // slow heads, resting connections, clients that do not read
mod disconnects; // clients that leave
mod closing; // answers survive the close
mod access_log; // one line a request
mod listening; // accepting, unix sockets, too many connections
mod draining; // the end of a server
