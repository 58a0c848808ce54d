//! What is seen of this process: panics anywhere in it, open descriptors, and how far inputs came.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// Panics in any thread so far, also those that somebody caught: a server survives the panic of one connection,
/// and it is a fault all the same.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics from now on, and still prints them.
pub fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            print(panic);
        }));
    });
}

/// Panics if anything else has meanwhile, in whatever thread.
pub(crate) struct NoPanic(usize);

impl NoPanic {
    pub(crate) fn begin() -> Self {
        watch_panics();
        Self(PANICS.load(Ordering::SeqCst))
    }

    #[track_caller]
    pub(crate) fn end(self) {
        let panics = PANICS.load(Ordering::SeqCst) - self.0;
        assert_eq!(panics, 0, "something else has panicked");
    }
}

/// How many descriptors this process has open.
pub fn descriptors() -> usize {
    // One of them is that of the listing itself.
    std::fs::read_dir("/proc/self/fd").map_or(0, |listed| listed.count().saturating_sub(1))
}

static SEEN: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// Counts that an input came so far: a target that only ever gets refusals proves little.
pub(crate) fn see(what: impl Into<String>) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    *seen.entry(what.into()).or_default() += 1;
}

/// How far inputs came since this was asked for, and how often.
pub fn seen() -> BTreeMap<String, u64> {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut seen)
}
