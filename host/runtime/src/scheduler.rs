//! Whose turn it is: processor time shared between apps, so that a guest which computes keeps nobody
//! else waiting.
//!
//! A guest's first turn is run where its request arrived, so that a short request never changes
//! threads. One that has used its turn up joins a queue that is fair by app (`fair.rs`) and is run by
//! threads of this file from then on, at a lower priority than the server's own: what accepts, parses
//! and writes is not kept waiting by them. One more thread ends guests whose time is over, at the
//! server's priority. Not here: how long a guest may run at all (`clock.rs`).

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_task::Runnable;
use tokio::runtime::Handle;

use crate::account::Account;
use crate::clock::Clock;
use crate::fair::{AppId, Fair, Progress, Taken};
use crate::in_place::InPlace;
use crate::slots::Polling;
use crate::system;
use crate::turn::{Turn, thread_cpu};

/// The first turn of a request: as much as it may use where it arrived.
const FIRST: Duration = Duration::from_millis(5);

/// A guest that has used so much is long: those of its app that are in progress no longer wait for it, and it has a share of
/// the turns beside theirs.
const LONG: Duration = Duration::from_millis(100);

/// An app that had a request so long ago wants to run no more.
const RECENT: Duration = Duration::from_millis(50);

/// How much lower the priority of our threads is. Against a busy thread of the server this leaves
/// them about a fourth of a core, so that no flood of short requests starves them.
#[cfg(target_os = "linux")]
const NICE: i32 = 6;

/// What runs the guests of one runtime. The threads come with the first guest that needs one, and
/// end with this.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
}

struct Shared {
    threads: usize,
    began: Instant,
    state: Mutex<State>,
    /// For the threads that give turns.
    wake: Condvar,
    /// For the one that ends what is overdue.
    overdue: Condvar,
    /// The two apps that had requests last, each with its time; see [`Recent`].
    recent: [AtomicU64; 2],
}

struct State {
    queue: Fair<Queued>,
    /// Threads that wait for something to do.
    idle: usize,
    started: usize,
    /// The deadline that the thread for overdue guests waits for; none while it is not there.
    watched: Option<Instant>,
    stop: bool,
}

/// A guest that waits for its turn.
struct Queued {
    runnable: Runnable,
    about: Arc<About>,
}

/// What is known of one request's guest beside its future.
struct About {
    account: Arc<Account>,
    turn: Arc<Turn>,
    clock: Arc<Clock>,
    /// The tokio runtime whose timers and sockets the guest may wait for, once it has left that
    /// runtime's threads.
    home: OnceLock<Handle>,
}

impl Drop for About {
    fn drop(&mut self) {
        let used = self.turn.used();
        self.account.sample(used);
        self.account.metrics.used_cpu(used);
    }
}

/// One request's work: its future, which is polled turn by turn.
pub(crate) struct Guest {
    about: Arc<About>,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

enum Step {
    Done,
    /// It waits for something and will be woken.
    Waiting,
    /// It would go on, and has had its turn.
    TurnOver,
}

impl Guest {
    pub(crate) fn new(
        account: Arc<Account>,
        turn: Arc<Turn>,
        clock: Arc<Clock>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            about: Arc::new(About {
                account,
                turn,
                clock,
                home: OnceLock::new(),
            }),
            future: Box::pin(future),
        }
    }

    /// One poll, and the processor time it took.
    fn step(&mut self, context: &mut Context<'_>) -> (Step, Duration) {
        let turn = &self.about.turn;
        turn.begin();
        let polling = Polling::begin();
        let polled = self.future.as_mut().poll(context);
        drop(polling);
        let took = turn.end();
        let step = match polled {
            Poll::Ready(()) => Step::Done,
            Poll::Pending if turn.is_over() => Step::TurnOver,
            Poll::Pending => Step::Waiting,
        };
        (step, took)
    }

    /// Whether it may have a turn on this thread, which is the server's.
    fn may_run_here(&self, now: Instant) -> bool {
        self.about.account.is_short(now) && InPlace::has_room(now)
    }

    /// One poll where the request arrived.
    fn step_in_place(&mut self, context: &mut Context<'_>) -> Step {
        let (step, took) = self.step(context);
        InPlace::count(took);
        if took > 2 * FIRST {
            self.about.account.overran(took);
        }
        match step {
            // One that wakes all the time uses its first turn up as well, in many pieces.
            Step::Waiting if self.about.turn.used() >= FIRST => Step::TurnOver,
            step => step,
        }
    }
}

