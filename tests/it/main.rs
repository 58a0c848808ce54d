//! End to end, in one binary. What goes where:
//!
//! - `blocks`: blocks on their way: none held back, large bodies in bounded memory.
//! - `environ`: the variables of a request, one by one.
//! - `head_checks`: what it checks of them, in which order.
//! - `headers`: what header fields become.
//! - `mounts`: which app a path reaches, and its URL as the app sees it.
//! - `response_framing`: how a response is framed for its client, and how a transfer breaks off.
//! - `smoke`: one request through everything.
//! - `start_response`: when it may be called, and what becomes of status and headers.
//! - `target`: request targets and Host.
//! - `write`: the body as an application gives it, against the length it announced.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod blocks;
mod environ;
mod head_checks;
mod headers;
mod mounts;
mod response_framing;
mod smoke;
mod start_response;
mod target;
mod write;
