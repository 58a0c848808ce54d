//! End to end, in one binary. What goes where:
//!
//! - `smoke`: one request through everything.
//! - `start_response`: when it may be called, and what becomes of status and headers.
//! - `head_checks`: what it checks of them, in which order.
//! - `write`: the body as an application gives it, against the length it announced.
//! - `framing`: how a response is framed for its client, and how a transfer breaks off.
//! - `blocks`: blocks on their way: none held back, large bodies in bounded memory.
//! - `lifecycle`: `close`, and what a client that goes away does to a guest.
//! - `faults`: what a guest does wrong, what the client sees of it and what the log says.
//! - `bounds_of_time`: the queue for an instance, the timeouts, and slow clients.
//! - `isolation`: what a guest has of the world, and what it can write to the log.
//! - `limits`: what a guest may hand to the host, and make it keep.
//! - `recorder`: what middleware learns of a wrapped application's `start-response`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod blocks;
mod bounds_of_time;
mod faults;
mod framing;
mod head_checks;
mod isolation;
mod lifecycle;
mod limits;
mod recorder;
mod smoke;
mod start_response;
mod write;
