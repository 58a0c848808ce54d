//! One app, as the scheduler knows it: which it is, what its requests take, and how many cores it may
//! have.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::fair::AppId;
use crate::metrics::AppMetrics;
use crate::system;

/// The most that one request counts in the average.
const MOST: Duration = Duration::from_millis(100);

/// An app whose requests take longer than this on average is not begun where they arrive: the way
/// to another thread costs it little, and the server's threads stay free.
const SHORT: Duration = Duration::from_millis(1);

/// Nor for so many times as long as one of its turns took, if that was more than it may be.
const SLOW: u32 = 100;

/// One app, as the scheduler knows it.
pub(crate) struct Account {
    pub(crate) id: AppId,
    /// Cores that its guests may use at once while others want to run.
    pub(crate) cores: usize,
    /// The processor time of its requests, as a moving average in nanoseconds.
    average: AtomicU64,
    /// Until when it is slow in any case, in milliseconds after `born`.
    slow_until: AtomicU64,
    born: Instant,
    pub(crate) metrics: AppMetrics,
}

impl Account {
    /// An app that may use so many cores while others want to run: half of what there are if it
    /// does not say, and one at least.
    pub(crate) fn new(cores: Option<usize>, metrics: AppMetrics) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: AppId(NEXT.fetch_add(1, Ordering::Relaxed)),
            cores: cores.unwrap_or_else(|| system::cores().div_ceil(2)).max(1),
            average: AtomicU64::new(0),
            slow_until: AtomicU64::new(0),
            born: Instant::now(),
            metrics,
        }
    }

    /// Whether its requests are short enough to be begun where they arrive.
    pub(crate) fn is_short(&self, now: Instant) -> bool {
        self.average.load(Ordering::Relaxed) < nanos(SHORT)
            && self.age(now) >= self.slow_until.load(Ordering::Relaxed)
    }

    /// One of its turns took this long, where nothing could stop it.
    pub(crate) fn overran(&self, took: Duration) {
        let until = self.age(Instant::now() + took * SLOW);
        self.slow_until.fetch_max(until, Ordering::Relaxed);
    }

    fn age(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes a request's processor time into the average. A count that is lost to another thread's
    /// does no harm.
    pub(crate) fn sample(&self, used: Duration) {
        let used = nanos(used.min(MOST));
        let average = self.average.load(Ordering::Relaxed);
        // An eighth of the way from the average to this one.
        let next = average - average / 8 + used / 8;
        self.average.store(next, Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
