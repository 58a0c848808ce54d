//! One run of load: what was measured, and whether it may be quoted.

use serde::Serialize;

/// What was measured of a server in one run of load.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Run {
    /// Requests a second that were answered.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) requests: u64,
    /// Requests that failed, or that had no answer when patience ended.
    pub(crate) failed: u64,
    /// Why the run must not be quoted.
    pub(crate) problem: Option<String>,
}

impl Run {
    /// A run that came to nothing.
    pub(crate) fn none(why: impl Into<String>) -> Self {
        Self {
            problem: Some(why.into()),
            ..Self::default()
        }
    }
}

/// How large a right answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// On the wire, with its head.
    Wire(u64),
    /// Its body. What stands around it on the wire differs from one to the next, as with chunks.
    Body(u64),
}
