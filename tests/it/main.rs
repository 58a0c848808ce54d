//! End to end, in one binary. What goes where:
//!
//! - `smoke`: one request through everything.
//! - `environ`: the variables of a request, one by one.
//! - `headers`: what header fields become.
//! - `mounts`: which app a path reaches, and its URL as the app sees it.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod environ;
mod headers;
mod mounts;
mod smoke;
