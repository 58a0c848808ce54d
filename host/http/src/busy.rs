//! How much a server has to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many exchanges of the whole server are in progress. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Busy {
    pub(crate) fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::Relaxed);
        Entered(self.clone())
    }

    /// Whether there is more than the one that asks.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

/// One of them; dropping it takes it off.
pub(crate) struct Entered(Busy);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
