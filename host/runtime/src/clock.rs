//! The clock of one request: how long its guest may still run.
//!
//! It runs while the guest does and stands while the client keeps us waiting, so that a slow client
//! is not held against the guest. The guest's own sleep counts. Two parties look at it: the epoch
//! callback, for a guest that computes, and [`Clock::expired`], for one that is suspended.
//!
//! Apart from that time, the processor time is bounded, and what a guest may go on for when its
//! client has left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::limits::InstanceLimits;
use crate::turn::Turn;

/// Which bound was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Expired {
    /// `timeout`: to the head, to the next block, or for `close`.
    #[error("no answer within the timeout")]
    Timeout,
    /// `max_duration`: the whole request.
    #[error("the request took longer than its maximum duration")]
    MaxDuration,
    /// `cpu`: the processor time of the whole request.
    #[error("the request used more processor time than it may (cpu)")]
    Cpu,
    /// The client had gone and the guest ran on.
    #[error("the guest ran on after its client had gone")]
    Disconnected,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Clock {
    turn: Arc<Turn>,
    cpu: Duration,
    grace: Duration,
    state: Mutex<State>,
    /// Told when the client leaves.
    left: Notify,
}

#[derive(Debug)]
struct State {
    /// What is left of the current allowance, as of `since` or, while the clock stands, now.
    left: Duration,
    /// Since when the clock runs; none while it stands.
    since: Option<Instant>,
    /// The end of the whole, if it has one.
    end: Option<Instant>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Somebody waits for the response.
    Attended,
    /// The client has gone, at this time, when the guest had waited so long for its turns.
    Deserted { at: Instant, waited: Duration },
    /// The response has ended, and `close` is called.
    Closing,
}

