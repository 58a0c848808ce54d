//! End to end, in one binary. What goes where:
//!
//! - `cache`: compiled code on disk: used, not trusted, swept.
//! - `cli`: the command as a process: what it says, refuses, and how it ends.
//! - `loading`: what a component may be, and what a refused one is told.
//! - `smoke`: one request through everything.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod cache;
mod cli;
mod loading;
mod smoke;
