//! First turns on the server's own threads: how much of its time each of these gives.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A thread of the server gives first turns at most four fifths of its time, after this much at once.
const BURST: Duration = Duration::from_millis(8);

/// What first turns have taken of a server's thread, less what it has had to itself since.
#[derive(Clone, Copy)]
pub(crate) struct InPlace {
    as_of: Instant,
    used: Duration,
}

thread_local! {
    static IN_PLACE: Cell<Option<InPlace>> = const { Cell::new(None) };
}

impl InPlace {
    /// Whether this thread has time for one more.
    pub(crate) fn has_room(now: Instant) -> bool {
        let used = IN_PLACE.get().map_or(Duration::ZERO, |before| {
            let since = now.saturating_duration_since(before.as_of);
            before.used.saturating_sub(since / 5 * 4)
        });
        IN_PLACE.set(Some(InPlace { as_of: now, used }));
        used < BURST
    }

    pub(crate) fn count(took: Duration) {
        if let Some(mut before) = IN_PLACE.get() {
            before.used += took;
            IN_PLACE.set(Some(before));
        }
    }
}
