//! End to end, in one binary. What goes where:
//!
//! - `smoke`: one request through everything.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod smoke;