impl Clock {
    /// A running clock with the first allowance of these limits.
    pub(crate) fn start(limits: &InstanceLimits, turn: Arc<Turn>) -> Self {
        let now = Instant::now();
        Self {
            turn,
            cpu: limits.cpu,
            grace: limits.disconnect_grace,
            state: Mutex::new(State {
                left: limits.timeout,
                since: Some(now),
                end: limits.max_duration.and_then(|whole| now.checked_add(whole)),
                phase: Phase::Attended,
            }),
            left: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new allowance: the guest has shown a sign of life.
    pub(crate) fn restart(&self, allowance: Duration) {
        self.lock().restart(allowance);
    }

    /// Gives an allowance for what follows the response, which has no other bound.
    pub(crate) fn restart_for_close(&self, allowance: Duration) {
        let mut state = self.lock();
        state.end = None;
        state.phase = Phase::Closing;
        state.restart(allowance);
    }

    /// The client has gone: what the guest may go on for begins now.
    pub(crate) fn client_left(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Attended {
            let at = Instant::now();
            let waited = self.turn.waited(at);
            state.phase = Phase::Deserted { at, waited };
            drop(state);
            self.left.notify_one();
        }
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

    /// Whether a bound is passed now. Of the processor time, that of the turns before this one
    /// counts.
    pub(crate) fn check(&self) -> Result<(), Expired> {
        self.check_with(self.turn.used())
    }

    /// The same for a guest that is running on this thread: its turn so far counts too.
    pub(crate) fn check_running(&self) -> Result<(), Expired> {
        self.check_with(self.turn.used_now())
    }

    fn check_with(&self, used: Duration) -> Result<(), Expired> {
        let state = self.lock();
        if used > self.cpu && state.phase != Phase::Closing {
            return Err(Expired::Cpu);
        }
        match self.remaining(&state, Instant::now()) {
            (left, bound) if left.is_zero() => Err(bound),
            _ => Ok(()),
        }
    }

    /// The time until a bound is passed if nothing happens, and which one it is.
    fn remaining(&self, state: &State, now: Instant) -> (Duration, Expired) {
        let first = Self::remaining_of_all(state, now);
        if let Phase::Deserted { at, waited } = state.phase {
            // Its processor time and its sleep, but not what others took from it.
            let waited = self.turn.waited(now).saturating_sub(waited);
            let on = now.saturating_duration_since(at).saturating_sub(waited);
            let grace = self.grace.saturating_sub(on);
            if grace < first.0 {
                return (grace, Expired::Disconnected);
            }
        }
        first
    }

    /// The same without what a guest may go on for, which does not pass while it waits for a turn.
    fn remaining_of_all(state: &State, now: Instant) -> (Duration, Expired) {
        let left = match state.since {
            Some(since) => state
                .left
                .saturating_sub(now.saturating_duration_since(since)),
            // It stands. Whoever waits need not look again soon: what is over by little when the
            // clock runs again is found then.
            None => state.left.max(Duration::from_millis(50)),
        };
        let mut first = (left, Expired::Timeout);
        if let Some(end) = state.end {
            let whole = end.saturating_duration_since(now);
            if whole < first.0 {
                first = (whole, Expired::MaxDuration);
            }
        }
        first
    }

    /// When a bound will be passed if the guest only waits for its turn; none if that is too far off
    /// to be told, or is not known since the clock stands.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let state = self.lock();
        if state.since.is_none() {
            return state.end;
        }
        let (left, _) = Self::remaining_of_all(&state, now);
        now.checked_add(left)
    }

    /// Whether the guest has just given up its turn: it is suspended, and for no reason of its own.
    pub(crate) fn is_between_turns(&self) -> bool {
        self.turn.is_over()
    }

    /// Resolves when a bound of time is passed.
    pub(crate) async fn expired(&self) -> Expired {
        loop {
            let (left, bound) = self.remaining(&self.lock(), Instant::now());
            if left.is_zero() {
                return bound;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = self.left.notified() => {}
            }
        }
    }
}

impl State {
    fn restart(&mut self, allowance: Duration) {
        self.left = allowance;
        if self.since.is_some() {
            self.since = Some(Instant::now());
        }
    }
}

/// The client's presence: dropping it says that the client has gone.
#[derive(Debug)]
pub(crate) struct Presence(Option<Arc<Clock>>);

impl Presence {
    pub(crate) fn of(clock: &Arc<Clock>) -> Self {
        Self(Some(Arc::clone(clock)))
    }

    /// Nobody needs to be there any more: the response is complete.
    pub(crate) fn no_longer_needed(mut self) {
        self.0 = None;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(clock) = self.0.take() {
            clock.client_left();
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

    fn clock(timeout: Duration, max_duration: Option<Duration>) -> Clock {
        let limits = InstanceLimits {
            timeout,
            max_duration,
            ..InstanceLimits::default()
        };
        Clock::start(&limits, Arc::default())
    }

    #[test]
    fn an_allowance_of_nothing_has_passed() {
        let clock = clock(Duration::ZERO, None);
        assert_eq!(clock.check(), Err(Expired::Timeout));
        clock.restart(HOUR);
        assert_eq!(clock.check(), Ok(()));
    }

    #[test]
    fn a_standing_clock_does_not_pass() {
        let clock = clock(HOUR, None);
        let paused = clock.pause();
        clock.restart(Duration::ZERO);
        assert_eq!(clock.check(), Ok(()));
        drop(paused);
        assert_eq!(clock.check(), Err(Expired::Timeout));
    }

    #[test]
    fn a_guest_whose_clock_stands_is_not_overdue() {
        let clock = clock(Duration::from_millis(1), None);
        let now = Instant::now();
        assert!(clock.deadline(now).is_some());
        let paused = clock.pause();
        assert_eq!(clock.deadline(now), None);
        drop(paused);
        assert!(clock.deadline(now).is_some());
    }

    #[test]
    fn the_whole_is_bounded_even_while_the_clock_stands() {
        let clock = clock(HOUR, Some(Duration::ZERO));
        let _paused = clock.pause();
        assert_eq!(clock.check(), Err(Expired::MaxDuration));
    }

    #[test]
    fn close_has_its_time_after_the_end_of_the_whole() {
        let clock = clock(HOUR, Some(Duration::ZERO));
        clock.restart_for_close(HOUR);
        assert_eq!(clock.check(), Ok(()));
        clock.restart_for_close(Duration::ZERO);
        assert_eq!(clock.check(), Err(Expired::Timeout));
    }

    /// One whose processor time is bounded, and what a guest may go on for alone.
    fn bounded(cpu: Duration, grace: Duration) -> (Clock, Arc<Turn>) {
        let limits = InstanceLimits {
            timeout: HOUR,
            cpu,
            disconnect_grace: grace,
            ..InstanceLimits::default()
        };
        let turn = Arc::new(Turn::default());
        (Clock::start(&limits, Arc::clone(&turn)), turn)
    }

    #[test]
    fn processor_time_is_bounded_but_for_close() {
        let (clock, turn) = bounded(Duration::ZERO, HOUR);
        assert_eq!(clock.check(), Ok(()));
        turn.begin();
        std::hint::black_box((0..1000).sum::<u64>());
        assert_eq!(clock.check_running(), Err(Expired::Cpu));
        turn.end();
        assert_eq!(clock.check(), Err(Expired::Cpu));
        clock.restart_for_close(HOUR);
        assert_eq!(clock.check(), Ok(()));
    }

    #[test]
    fn a_guest_may_go_on_for_the_grace_when_its_client_has_left() {
        let (clock, _) = bounded(HOUR, Duration::ZERO);
        assert_eq!(clock.check(), Ok(()));
        clock.client_left();
        assert_eq!(clock.check(), Err(Expired::Disconnected));
        clock.restart_for_close(HOUR);
        assert_eq!(clock.check(), Ok(()));
        // A response that has ended has no client to lose.
        clock.client_left();
        assert_eq!(clock.check(), Ok(()));
    }

    #[test]
    fn waiting_for_a_turn_is_not_held_against_a_guest_without_a_client() {
        let (clock, turn) = bounded(HOUR, Duration::from_millis(1));
        turn.enqueue(Instant::now());
        clock.client_left();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(clock.check(), Ok(()));
        turn.dequeue(Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(clock.check(), Err(Expired::Disconnected));
    }

    #[tokio::test]
    async fn a_guest_that_sleeps_is_woken_when_its_client_leaves() {
        let (clock, _) = bounded(HOUR, Duration::ZERO);
        let leave = async {
            tokio::task::yield_now().await;
            clock.client_left();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            expired = clock.expired() => assert_eq!(expired, Expired::Disconnected),
            () = leave => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn expired_waits_for_a_clock_that_is_restarted() {
        // Real time, of which none passes worth mentioning, against a sleep that is skipped.
        let clock = clock(Duration::from_millis(20), None);
        assert_eq!(clock.expired().await, Expired::Timeout);
    }
}
