//! The thread that ticks the engines' epochs while any instance is alive, and the count of those.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use wasmtime::{Engine, EngineWeak};

/// How long a guest runs before it looks at its clock and lets others run.
const TICK: Duration = Duration::from_millis(5);

/// The thread that ticks the epochs, asleep while no instance is alive.
///
/// It starts with the first instance and ends with this.
pub(crate) struct Ticker {
    shared: Arc<TickerShared>,
}

struct TickerShared {
    live: AtomicUsize,
    asleep: AtomicBool,
    state: Mutex<TickerState>,
    wake: Condvar,
    /// Told when the last instance ends.
    idle: Notify,
}

#[derive(Default)]
struct TickerState {
    engines: Vec<EngineWeak>,
    started: bool,
    stop: bool,
}

impl TickerShared {
    /// One instance is alive no more.
    fn leave(&self) {
        if self.live.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.idle.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, TickerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticker {
    /// One for no engine yet.
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(TickerShared {
                live: AtomicUsize::new(0),
                asleep: AtomicBool::new(true),
                state: Mutex::default(),
                wake: Condvar::new(),
                idle: Notify::new(),
            }),
        }
    }

    /// Ticks this engine's epoch too, from now on and for as long as there is the engine.
    pub(crate) fn watch(&self, engine: &Engine) {
        self.shared.lock().engines.push(engine.weak());
    }

    /// Keeps the epochs ticking for as long as the guard lives.
    ///
    /// # Errors
    ///
    /// The thread cannot be started. Without it no bound of time would hold.
    pub(crate) fn ticking(&self) -> std::io::Result<Ticking> {
        // Sequentially consistent on both sides: either the thread sees this instance before it
        // goes to sleep, or this sees that it sleeps.
        self.shared.live.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.wake().inspect_err(|_| self.shared.leave())?;
        }
        Ok(Ticking(Arc::clone(&self.shared)))
    }

    /// Resolves when no instance is alive.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.shared.idle.notified();
            if self.live() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// How many instances are alive.
    pub(crate) fn live(&self) -> usize {
        self.shared.live.load(Ordering::SeqCst)
    }

    #[cold]
    fn wake(&self) -> std::io::Result<()> {
        let mut state = self.shared.lock();
        self.shared.asleep.store(false, Ordering::SeqCst);
        if state.started {
            self.shared.wake.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let started = std::thread::Builder::new()
            .name("wasm-gw-epoch".to_owned())
            .spawn(move || tick(&shared));
        // If it did not, the next instance tries again.
        state.started = started.is_ok();
        self.shared.asleep.store(!state.started, Ordering::SeqCst);
        started.map(drop)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
    }
}

/// Holds the epoch ticking; see [`Ticker::ticking`].
pub(crate) struct Ticking(Arc<TickerShared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn tick(shared: &TickerShared) {
    /// Idle ticks before the thread goes to sleep: waking it costs a request more than a tick.
    const PATIENCE: u32 = 200;
    let mut idle = 0;
    loop {
        std::thread::sleep(TICK);
        let mut state = shared.lock();
        if state.stop {
            return;
        }
        state.engines.retain(|engine| {
            let engine = engine.upgrade();
            engine.is_some_and(|engine| {
                engine.increment_epoch();
                true
            })
        });
        drop(state);
        idle = match shared.live.load(Ordering::SeqCst) {
            0 => idle + 1,
            _ => 0,
        };
        if idle < PATIENCE {
            continue;
        }
        let mut state = shared.lock();
        shared.asleep.store(true, Ordering::SeqCst);
        while !state.stop
            && shared.asleep.load(Ordering::SeqCst)
            && shared.live.load(Ordering::SeqCst) == 0
        {
            state = shared
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop {
            return;
        }
        shared.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
