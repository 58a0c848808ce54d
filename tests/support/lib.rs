//! What the end-to-end tests share: a real server on a free port ([`TestApp`]), a client that sends
//! bytes as they are ([`Client`]), and what was logged ([`log`]).
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]
#![allow(missing_docs, reason = "read by the tests beside it; the names say it")]

#[cfg(target_os = "linux")]
pub mod alone;
#[cfg(target_os = "linux")]
pub mod browser;
pub mod client;
pub mod command;
pub mod crowd;
pub mod guests;
pub mod log;
pub mod metrics;
#[cfg(target_os = "linux")]
pub mod nginx;
pub mod python;
pub mod raw;
pub mod script;
pub mod server;
pub mod vars;
pub mod visitor;

pub use client::{Client, Response};
pub use guests::{conformance_guest, guest};
pub use python::{plain_python_component, python_component};
pub use server::{TestApp, TestServer};
pub use vars::Vars;
pub use visitor::Visitor;

use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

/// How long a test waits for what should happen at once: long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition, not for a time.
pub async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A place that only one test at a time has: for those that take the whole machine, so that they
/// do not spoil each other.
pub async fn whole_machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::const_new(());
    MACHINE.lock().await
}