impl Scheduler {
    /// One with a thread a core; it starts none yet.
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                threads: system::cores(),
                began: Instant::now(),
                state: Mutex::new(State {
                    queue: Fair::default(),
                    idle: 0,
                    started: 0,
                    watched: None,
                    stop: false,
                }),
                wake: Condvar::new(),
                overdue: Condvar::new(),
                recent: Default::default(),
            }),
        }
    }

    /// How many guests wait for a turn.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// Runs a guest to its end, which may be long after this returns: here for its first turn, as
    /// long as it need not wait, and elsewhere from then on.
    ///
    /// A guest whose request has a body gets a task at once. A server may have to see that the
    /// body is left alone before it sees the answer, and both must not happen in one poll.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub(crate) async fn run(&self, guest: Guest, has_body: bool) {
        let now = Instant::now();
        self.shared.note(guest.about.account.id, now);
        if !guest.may_run_here(now) {
            return self.shared.adopt(guest);
        }
        if has_body {
            return self.shared.spawn(guest);
        }
        let mut first = Some(guest);
        let left = std::future::poll_fn(|context| {
            Poll::Ready(
                match first.as_mut().map(|guest| guest.step_in_place(context)) {
                    None | Some(Step::Done) => None,
                    Some(Step::Waiting) => first.take().map(|guest| (guest, false)),
                    Some(Step::TurnOver) => first.take().map(|guest| (guest, true)),
                },
            )
        })
        .await;
        match left {
            None => {}
            Some((guest, true)) => self.shared.adopt(guest),
            Some((guest, false)) => self.shared.spawn(guest),
        }
    }
}

impl Drop for Scheduler {
    /// Nothing is left to run: each guest keeps its runtime alive, and so this.
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        self.shared.overdue.notify_all();
    }
}

/// A guest within its first turn that waits for its client or the like, on the server's threads.
struct Waiting {
    shared: Arc<Shared>,
    guest: Option<Guest>,
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(mut guest) = self.guest.take() else {
            return Poll::Ready(());
        };
        // Many may have waited for the same moment.
        let step = if guest.may_run_here(Instant::now()) {
            guest.step_in_place(context)
        } else {
            Step::TurnOver
        };
        match step {
            Step::Done => Poll::Ready(()),
            Step::Waiting => {
                self.guest = Some(guest);
                Poll::Pending
            }
            Step::TurnOver => {
                self.shared.adopt(guest);
                Poll::Ready(())
            }
        }
    }
}

/// A guest on our own threads.
struct Adopted(Guest);

impl Future for Adopted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.0.step(context).0 {
            Step::Done => return Poll::Ready(()),
            Step::Waiting => {}
            // To the end of the queue.
            Step::TurnOver => context.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a guest a task of its own: a client that goes away must not cancel a call in the
    /// middle.
    fn spawn(self: &Arc<Self>, guest: Guest) {
        drop(tokio::spawn(Waiting {
            shared: Arc::clone(self),
            guest: Some(guest),
        }));
    }

    /// Takes a guest over.
    fn adopt(self: &Arc<Self>, guest: Guest) {
        let about = Arc::clone(&guest.about);
        if about.turn.is_over() || about.turn.used() >= FIRST {
            // So that the next of its kind are not begun in place, long before this one ends.
            about.account.sample(FIRST);
        }
        about.home.get_or_init(Handle::current);
        let shared = Arc::clone(self);
        let schedule = move |runnable| shared.push(runnable, Arc::clone(&about));
        let (runnable, task) = async_task::spawn(Adopted(guest), schedule);
        task.detach();
        runnable.schedule();
    }

    fn push(self: &Arc<Self>, runnable: Runnable, about: Arc<About>) {
        let now = Instant::now();
        let deadline = about.clock.deadline(now);
        let app = about.account.id;
        let cores = about.account.cores;
        let progress = match about.turn.used() {
            Duration::ZERO => Progress::New,
            used if used < LONG => Progress::Begun,
            _ => Progress::Long,
        };
        about.turn.enqueue(now);
        let mut state = self.lock();
        let queued = Queued { runnable, about };
        state.queue.push(app, cores, progress, deadline, queued);
        let sooner = match (deadline, state.watched) {
            (Some(deadline), Some(watched)) => deadline < watched,
            _ => false,
        };
        self.ensure_threads(&mut state);
        drop(state);
        self.wake.notify_one();
        if sooner {
            self.overdue.notify_one();
        }
    }

    /// Starts threads where there are too few for what waits. Where the system gives none, those that
    /// there are must do, and the next push tries again.
    fn ensure_threads(self: &Arc<Self>, state: &mut State) {
        if state.idle == 0 && state.started < self.threads {
            let shared = Arc::clone(self);
            let number = state.started;
            if start(format!("wasm-gw-guest-{number}"), move || shared.work()) {
                state.started += 1;
            }
        }
        if state.watched.is_none() {
            let shared = Arc::clone(self);
            if start("wasm-gw-overdue".to_owned(), move || shared.end_overdue()) {
                state.watched = Some(Instant::now());
            }
        }
    }

