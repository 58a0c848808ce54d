//! Instances that wait for the next request of their app, where an app's instances serve more than one
//! ([`Isolation::App`](crate::Isolation::App)). They are a convenience: whatever else wants their memory
//! or their place gets it. Not here: what an instance forgets between two requests (`instance.rs`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use wasmtime::Store;

use crate::config::Reuse;
use crate::guest::Gateway;
use crate::instance::State;
use crate::memory::Purse;

/// A store, and what has been made in it.
///
/// What it took of the server's memory is free only when it is gone, so the purse is dropped last.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    /// None until the guest is instantiated.
    pub(crate) guest: Option<Gateway>,
    /// None until it has served a request, and is to serve more.
    used: Option<Used>,
    pub(crate) purse: Arc<Purse>,
}

/// What an instance has behind it.
#[derive(Clone, Copy)]
struct Used {
    requests: u32,
    /// When its first request had ended.
    since: Instant,
}

impl Instance {
    pub(crate) fn new(store: Store<State>, purse: Arc<Purse>) -> Self {
        Self {
            store,
            guest: None,
            used: None,
            purse,
        }
    }
}

/// The instances of all apps of one runtime that are parked.
#[derive(Default)]
pub(crate) struct Parked {
    lots: Mutex<Vec<Weak<Lot>>>,
    count: Arc<AtomicUsize>,
}

/// Those of one version of one app.
pub(crate) struct Lot {
    reuse: Reuse,
    /// Over all apps.
    count: Arc<AtomicUsize>,
    state: Mutex<LotState>,
}

#[derive(Default)]
struct LotState {
    /// The one that was parked last is at the back.
    instances: VecDeque<Instance>,
    /// There is a task that ends those whose time is over.
    is_swept: bool,
}

impl Parked {
    /// A place for the instances of one more app.
    pub(crate) fn lot(&self, reuse: Reuse) -> Arc<Lot> {
        let lot = Arc::new(Lot {
            reuse,
            count: Arc::clone(&self.count),
            state: Mutex::default(),
        });
        let mut lots = self.lots.lock().unwrap_or_else(PoisonError::into_inner);
        lots.retain(|lot| lot.strong_count() > 0);
        lots.push(Arc::downgrade(&lot));
        lot
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Ends the one that has been parked for longest, of that app which has the most. False if there is none.
    pub(crate) fn evict(&self) -> bool {
        if self.count() == 0 {
            return false;
        }
        let lots: Vec<_> = {
            let lots = self.lots.lock().unwrap_or_else(PoisonError::into_inner);
            lots.iter().filter_map(Weak::upgrade).collect()
        };
        let fullest = lots.iter().max_by_key(|lot| lot.lock().instances.len());
        // Dropped when nothing is locked any more: what it gives back may be waited for.
        let evicted = fullest.and_then(|lot| lot.pop(VecDeque::pop_front));
        evicted.is_some()
    }
}

impl Lot {
    fn lock(&self) -> MutexGuard<'_, LotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop(
        &self,
        from: impl FnOnce(&mut VecDeque<Instance>) -> Option<Instance>,
    ) -> Option<Instance> {
        let popped = from(&mut self.lock().instances);
        if popped.is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
        popped
    }

    /// One for the next request: that which was used last, whose memory is the most likely to be at hand.
    pub(crate) fn take(&self) -> Option<Instance> {
        loop {
            let instance = self.pop(VecDeque::pop_back)?;
            if !self.is_over(&instance, Instant::now()) {
                return Some(instance);
            }
        }
    }

    /// Keeps an instance that has served a request well, if it is to serve another.
    pub(crate) fn park(self: &Arc<Self>, mut instance: Instance) {
        let now = Instant::now();
        let used = instance.used.get_or_insert(Used {
            requests: 0,
            since: now,
        });
        used.requests = used.requests.saturating_add(1);
        if self.is_over(&instance, now) {
            return;
        }
        instance.store.data_mut().rest();
        self.put_back(instance);
    }

    /// Keeps an instance that was taken and did not come to serve.
    pub(crate) fn put_back(self: &Arc<Self>, instance: Instance) {
        let mut state = self.lock();
        state.instances.push_back(instance);
        self.count.fetch_add(1, Ordering::SeqCst);
        // Without a tokio runtime nobody would notice that time passes, but for the next request.
        if !state.is_swept
            && let Ok(tokio) = Handle::try_current()
        {
            state.is_swept = true;
            drop(tokio.spawn(sweep(Arc::downgrade(self))));
        }
    }

    /// Whether an instance is to serve no more.
    fn is_over(&self, instance: &Instance, now: Instant) -> bool {
        instance.used.is_some_and(|used| {
            used.requests >= self.reuse.requests
                || now.saturating_duration_since(used.since) >= self.reuse.time
        }) || instance.store.data().memory_taken() > self.reuse.memory
    }

    /// Ends those whose time is over, and says when to look again; none if there is nothing to look for.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let all = std::mem::take(&mut state.instances);
        let (over, kept): (VecDeque<_>, VecDeque<_>) =
            (all.into_iter()).partition(|instance| self.is_over(instance, now));
        let used = kept.iter().filter_map(|instance| instance.used);
        let next = (used.map(|used| used.since).min()).map(|oldest| {
            let end = oldest.checked_add(self.reuse.time);
            // One that serves now may be older.
            end.map_or(now + AT_LEAST, |end| end.min(now + AT_LEAST))
        });
        state.instances = kept;
        state.is_swept = next.is_some();
        drop(state);
        self.count.fetch_sub(over.len(), Ordering::SeqCst);
        next
    }
}

impl Drop for Lot {
    fn drop(&mut self) {
        let left = self.lock().instances.len();
        self.count.fetch_sub(left, Ordering::SeqCst);
    }
}

/// How often a lot is looked through while there is anything in it.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Ends the instances of a lot in time, for as long as there are any.
async fn sweep(lot: Weak<Lot>) {
    loop {
        let next = match lot.upgrade() {
            Some(lot) => lot.sweep(),
            None => return,
        };
        let Some(next) = next else { return };
        tokio::time::sleep_until(next).await;
    }
}
