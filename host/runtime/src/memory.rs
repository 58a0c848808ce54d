//! The memory of the whole server: one budget for what all instances have committed and for what
//! their guests make the host keep.
//!
//! An instance pays for what it takes out of a [`Purse`]: its memory as it grows, its files in `/tmp`, its
//! tables, its handles, the bodies gathered for it. What it hands on and no longer owns, a block on its way to a
//! client, has a [`Hold`] of its own. Either gives back what it took when it is dropped. What one
//! instance may use at most is in `limits.rs`.
//!
//! The last part of the budget is for apps that use little: one that fills its memory and sits on it
//! cannot keep the others from starting.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

/// One part in so many of the budget is for apps that hold no more than that themselves.
const RESERVE: usize = 8;

/// A purse is filled by so many bytes at a time.
const COIN: usize = 64 << 10;

/// Blocks up to this size are part of what an instance is charged at its start.
const SMALL: usize = 4 << 10;

/// The budget. Clones share it.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Shared>);

struct Shared {
    total: usize,
    /// What is taken for good.
    set_aside: usize,
    /// What is taken now, that included.
    taken: AtomicUsize,
    /// Requests that wait for room, so that giving back costs nothing while there are none.
    waiting: AtomicUsize,
    lines: Mutex<VecDeque<Line>>,
    spare: Spare,
}

/// Gives back something that can be done without, given the bytes that are lacking. False if there is not as much
/// of that kind.
type Spare = Box<dyn Fn(usize) -> bool + Send + Sync>;

/// The requests of one app that wait for room, in order.
struct Line {
    app: Arc<AtomicUsize>,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    bytes: usize,
    granted: oneshot::Sender<Hold>,
}

/// What one app has taken of the budget. Clones share it.
#[derive(Clone)]
pub(crate) struct AppMemory {
    memory: Memory,
    taken: Arc<AtomicUsize>,
}

/// The budget has no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's memory (memory-total) has no room for it")]
pub(crate) struct MemoryShort;

impl Memory {
    /// A budget of so many bytes, some of which are set aside for good: for what belongs to no app. Where it
    /// has no room, `spare` is asked to make some.
    pub(crate) fn new(
        total: usize,
        set_aside: usize,
        spare: impl Fn(usize) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            total,
            set_aside,
            taken: AtomicUsize::new(set_aside),
            waiting: AtomicUsize::new(0),
            lines: Mutex::default(),
            spare: Box::new(spare),
        }))
    }

    /// The whole, in bytes.
    pub(crate) fn total(&self) -> usize {
        self.0.total
    }

    /// What is taken now, in bytes.
    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// An app that has taken nothing yet.
    pub(crate) fn app(&self) -> AppMemory {
        AppMemory {
            memory: self.clone(),
            taken: Arc::default(),
        }
    }

    /// The most that one thing can take and ever be granted.
    pub(crate) fn largest(&self) -> usize {
        let shared = &self.0;
        (shared.total - shared.total / RESERVE).saturating_sub(shared.set_aside)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes from the budget for an app. If it cannot, it says how many bytes are lacking.
    fn take(&self, app: &AtomicUsize, bytes: usize) -> Result<(), usize> {
        // The app's own first, so that two of its requests cannot both believe to be small.
        let app_has = app
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        let room = self.room_for(app_has);
        let taken = self
            .taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
                taken.checked_add(bytes).filter(|&taken| taken <= room)
            });
        taken.map(drop).map_err(|taken| {
            app.fetch_sub(bytes, Ordering::Relaxed);
            taken.saturating_add(bytes).saturating_sub(room)
        })
    }

    /// What may be taken in all by an app that then has so much.
    fn room_for(&self, app_has: usize) -> usize {
        let reserve = self.total / RESERVE;
        if app_has <= reserve {
            self.total
        } else {
            self.total - reserve
        }
    }

    /// The bytes that are lacking for a request of another app than this that waits for room; none if nobody waits.
    fn lacking_for_others(&self, app: &Arc<AtomicUsize>) -> Option<usize> {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let lines = self.lock();
        let others = lines.iter().filter(|line| !Arc::ptr_eq(&line.app, app));
        let lacking = others.filter_map(|line| {
            let mut waiting = line.waiting.iter();
            let bytes = waiting.find(|waiter| !waiter.granted.is_closed())?.bytes;
            let room = self.room_for(line.app.load(Ordering::Relaxed).saturating_add(bytes));
            let taken = self.taken.load(Ordering::SeqCst);
            Some(taken.saturating_add(bytes).saturating_sub(room))
        });
        lacking.filter(|&lacking| lacking > 0).min()
    }

    /// As [`take`](Self::take), for which what can be done without is given up. Not while anything here is locked.
    fn take_anyhow(&self, app: &AtomicUsize, bytes: usize) -> Result<(), MemoryShort> {
        while let Err(lacking) = self.take(app, bytes) {
            if !(self.spare)(lacking) {
                // Another may have given up just then what was there.
                return self.take(app, bytes).map_err(|_| MemoryShort);
            }
        }
        Ok(())
    }

    fn give_back(self: &Arc<Self>, app: &AtomicUsize, bytes: usize) {
        app.fetch_sub(bytes, Ordering::Relaxed);
        // Sequentially consistent, as are the count of those who wait and their look at what is
        // taken: either this sees that one waits, or that one sees the room.
        self.taken.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.grant();
        }
    }

    /// Serves those who wait, app by app: one that cannot be served holds up its own app only.
    #[cold]
    fn grant(self: &Arc<Self>) {
        let mut lines = self.lock();
        let mut unserved = 0;
        while unserved < lines.len() {
            let Some(mut line) = lines.pop_front() else {
                return;
            };
            // Whoever has given up wants nothing any more.
            while line
                .waiting
                .front()
                .is_some_and(|waiter| waiter.granted.is_closed())
            {
                line.waiting.pop_front();
            }
            let Some(first) = line.waiting.front() else {
                continue;
            };
            if self.take(&line.app, first.bytes).is_ok() {
                unserved = 0;
                if let Some(waiter) = line.waiting.pop_front() {
                    let hold = Hold {
                        shared: Arc::clone(self),
                        app: Arc::clone(&line.app),
                        bytes: waiter.bytes,
                    };
                    if let Err(hold) = waiter.granted.send(hold) {
                        hold.forgo(self);
                    }
                }
            } else {
                unserved += 1;
            }
            lines.push_back(line);
        }
    }
}

