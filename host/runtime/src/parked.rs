//! Instances that wait for the next request of their app, where an app's instances serve more than one
//! ([`Isolation::App`](crate::Isolation::App)). They are a convenience: whatever else wants their memory
//! or their place gets it, but for those that are promised to requests which wait for their first turns. Such a
//! request takes whichever was used last when its turn has come, and not one that has waited with it: where many
//! requests come at once, few instances serve them. Not here: what an instance forgets between two requests (`instance.rs`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;
use wasmtime::Store;

use crate::config::Reuse;
use crate::guest::Gateway;
use crate::instance::State;
use crate::memory::{Counted, Purse};
use crate::slots::Polling;

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
    counts: Arc<Counts>,
    /// Held while one is ended: who comes second finds what the first has freed.
    evicting: Mutex<()>,
}

/// How many there are over all apps, and what they have taken of the budget, in bytes.
#[derive(Default)]
struct Counts {
    instances: AtomicUsize,
    bytes: AtomicUsize,
}

impl Counts {
    fn add(&self, instance: &Instance) {
        self.bytes
            .fetch_add(instance.purse.taken(), Ordering::SeqCst);
        self.instances.fetch_add(1, Ordering::SeqCst);
    }

    /// Nobody has spent anything since it was added.
    fn take_off(&self, instance: &Instance) {
        self.bytes
            .fetch_sub(instance.purse.taken(), Ordering::SeqCst);
        self.instances.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Those of one version of one app.
pub(crate) struct Lot {
    reuse: Reuse,
    counts: Arc<Counts>,
    state: Mutex<LotState>,
    /// Told when one is parked.
    parked: Notify,
    /// Requests that wait for that.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct LotState {
    /// The one that was parked last is at the back.
    instances: VecDeque<Instance>,
    /// So many of them stay until somebody takes one: no more than there are.
    promised: usize,
    /// There is a task that ends those whose time is over.
    is_swept: bool,
}

impl Parked {
    /// A place for the instances of one more app.
    pub(crate) fn lot(&self, reuse: Reuse) -> Arc<Lot> {
        let lot = Arc::new(Lot {
            reuse,
            counts: Arc::clone(&self.counts),
            state: Mutex::default(),
            parked: Notify::new(),
            waiting: AtomicUsize::new(0),
        });
        let mut lots = self.lots.lock().unwrap_or_else(PoisonError::into_inner);
        lots.retain(|lot| lot.strong_count() > 0);
        lots.push(Arc::downgrade(&lot));
        lot
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.counts.instances.load(Ordering::SeqCst)
    }

    /// Ends one, where all that are promised to nobody have as many bytes together as are lacking: of that app which has
    /// the most, the one that has been parked for longest. False if nothing was gained.
    pub(crate) fn evict_for(&self, lacking: usize) -> bool {
        if self.counts.bytes.load(Ordering::SeqCst) < lacking {
            return false;
        }
        let free = |lot: &Arc<Lot>| lot.lock().free_bytes();
        self.lots().iter().map(free).sum::<usize>() >= lacking && self.evict()
    }

    /// The same for a place.
    pub(crate) fn evict(&self) -> bool {
        let _first_come = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.count() == 0 {
            return false;
        }
        let mut lots = self.lots();
        lots.sort_by_cached_key(|lot| std::cmp::Reverse(lot.lock().free()));
        // Others may take one meanwhile. What is found is dropped when nothing of a lot is locked any more: what
        // it gives back may be waited for.
        let evicted = lots.iter().find_map(|lot| lot.evict());
        evicted.is_some()
    }

    fn lots(&self) -> Vec<Arc<Lot>> {
        let lots = self.lots.lock().unwrap_or_else(PoisonError::into_inner);
        lots.iter().filter_map(Weak::upgrade).collect()
    }
}

impl LotState {
    /// How many are promised to nobody.
    fn free(&self) -> usize {
        self.instances.len() - self.promised
    }

    /// What those have taken. They are at the front, since a promise is kept from the back.
    fn free_bytes(&self) -> usize {
        let free = self.instances.iter().take(self.free());
        free.map(|instance| instance.purse.taken()).sum()
    }
}

/// The right to an instance that is parked, given back when dropped.
pub(crate) struct Promise {
    /// Until it is kept.
    lot: Option<Arc<Lot>>,
}

impl Promise {
    /// The one that was used last, whose memory is the most likely to be at hand.
    pub(crate) fn keep(mut self) -> Instance {
        let lot = self.lot.take().expect("it is kept once");
        let mut state = lot.lock();
        state.promised -= 1;
        let instance = state.instances.pop_back();
        drop(state);
        let instance = instance.expect("as many are parked as are promised");
        lot.counts.take_off(&instance);
        instance
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(lot) = self.lot.take() {
            lot.lock().promised -= 1;
            lot.parked.notify_one();
        }
    }
}

impl Lot {
    fn lock(&self) -> MutexGuard<'_, LotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the one that has been parked for longest, unless it is promised.
    fn evict(&self) -> Option<Instance> {
        let mut state = self.lock();
        let evicted = (state.free() > 0).then(|| state.instances.pop_front())?;
        drop(state);
        self.counts.take_off(evicted.as_ref()?);
        evicted
    }

    /// One for the next request.
    pub(crate) fn promise(self: &Arc<Self>) -> Option<Promise> {
        loop {
            let mut state = self.lock();
            if state.free() == 0 {
                return None;
            }
            let last = state.instances.back()?;
            if !self.is_over(last, Instant::now()) {
                state.promised += 1;
                drop(state);
                let lot = Some(Arc::clone(self));
                return Some(Promise { lot });
            }
            let over = state.instances.pop_back()?;
            drop(state);
            self.counts.take_off(&over);
        }
    }

    /// The same, unless others wait for one, who come first.
    pub(crate) fn promise_at_once(self: &Arc<Self>) -> Option<Promise> {
        match self.waiting.load(Ordering::SeqCst) {
            0 => self.promise(),
            _ => None,
        }
    }

    /// Waits for one. Dropping the future gives up the place, and loses none.
    pub(crate) async fn wait(self: &Arc<Self>) -> Promise {
        let _counted = Counted::new(&self.waiting);
        loop {
            let mut parked = std::pin::pin!(self.parked.notified());
            // Of two that are parked before either is awaited both are told.
            parked.as_mut().enable();
            if let Some(promise) = self.promise() {
                return promise;
            }
            parked.await;
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
        Polling::share();
        self.counts.add(&instance);
        let mut state = self.lock();
        state.instances.push_back(instance);
        let is_swept = std::mem::replace(&mut state.is_swept, true);
        drop(state);
        self.parked.notify_one();
        if !is_swept {
            let sweeper = Sweeper(Some(Arc::downgrade(self)));
            // Without a tokio runtime nobody notices that time passes, but for the next request.
            if let Ok(tokio) = Handle::try_current() {
                drop(tokio.spawn(sweeper.run()));
            }
        }
    }

    /// Whether an instance is to serve no more.
    fn is_over(&self, instance: &Instance, now: Instant) -> bool {
        let state = instance.store.data();
        instance.used.is_some_and(|used| {
            used.requests >= self.reuse.requests
                || now.saturating_duration_since(used.since) >= self.reuse.time
        }) || state.memory_taken() > self.reuse.memory
            || state.is_short_of_handles()
    }

    /// Takes out those whose time is over, and says when to look again; none if there is nothing to look for.
    fn sweep(&self) -> (VecDeque<Instance>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.lock();
        let all = std::mem::take(&mut state.instances);
        let mut free = all.len() - state.promised;
        let (over, kept): (VecDeque<_>, VecDeque<_>) = (all.into_iter()).partition(|instance| {
            let goes = free > 0 && self.is_over(instance, now);
            free -= usize::from(goes);
            goes
        });
        let soon = now + AT_LEAST;
        let ends = kept.iter().filter_map(|instance| {
            let end = instance.used?.since.checked_add(self.reuse.time)?;
            // One whose time is over is promised, and goes with its next request.
            (end > now).then_some(end)
        });
        // One that serves now may be older than all of them.
        let next = (!kept.is_empty()).then(|| ends.min().map_or(soon, |end| end.min(soon)));
        state.instances = kept;
        state.is_swept = next.is_some();
        drop(state);
        for instance in &over {
            self.counts.take_off(instance);
        }
        (over, next)
    }
}

impl Drop for Lot {
    fn drop(&mut self) {
        let instances = std::mem::take(&mut self.lock().instances);
        for instance in &instances {
            self.counts.take_off(instance);
        }
        // There may be hundreds, and this may be a thread that serves.
        if let Ok(tokio) = Handle::try_current() {
            drop(tokio.spawn_blocking(move || drop(instances)));
        }
    }
}

/// How often a lot is looked through while there is anything in it.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Ends the instances of a lot in time, for as long as there are any. The lot, until it is done: if it is dropped
/// before, as with the tokio runtime that it ran in, the lot learns of it.
struct Sweeper(Option<Weak<Lot>>);

impl Sweeper {
    async fn run(mut self) {
        while let Some(lot) = self.0.as_ref().and_then(Weak::upgrade) {
            let (over, next) = lot.sweep();
            if next.is_none() {
                self.0 = None;
            }
            drop(lot);
            for instance in over {
                drop(instance);
                tokio::task::yield_now().await;
            }
            if let Some(next) = next {
                tokio::time::sleep_until(next).await;
            }
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(lot) = self.0.take().and_then(|lot| lot.upgrade()) {
            lot.lock().is_swept = false;
        }
    }
}
