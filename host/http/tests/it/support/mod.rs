//! A server with a service made for tests, a client that sends raw bytes, and places to look.

mod client;
mod server;
mod service;
mod watched;

use std::time::{Duration, Instant};

pub(crate) use client::{Client, Ended};
pub(crate) use server::TestServer;
pub(crate) use service::{TestService, large};
pub(crate) use watched::{Events, Sink};

/// Longer than anything that is to happen takes, shorter than anybody's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// A request with a body of announced length.
pub(crate) fn post(target: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Measures how long something takes.
pub(crate) fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (what(), start.elapsed())
}

/// Milliseconds.
pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
