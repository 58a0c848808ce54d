//! What has been used and is clean, waiting to be used again: the last one first, and on the thread that
//! used it, in whose cache it still is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Shelves beyond this number bring nothing.
const MOST_SHELVES: usize = 64;

/// So many of those on a shelf are looked at for the one that fits best.
const LOOK: usize = 8;

/// A bounded number of things, on a shelf for each thread.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    shelves: Vec<Mutex<Vec<T>>>,
    /// So many lie on all of them, or are about to.
    kept: AtomicUsize,
    most: usize,
}

impl<T> Shelf<T> {
    /// Room for `most` things that `threads` threads use.
    pub(super) fn new(most: usize, threads: usize) -> Self {
        let count = threads.clamp(1, MOST_SHELVES);
        Self {
            shelves: (0..count).map(|_| Mutex::default()).collect(),
            kept: AtomicUsize::new(0),
            most,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.kept.load(Ordering::Relaxed).min(self.most)
    }

    /// One of them, if there is any: the last one of this thread that `fits`, or else its last one, or
    /// else one of another thread.
    pub(super) fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        if self.kept.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let own = self.own();
        for turn in 0..self.shelves.len() {
            let shelf = &self.shelves[(own + turn) % self.shelves.len()];
            // Whoever is at another thread's shelf takes what this would have taken.
            let Some(mut shelf) = lock(shelf, turn == 0) else {
                continue;
            };
            let best = shelf.iter().rev().take(LOOK).position(&fits);
            let place = shelf.len().checked_sub(best.unwrap_or(0) + 1);
            if let Some(place) = place {
                let thing = shelf.remove(place);
                drop(shelf);
                self.kept.fetch_sub(1, Ordering::Relaxed);
                return Some(thing);
            }
        }
        None
    }

    /// Keeps it, or gives it back where there is no room.
    pub(super) fn put(&self, thing: T) -> Result<(), T> {
        if self.kept.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.kept.fetch_sub(1, Ordering::Relaxed);
            return Err(thing);
        }
        if let Some(mut shelf) = lock(&self.shelves[self.own()], true) {
            shelf.push(thing);
        }
        Ok(())
    }

    fn own(&self) -> usize {
        super::thread_number().unwrap_or(0) % self.shelves.len()
    }
}

fn lock<T>(shelf: &Mutex<Vec<T>>, wait: bool) -> Option<MutexGuard<'_, Vec<T>>> {
    if wait {
        return Some(shelf.lock().unwrap_or_else(PoisonError::into_inner));
    }
    match shelf.try_lock() {
        Ok(shelf) => Some(shelf),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
