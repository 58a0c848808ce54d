//! The processor time of one request: what its guest has used, and whether its turn is over.
//!
//! A request's task is polled by one thread at a time, now this one, then another. Each poll is
//! measured by the clock of the thread it runs on, so that neither sleep nor the turns of others
//! count. To ask that clock costs a call of the system, so a poll that is over before another thread can
//! have had the processor is measured by the time that went by. Whose turn comes next is in
//! `scheduler.rs`.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasm_gw_protocol::CpuTime;

/// A turn that has only just begun goes on when a tick happens to fall into it.
const LEAST: Duration = Duration::from_millis(1);

/// One request's turns. Written by the thread that polls it; others may look.
#[derive(Debug)]
pub(crate) struct Turn {
    born: Instant,
    /// What the polls that have ended took; the server's access log reads it.
    cpu: CpuTime,
    /// When the poll in progress began, in nanoseconds after birth.
    began: AtomicU64,
    /// Processor time of the polling thread then or shortly before, in nanoseconds.
    base: AtomicU64,
    /// The guest has given up its turn and waits for the next.
    over: AtomicBool,
    /// Time spent in the queue for turns, in nanoseconds, but for the present stay.
    waited: AtomicU64,
    /// When the present stay began, in nanoseconds after birth, and not 0.
    queued: AtomicU64,
}

impl Default for Turn {
    fn default() -> Self {
        Self::new(CpuTime::default())
    }
}

impl Turn {
    /// The turns of a request whose processor time is counted in `cpu`.
    pub(crate) fn new(cpu: CpuTime) -> Self {
        Self {
            born: Instant::now(),
            cpu,
            began: AtomicU64::new(0),
            base: AtomicU64::new(0),
            over: AtomicBool::new(false),
            waited: AtomicU64::new(0),
            queued: AtomicU64::new(0),
        }
    }

    /// A poll begins on this thread.
    pub(crate) fn begin(&self) {
        let now = Instant::now();
        self.over.store(false, Ordering::Relaxed);
        self.base.store(recent_cpu(now), Ordering::Relaxed);
        self.began.store(self.age(now), Ordering::Relaxed);
    }

    /// The poll ends. Returns what it took.
    pub(crate) fn end(&self) -> Duration {
        let took = self.running();
        self.cpu.add(took);
        took
    }

    /// What the poll in progress on this thread has taken so far.
    pub(crate) fn running(&self) -> Duration {
        let began = self.began.load(Ordering::Relaxed);
        let passed = self.age(Instant::now()).saturating_sub(began);
        if passed <= UNDISTURBED {
            return Duration::from_nanos(passed);
        }
        let base = self.base.load(Ordering::Relaxed);
        Duration::from_nanos(passed.min(thread_cpu().saturating_sub(base)))
    }

    /// The processor time of all polls that have ended.
    pub(crate) fn used(&self) -> Duration {
        self.cpu.get()
    }

    /// That, and the poll in progress on this thread.
    pub(crate) fn used_now(&self) -> Duration {
        self.used() + self.running()
    }

    /// Whether a guest that is running has had its turn.
    pub(crate) fn is_used_up(&self) -> bool {
        self.running() >= LEAST
    }

    /// Ends the turn when awaited. Nobody is woken: whoever polls looks at [`Turn::is_over`].
    pub(crate) fn give_up(self: &Arc<Self>) -> GiveUp {
        GiveUp {
            turn: Some(Arc::clone(self)),
        }
    }

    /// Whether the last poll ended because the guest's turn was over.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The request begins to wait for a turn.
    pub(crate) fn enqueue(&self, now: Instant) {
        self.queued.store(self.age(now).max(1), Ordering::Relaxed);
    }

    /// It has one.
    pub(crate) fn dequeue(&self, now: Instant) {
        let waited = self.in_queue(now);
        self.queued.store(0, Ordering::Relaxed);
        self.waited.fetch_add(waited, Ordering::Relaxed);
    }

    /// The time it has waited for turns, all together.
    pub(crate) fn waited(&self, now: Instant) -> Duration {
        let before = self.waited.load(Ordering::Relaxed);
        Duration::from_nanos(before.saturating_add(self.in_queue(now)))
    }

    /// The present stay in the queue, in nanoseconds.
    fn in_queue(&self, now: Instant) -> u64 {
        match self.queued.load(Ordering::Relaxed) {
            0 => 0,
            since => self.age(now).saturating_sub(since),
        }
    }

    fn age(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born);
        u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// See [`Turn::give_up`].
pub(crate) struct GiveUp {
    turn: Option<Arc<Turn>>,
}

impl Future for GiveUp {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.turn.take() {
            Some(turn) => {
                turn.over.store(true, Ordering::Relaxed);
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

/// No thread gets the processor for less, in nanoseconds: who has run on for no longer was not interrupted.
const UNDISTURBED: u64 = 250_000;

/// The processor time of this thread now, or as of [`UNDISTURBED`] ago at most, in nanoseconds.
fn recent_cpu(now: Instant) -> u64 {
    thread_local! {
        static READ: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
    }
    if let Some((at, cpu)) = READ.get()
        && now.saturating_duration_since(at).as_nanos() < u128::from(UNDISTURBED)
    {
        return cpu;
    }
    let cpu = thread_cpu();
    READ.set(Some((now, cpu)));
    cpu
}

/// The processor time of this thread, in nanoseconds.
pub(crate) fn thread_cpu() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps this thread busy.
    fn burn(turn: &Turn, time: Duration) {
        while turn.running() < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn only_polls_count() {
        let turn = Turn::default();
        turn.begin();
        burn(&turn, Duration::from_millis(2));
        assert!(turn.is_used_up());
        turn.end();
        let took = turn.used();
        assert!(took >= Duration::from_millis(2));
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(turn.used(), took);
        turn.begin();
        assert!(!turn.is_used_up());
        turn.end();
        assert!(turn.used() >= took);
    }

    #[test]
    fn a_wait_counts_while_it_lasts() {
        let turn = Turn::default();
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(turn.waited(now), Duration::ZERO);
        turn.enqueue(now);
        assert_eq!(turn.waited(now + second), second);
        turn.dequeue(now + 2 * second);
        assert_eq!(turn.waited(now + 9 * second), 2 * second);
    }

    #[test]
    fn a_turn_that_was_given_up_is_over_until_the_next_begins() {
        let turn = Arc::new(Turn::default());
        let mut give_up = std::pin::pin!(turn.give_up());
        let mut context = Context::from_waker(std::task::Waker::noop());
        turn.begin();
        assert!(!turn.is_over());
        assert!(give_up.as_mut().poll(&mut context).is_pending());
        turn.end();
        assert!(turn.is_over());
        turn.begin();
        assert!(!turn.is_over());
        assert!(give_up.as_mut().poll(&mut context).is_ready());
    }
}
