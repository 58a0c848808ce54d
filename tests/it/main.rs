//! End to end, in one binary. What goes where:
//!
//! - `smoke`: one request through everything.
//! - `start_response`: when it may be called, and what becomes of status and headers.
//! - `head_checks`: what it checks of them, in which order.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod head_checks;
mod smoke;
mod start_response;