impl AppMemory {
    /// What the app has taken now, in bytes.
    #[cfg(test)]
    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes so many bytes until the hold is dropped.
    pub(crate) fn hold(&self, bytes: usize) -> Result<Hold, MemoryShort> {
        let shared = &self.memory.0;
        shared.take_anyhow(&self.taken, bytes)?;
        Ok(Hold {
            shared: Arc::clone(shared),
            app: Arc::clone(&self.taken),
            bytes,
        })
    }

    /// The same, unless others wait already, who come first.
    pub(crate) fn hold_at_once(&self, bytes: usize) -> Result<Hold, MemoryShort> {
        if self.memory.0.waiting.load(Ordering::SeqCst) > 0 {
            return Err(MemoryShort);
        }
        self.hold(bytes)
    }

    /// The same, and waits for room. Dropping the future gives up the place.
    pub(crate) async fn wait_for(&self, bytes: usize) -> Hold {
        let shared = &self.memory.0;
        let _counted = Counted::new(&shared.waiting);
        loop {
            let (granted, grant) = oneshot::channel();
            {
                let mut lines = shared.lock();
                let own = lines
                    .iter_mut()
                    .find(|line| Arc::ptr_eq(&line.app, &self.taken));
                let waiter = Waiter { bytes, granted };
                match own {
                    Some(line) => line.waiting.push_back(waiter),
                    None => lines.push_back(Line {
                        app: Arc::clone(&self.taken),
                        waiting: VecDeque::from([waiter]),
                    }),
                }
            }
            // What was given back before this one could be seen.
            shared.grant();
            // And what came to be spare meanwhile: from now on whoever has it looks who waits.
            if grant.is_empty()
                && let Ok(hold) = self.hold(bytes)
            {
                return hold;
            }
            if let Ok(hold) = grant.await {
                return hold;
            }
        }
    }

    /// The bytes that are lacking for a request of another app that waits for room; none if nobody waits.
    pub(crate) fn lacking_for_others(&self) -> Option<usize> {
        self.memory.0.lacking_for_others(&self.taken)
    }

    /// A block that pays for itself for as long as any part of it is alive.
    pub(crate) fn block(&self, block: Vec<u8>) -> Result<Bytes, MemoryShort> {
        if block.len() <= SMALL {
            return Ok(block.into());
        }
        let _hold = self.hold(block.capacity())?;
        Ok(Bytes::from_owner(Held { block, _hold }))
    }
}

