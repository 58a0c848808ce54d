//! What is known of an app from the requests that it has had: its numbers, and whether it is switched
//! off.

use std::sync::Arc;

use crate::breaker::Breaker;
use crate::metrics::AppMetrics;

/// One app's record.
pub(crate) struct Record {
    /// As it stands in logs.
    pub(crate) name: Arc<str>,
    pub(crate) metrics: AppMetrics,
    pub(crate) breaker: Breaker,
}