    fn work(self: &Arc<Self>) {
        lower_priority();
        while let Some(taken) = self.next() {
            self.give_turn(taken);
        }
    }

    /// Ends guests whose time is over while they wait for their turns. They need next to no processor
    /// time for that, and should not wait for the little that a busy server leaves to the others.
    fn end_overdue(&self) {
        loop {
            let mut state = self.lock();
            let taken = loop {
                let now = Instant::now();
                if let Some(taken) = state.queue.take_overdue(now) {
                    break taken;
                }
                if state.stop && state.queue.is_empty() {
                    return;
                }
                let far_off = now + Duration::from_secs(3600);
                let next = state.queue.next_deadline().unwrap_or(far_off);
                state.watched = Some(next);
                state = self
                    .overdue
                    .wait_timeout(state, next.saturating_duration_since(now))
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            };
            drop(state);
            self.give_turn(taken);
        }
    }

    fn give_turn(&self, taken: Taken<Queued>) {
        let Taken { app, item } = taken;
        let Queued { runnable, about } = item;
        about.turn.dequeue(Instant::now());
        // By this thread's own clock: once it is back in the queue, another may run the guest.
        let before = thread_cpu();
        let home = about.home.get().map(Handle::enter);
        // A panic has already dropped the future, and with it the way to the client, who gets an
        // error. It must not take the thread along.
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| runnable.run()));
        if ran.is_err() {
            tracing::error!("a panic ended a request; this is a bug of the server");
        }
        drop(home);
        drop(about);
        let used = Duration::from_nanos(thread_cpu().saturating_sub(before));
        self.lock().queue.ran(app, used);
    }

    /// Waits for a guest whose turn it is; none when there will be no more.
    fn next(self: &Arc<Self>) -> Option<Taken<Queued>> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let others_want = |app| self.others_are_active(app, now);
            if let Some(taken) = state.queue.take(now, others_want) {
                if !state.queue.is_empty() {
                    self.ensure_threads(&mut state);
                    self.wake.notify_one();
                }
                return Some(taken);
            }
            if state.stop && state.queue.is_empty() {
                return None;
            }
            // With guests in the queue whose app has all its cores, one may be due later, or the
            // others may stop to want theirs.
            let patience = match state.queue.is_empty() {
                true => Duration::from_secs(3600),
                false => Duration::from_millis(2),
            };
            state.idle += 1;
            state = self
                .wake
                .wait_timeout(state, patience)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.idle -= 1;
        }
    }

    /// A request of this app has arrived.
    fn note(&self, app: AppId, now: Instant) {
        let [latest, other] = &self.recent;
        let seen = latest.load(Ordering::Relaxed);
        let mark = Recent::new(app, now.saturating_duration_since(self.began)).0;
        if seen == mark {
            return;
        }
        if Recent(seen).app() != Recent(mark).app() {
            other.store(seen, Ordering::Relaxed);
        }
        latest.store(mark, Ordering::Relaxed);
    }

    /// Whether another app than this has had a request of late.
    fn others_are_active(&self, app: AppId, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.began);
        let active = |recent: &AtomicU64| {
            let recent = Recent(recent.load(Ordering::Relaxed));
            recent.0 != 0
                && recent.app() != Recent::new(app, now).app()
                && now.saturating_sub(recent.time()) < RECENT
        };
        self.recent.iter().any(active)
    }
}

/// An app and a time in one word: 24 bits of its number, and milliseconds since the start.
struct Recent(u64);

impl Recent {
    const TIME_BITS: u32 = 40;

    fn new(app: AppId, time: Duration) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or_default();
        let time = millis & ((1 << Self::TIME_BITS) - 1);
        Self(app.0 << Self::TIME_BITS | time)
    }

    fn app(&self) -> u64 {
        self.0 >> Self::TIME_BITS
    }

    fn time(&self) -> Duration {
        Duration::from_millis(self.0 & ((1 << Self::TIME_BITS) - 1))
    }
}

/// Starts a thread, if the system has one.
fn start(name: String, run: impl FnOnce() + Send + 'static) -> bool {
    let started = std::thread::Builder::new().name(name).spawn(run);
    if let Err(error) = &started {
        tracing::debug!("a thread for guests cannot be started: {error}");
    }
    started.is_ok()
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux this is about the calling thread alone. If it fails, guests run like the server.
    let own = rustix::process::getpriority_process(None).unwrap_or(0);
    if let Err(error) = rustix::process::setpriority_process(None, own + NICE) {
        tracing::debug!("the priority of guests cannot be lowered: {error}");
    }
}

/// Elsewhere the call would be about the whole process.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}
