//! The clock of one request: how long its guest may still run before the next sign of life.
//!
//! It runs while the guest does and stands while the client keeps us waiting, so that a slow client
//! is not held against the guest. The guest's own sleep counts. Two parties look at it: the epoch
//! callback, for a guest that computes, and [`Clock::expired`], for one that is suspended.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Which bound was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Expired {
    /// `timeout`: to the head, to the next block, or for `close`.
    #[error("no answer within the timeout")]
    Timeout,
    /// `max_duration`: the whole request.
    #[error("the request took longer than its maximum duration")]
    MaxDuration,
    /// The client had gone and the guest ran on without a gateway call.
    #[error("the guest ran on after its client had gone")]
    Disconnected,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Clock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What is left of the current allowance, as of `since` or, while the clock stands, now.
    left: Duration,
    /// Since when the clock runs; none while it stands.
    since: Option<Instant>,
    /// The end of the whole, if it has one.
    end: Option<Instant>,
}

impl Clock {
    /// A running clock with this allowance, and perhaps an end for the whole.
    pub(crate) fn start(allowance: Duration, max_duration: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            state: Mutex::new(State {
                left: allowance,
                since: Some(now),
                end: max_duration.and_then(|whole| now.checked_add(whole)),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new allowance: the guest has shown a sign of life.
    pub(crate) fn restart(&self, allowance: Duration) {
        let mut state = self.lock();
        state.left = allowance;
        if state.since.is_some() {
            state.since = Some(Instant::now());
        }
    }

    /// Gives an allowance for what follows the response, which has no other bound.
    pub(crate) fn restart_for_close(&self, allowance: Duration) {
        self.lock().end = None;
        self.restart(allowance);
    }

    /// Stops the clock until the guard is dropped: we wait for the client.
    pub(crate) fn pause(&self) -> Paused<'_> {
        let mut state = self.lock();
        if let Some(since) = state.since.take() {
            state.left = state.left.saturating_sub(since.elapsed());
        }
        drop(state);
        Paused(self)
    }

    /// Whether a bound is passed now.
    pub(crate) fn check(&self) -> Result<(), Expired> {
        match self.remaining() {
            (left, bound) if left.is_zero() => Err(bound),
            _ => Ok(()),
        }
    }

    /// The time until a bound is passed if nothing happens, and which one it is.
    fn remaining(&self) -> (Duration, Expired) {
        let now = Instant::now();
        let state = self.lock();
        let left = match state.since {
            Some(since) => state.left.saturating_sub(now - since),
            // It stands. Whoever waits need not look again soon: what is over by little when the
            // clock runs again is found then.
            None => state.left.max(Duration::from_millis(50)),
        };
        match state.end.map(|end| end.saturating_duration_since(now)) {
            Some(whole) if whole < left => (whole, Expired::MaxDuration),
            _ => (left, Expired::Timeout),
        }
    }

    /// Resolves when a bound is passed.
    pub(crate) async fn expired(&self) -> Expired {
        loop {
            let (left, bound) = self.remaining();
            if left.is_zero() {
                return bound;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// The clock stands while this lives; see [`Clock::pause`].
pub(crate) struct Paused<'a>(&'a Clock);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.lock().since = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_allowance_of_nothing_has_passed() {
        let clock = Clock::start(Duration::ZERO, None);
        assert_eq!(clock.check(), Err(Expired::Timeout));
        clock.restart(HOUR);
        assert_eq!(clock.check(), Ok(()));
    }

    #[test]
    fn a_standing_clock_does_not_pass() {
        let clock = Clock::start(HOUR, None);
        let paused = clock.pause();
        clock.restart(Duration::ZERO);
        assert_eq!(clock.check(), Ok(()));
        drop(paused);
        assert_eq!(clock.check(), Err(Expired::Timeout));
    }

    #[test]
    fn the_whole_is_bounded_even_while_the_clock_stands() {
        let clock = Clock::start(HOUR, Some(Duration::ZERO));
        let _paused = clock.pause();
        assert_eq!(clock.check(), Err(Expired::MaxDuration));
    }

    #[test]
    fn close_has_its_time_after_the_end_of_the_whole() {
        let clock = Clock::start(HOUR, Some(Duration::ZERO));
        clock.restart_for_close(HOUR);
        assert_eq!(clock.check(), Ok(()));
        clock.restart_for_close(Duration::ZERO);
        assert_eq!(clock.check(), Err(Expired::Timeout));
    }

    #[tokio::test(start_paused = true)]
    async fn expired_waits_for_a_clock_that_is_restarted() {
        // Real time, of which none passes worth mentioning, against a sleep that is skipped.
        let clock = Clock::start(Duration::from_millis(20), None);
        assert_eq!(clock.expired().await, Expired::Timeout);
    }
}