/// One that waits is counted for as long as it does.
pub(crate) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(crate) fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A block and what it costs.
struct Held {
    block: Vec<u8>,
    _hold: Hold,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.block
    }
}

/// Bytes taken from the budget, given back when dropped.
pub(crate) struct Hold {
    shared: Arc<Shared>,
    app: Arc<AtomicUsize>,
    bytes: usize,
}

impl Hold {
    /// Gives back without looking who waits: for [`Shared::grant`] itself.
    fn forgo(mut self, shared: &Shared) {
        self.app.fetch_sub(self.bytes, Ordering::Relaxed);
        shared.taken.fetch_sub(self.bytes, Ordering::SeqCst);
        self.bytes = 0;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.shared.give_back(&self.app, self.bytes);
        }
    }
}

/// What one instance has for its expenses: what it was granted at its start, and what it takes from
/// the budget beyond that. All is given back when the last part of the instance is gone.
pub(crate) struct Purse {
    shared: Arc<Shared>,
    app: Arc<AtomicUsize>,
    /// What was spent, and what was taken for it. One thread at a time changes them.
    spent: AtomicUsize,
    taken: AtomicUsize,
    /// What its own limit leaves the instance for memory: its linear memory and its files in `/tmp`.
    memory_left: AtomicUsize,
}

/// There is no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoMemory {
    /// The instance would have more than its limit.
    OverLimit,
    /// The server as a whole has no room.
    Short,
}

impl Purse {
    /// A purse with what was granted at the start of the instance, of which so much is spent at once. The
    /// instance may have so much memory.
    pub(crate) fn new(mut start: Hold, spent: usize, memory: usize) -> Self {
        let taken = std::mem::take(&mut start.bytes);
        Self {
            shared: Arc::clone(&start.shared),
            app: Arc::clone(&start.app),
            spent: AtomicUsize::new(spent.min(taken)),
            taken: AtomicUsize::new(taken),
            memory_left: AtomicUsize::new(memory),
        }
    }

