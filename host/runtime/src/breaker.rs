//! Switches an app off that always fails, so that it costs no more than a refusal: one that has never
//! answered, or that traps before it can be asked anything.
//!
//! A client chooses what it asks for, so requests that trap prove nothing while any other might be
//! answered. An app that has answered once is therefore never switched off by what was asked of it,
//! and while an app is off, places (a method, a path and its query) that were not seen to trap are still
//! tried.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// An app is switched off after so many requests, over so long, all of which trapped.
const TRAPS: u32 = 50;
const OVER: Duration = Duration::from_secs(5);

/// While it is off, one request in this time is let through to see.
const PROBE: Duration = Duration::from_secs(1);

/// So many places that trap are remembered. Those beyond them are tried each time, as if there were no
/// breaker: a client that thinks of new ones must not hide the one that works.
const PLACES: usize = 1024;

/// One app's breaker.
pub(crate) struct Breaker {
    /// The app has answered since it was loaded.
    works: AtomicBool,
    off: AtomicBool,
    keys: RandomState,
    state: Mutex<State>,
}

struct State {
    traps: u32,
    /// The first of them.
    since: Option<Instant>,
    /// What trapped: methods with their paths and queries, hashed.
    places: HashSet<u64>,
    /// Making an instance traps, whatever it is asked for.
    whatever: bool,
    next_probe: Instant,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switched {
    Off,
    On,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self {
            works: AtomicBool::new(false),
            off: AtomicBool::new(false),
            keys: RandomState::new(),
            state: Mutex::new(State {
                traps: 0,
                since: None,
                places: HashSet::new(),
                whatever: false,
                next_probe: Instant::now(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request for this place may run.
    pub(crate) fn lets_through(&self, place: &impl Hash) -> bool {
        if !self.off.load(Ordering::Relaxed) {
            return true;
        }
        let mut state = self.lock();
        if !state.whatever && !state.places.contains(&self.keys.hash_one(place)) {
            return true;
        }
        let now = Instant::now();
        if now < state.next_probe {
            return false;
        }
        state.next_probe = now + PROBE;
        true
    }

    /// A guest came to an orderly end, whatever it answered.
    pub(crate) fn answered(&self) -> Option<Switched> {
        if !self.works.load(Ordering::Relaxed) {
            self.works.store(true, Ordering::Relaxed);
        }
        if !self.off.load(Ordering::Relaxed) {
            return None;
        }
        self.lock().whatever = false;
        let was_off = self.off.swap(false, Ordering::Relaxed);
        was_off.then_some(Switched::On)
    }

    /// A request for this place trapped.
    pub(crate) fn trapped(&self, place: &impl Hash) -> Option<Switched> {
        if self.works.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        let now = Instant::now();
        let place = self.keys.hash_one(place);
        if state.places.len() < PLACES {
            state.places.insert(place);
        }
        state.traps = state.traps.saturating_add(1);
        let since = *state.since.get_or_insert(now);
        let always = state.traps >= TRAPS && now.duration_since(since) >= OVER;
        if always {
            self.switch_off(&mut state)
        } else {
            None
        }
    }

    /// An instance could not be made since making it trapped, which no request has a part in.
    pub(crate) fn trapped_at_instantiation(&self) -> Option<Switched> {
        let mut state = self.lock();
        state.whatever = true;
        self.switch_off(&mut state)
    }

    fn switch_off(&self, state: &mut State) -> Option<Switched> {
        let was_off = self.off.swap(true, Ordering::Relaxed);
        if was_off {
            return None;
        }
        state.next_probe = Instant::now() + PROBE;
        Some(Switched::Off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Traps at this path until something changes or the time is up.
    async fn hammer(breaker: &Breaker, path: &str, times: u32, over: Duration) -> Option<Switched> {
        for _ in 0..times {
            tokio::time::advance(over / times).await;
            if let Some(switched) = breaker.trapped(&path) {
                return Some(switched);
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_always_traps_is_switched_off_and_tried_now_and_then() {
        let breaker = Breaker::new();
        let off = hammer(&breaker, "/", 60, Duration::from_secs(12)).await;
        assert_eq!(off, Some(Switched::Off));
        assert!(!breaker.lets_through(&"/"));
        tokio::time::advance(PROBE).await;
        assert!(breaker.lets_through(&"/"));
        assert!(!breaker.lets_through(&"/"));
        assert_eq!(breaker.answered(), Some(Switched::On));
        assert!(breaker.lets_through(&"/"));
        assert_eq!(breaker.answered(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn neither_a_burst_nor_a_few_are_enough() {
        let breaker = Breaker::new();
        assert_eq!(hammer(&breaker, "/", 1000, OVER / 2).await, None);
        let breaker = Breaker::new();
        assert_eq!(hammer(&breaker, "/", 49, 10 * OVER).await, None);
        assert!(breaker.lets_through(&"/"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_has_answered_is_not_switched_off_by_what_is_asked_of_it() {
        let breaker = Breaker::new();
        assert_eq!(breaker.answered(), None);
        assert_eq!(hammer(&breaker, "/trap", 1000, 100 * OVER).await, None);
        assert!(breaker.lets_through(&"/trap"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_that_did_not_trap_is_tried() {
        let breaker = Breaker::new();
        hammer(&breaker, "/trap", 60, 2 * OVER).await;
        assert!(!breaker.lets_through(&"/trap"));
        assert!(breaker.lets_through(&"/"));
        // However many others did.
        for number in 0..2 * PLACES {
            breaker.trapped(&format!("/{number}").as_str());
        }
        assert!(!breaker.lets_through(&"/trap"));
        assert!(breaker.lets_through(&"/"));
        assert!(breaker.lock().places.len() <= PLACES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trap_at_instantiation_is_enough() {
        let breaker = Breaker::new();
        assert_eq!(breaker.answered(), None);
        assert_eq!(breaker.trapped_at_instantiation(), Some(Switched::Off));
        assert_eq!(breaker.trapped_at_instantiation(), None);
        assert!(!breaker.lets_through(&"/"));
        tokio::time::advance(PROBE).await;
        assert!(breaker.lets_through(&"/"));
        assert_eq!(breaker.answered(), Some(Switched::On));
        assert!(breaker.lets_through(&"/"));
    }
}