    /// Pays for so many bytes of memory, which count against the instance's own limit too.
    pub(crate) fn spend_on_memory(&self, bytes: usize) -> Result<(), NoMemory> {
        let left = self.memory_left().checked_sub(bytes);
        let left = left.ok_or(NoMemory::OverLimit)?;
        self.spend(bytes).map_err(|_| NoMemory::Short)?;
        self.memory_left.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// Takes back what was paid for memory that is gone.
    pub(crate) fn refund_memory(&self, bytes: usize) {
        let left = self.memory_left().saturating_add(bytes);
        self.memory_left.store(left, Ordering::Relaxed);
        self.refund(bytes);
        // Many small files that are removed come to much.
        let spent = self.spent.load(Ordering::Relaxed);
        if self.taken().saturating_sub(spent) >= 4 * COIN {
            self.give_back_idle();
        }
    }

    /// The memory that the instance may still take of its limit, in bytes.
    pub(crate) fn memory_left(&self) -> usize {
        self.memory_left.load(Ordering::Relaxed)
    }

    /// Pays for so many bytes.
    pub(crate) fn spend(&self, bytes: usize) -> Result<(), MemoryShort> {
        let spent = self.spent.load(Ordering::Relaxed);
        let after = spent.checked_add(bytes).ok_or(MemoryShort)?;
        let taken = self.taken.load(Ordering::Relaxed);
        if after > taken {
            let more = (after - taken).next_multiple_of(COIN);
            self.shared.take_anyhow(&self.app, more)?;
            self.taken.fetch_add(more, Ordering::Relaxed);
        }
        self.spent.store(after, Ordering::Relaxed);
        Ok(())
    }

    /// Takes back what was paid for something that is gone.
    pub(crate) fn refund(&self, bytes: usize) {
        let spent = self.spent.load(Ordering::Relaxed).saturating_sub(bytes);
        self.spent.store(spent, Ordering::Relaxed);
        // Small change stays for the next expense.
        if bytes >= COIN && self.taken().saturating_sub(spent) >= 4 * COIN {
            self.give_back_idle();
        }
    }

    /// Gives back what is there for further expenses, but for small change.
    pub(crate) fn give_back_idle(&self) {
        let idle = self
            .taken()
            .saturating_sub(self.spent.load(Ordering::Relaxed));
        let back = idle - idle % COIN;
        if back > 0 {
            self.taken.fetch_sub(back, Ordering::Relaxed);
            self.shared.give_back(&self.app, back);
        }
    }

    /// What is taken of the budget, in bytes.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        let taken = *self.taken.get_mut();
        if taken > 0 {
            self.shared.give_back(&self.app, taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_hold_gives_back_what_it_took() {
        let memory = Memory::new(80, 0, |_| false);
        let app = memory.app();
        let hold = app.hold(60).unwrap();
        assert_eq!((memory.taken(), app.taken()), (60, 60));
        assert_eq!(app.hold(11).err(), Some(MemoryShort));
        assert_eq!((memory.taken(), app.taken()), (60, 60));
        drop(hold);
        assert_eq!((memory.taken(), app.taken()), (0, 0));
    }

    #[test]
    fn the_last_eighth_is_for_those_who_hold_little() {
        let memory = Memory::new(80, 0, |_| false);
        let (large, small) = (memory.app(), memory.app());
        let _all = large.hold(memory.largest()).unwrap();
        assert!(large.hold(1).is_err());
        let _some = small.hold(10).unwrap();
        assert!(small.hold(1).is_err());
        assert_eq!(memory.taken(), 80);
    }

    #[tokio::test]
    async fn those_who_wait_are_served_in_order_and_hold_up_their_own_app_only() {
        let memory = Memory::new(800, 0, |_| false);
        let (large, small) = (memory.app(), memory.app());
        let held = large.hold(650).unwrap();
        let waiting = tokio::spawn({
            let large = large.clone();
            async move { large.wait_for(100).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let other = tokio::time::timeout(Duration::from_secs(5), small.wait_for(50));
        let other = other.await.unwrap();
        drop(held);
        let granted = waiting.await.unwrap();
        assert_eq!(memory.taken(), 150);
        drop((granted, other));
        assert_eq!(memory.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_leaves_nothing_behind() {
        let memory = Memory::new(80, 0, |_| false);
        let app = memory.app();
        let held = app.hold(70).unwrap();
        let given_up = tokio::time::timeout(Duration::from_secs(1), app.wait_for(10)).await;
        assert!(given_up.is_err());
        drop(held);
        assert_eq!(memory.taken(), 0);
        drop(app.wait_for(70).await);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn a_purse_pays_from_what_it_has_first() {
        let memory = Memory::new(8 << 20, 0, |_| false);
        let app = memory.app();
        let purse = Purse::new(app.hold(COIN).unwrap(), 0, 0);
        purse.spend(COIN).unwrap();
        assert_eq!(memory.taken(), COIN);
        purse.spend(1).unwrap();
        assert_eq!(memory.taken(), 2 * COIN);
        assert_eq!(purse.spend(8 << 20), Err(MemoryShort));
        assert_eq!(purse.spend(usize::MAX), Err(MemoryShort));
        purse.spend(1 << 20).unwrap();
        purse.refund(1 << 20);
        assert!(memory.taken() <= 2 * COIN);
        drop(purse);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn memory_is_paid_for_and_counts_against_the_limit() {
        let memory = Memory::new(8 << 20, 0, |_| false);
        let purse = Purse::new(memory.app().hold(0).unwrap(), 0, 16 << 20);
        purse.spend_on_memory(4 << 20).unwrap();
        assert_eq!(purse.memory_left(), 12 << 20);
        assert_eq!(purse.spend_on_memory(13 << 20), Err(NoMemory::OverLimit));
        assert_eq!(purse.spend_on_memory(9 << 20), Err(NoMemory::Short));
        // What was refused was not counted.
        assert_eq!((purse.memory_left(), purse.taken()), (12 << 20, 4 << 20));
        purse.refund_memory(4 << 20);
        assert_eq!(purse.memory_left(), 16 << 20);
        assert!(memory.taken() <= 2 * COIN);
        // A little at a time comes back too.
        purse.spend_on_memory(1024 << 10).unwrap();
        for _ in 0..1024 {
            purse.refund_memory(1 << 10);
        }
        assert!(memory.taken() <= 4 * COIN);
    }

    #[test]
    fn a_block_pays_until_its_last_part_is_gone() {
        let memory = Memory::new(8 << 20, 0, |_| false);
        let app = memory.app();
        let mut block = app.block(vec![1; 1 << 20]).unwrap();
        let part = block.split_to(10);
        drop(block);
        assert_eq!(memory.taken(), 1 << 20);
        drop(part);
        assert_eq!(memory.taken(), 0);
        assert!(app.block(vec![1; 9 << 20]).is_err());
    }
}
