//! The runtime and its apps: what is loaded once, and what each request takes from it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use http::Response;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wasm_gw_protocol::{Environ, Exchange, ResponseLimits, weak};

use crate::account::Account;
use crate::breaker::Breaker;
use crate::cache::{Cache, CacheUse};
use crate::clock::Clock;
use crate::component::{self, ComponentError};
use crate::config::{AppConfig, Isolation, RuntimeConfig};
use crate::engine::{Allocator, Engines};
use crate::error::Failure;
use crate::grants::{GrantError, Grants};
use crate::guest::GatewayPre;
use crate::guest::bindings::wasm_gw::gateway::types::RunFlags;
use crate::guest::environ::GuestEnviron;
use crate::guest::gateway;
use crate::guest::input::{Input, RequestBody};
use crate::guest_log::GuestLog;
use crate::instance::{self, RequestParts, State};
use crate::limits::InstanceLimits;
use crate::memory::{AppMemory, Hold, Memory, Purse};
use crate::metrics::{Gauges, Metrics};
use crate::observer::Observer;
use crate::output::{Output, ResponseBody};
use crate::packed::{Packed, PackedError};
use crate::parked::{Instance, Lot, Parked, Promise};
use crate::queue::{Busy, Permit, Queue};
use crate::record::Record;
use crate::scheduler::Scheduler;
use crate::settle::Asked;
use crate::source::Source;
use crate::system;
use crate::ticker::{Ticker, Ticking};
use crate::turn::Turn;
use crate::wasi::{self, Wasi};

/// What apps share: the slots that their instances live in, the threads that run them, the cache of
/// compiled code. Cheap to clone.
///
/// It starts nothing: threads come with the first request, and end with the last clone.
#[derive(Clone)]
pub struct Runtime(Arc<RuntimeInner>);

struct RuntimeInner {
    engines: Engines,
    cache: Option<Cache>,
    ticker: Ticker,
    scheduler: Scheduler,
    memory: Memory,
    parked: Arc<Parked>,
    metrics: Metrics,
    instances: usize,
    max_memory: usize,
}

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("this system cannot run WebAssembly: {0}")]
pub struct RuntimeError(String);

impl Runtime {
    /// Finds out what the system allows, and starts nothing.
    ///
    /// A cache that cannot be used is no error: the log says why, and each start compiles.
    ///
    /// # Errors
    ///
    /// No engine can be made, as on a processor that wasmtime has no support for.
    pub fn new(config: RuntimeConfig) -> Result<Self, RuntimeError> {
        let total = config.memory_total.unwrap_or_else(default_memory_total);
        let total = if weak("memory-total") {
            usize::MAX / 4
        } else {
            total
        };
        let engines = Engines::new(&config, total);
        // Each app has an engine of its own, which would fail in the same way.
        (engines.engine()).map_err(|error| RuntimeError(format!("{error:#}")))?;
        let parked = Arc::new(Parked::default());
        let spare = Arc::clone(&parked);
        let memory = Memory::new(total, engines.kept_memory(), move |lacking| {
            spare.evict_for(lacking)
        });
        let cache = match config.cache.map(Cache::open).transpose() {
            Ok(cache) => cache,
            Err(error) if weak("cache-errors") => return Err(RuntimeError(error.to_string())),
            Err(error) => {
                tracing::warn!("compiled code is not kept between runs: {error}");
                None
            }
        };
        Ok(Self(Arc::new(RuntimeInner {
            ticker: Ticker::new(),
            engines,
            cache,
            scheduler: Scheduler::new(),
            metrics: Metrics::new(),
            memory,
            parked,
            instances: config.instances as usize,
            max_memory: config.max_memory,
        })))
    }

    /// Which allocator is in use, and how it resets memory between requests.
    pub fn allocator(&self) -> &Allocator {
        self.0.engines.allocator()
    }

    /// Resolves when no instance serves a request. A response may have ended before its guest has: `close`
    /// is called after it, so a server that stops should wait for this, for a bounded time.
    pub async fn idle(&self) {
        self.0.ticker.idle().await;
    }

    /// How many instances serve a request now.
    pub fn instances(&self) -> usize {
        self.0.ticker.live()
    }

    /// All numbers in Prometheus' text format 0.0.4, as they are now.
    pub fn metrics(&self) -> String {
        let inner = &self.0;
        inner.metrics.text(&Gauges {
            live: inner.ticker.live(),
            parked: inner.parked.count(),
            warm: inner.engines.kept(),
            committed: inner.memory.taken() as u64,
            budget: inner.memory.total() as u64,
            run_queue: inner.scheduler.waiting(),
        })
    }

    pub(crate) fn engines(&self) -> &Engines {
        &self.0.engines
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.0.cache.as_ref()
    }

    /// What all instances together may take, in bytes, by [`RuntimeConfig::memory_total`].
    pub fn memory_total(&self) -> usize {
        self.0.memory.total()
    }
}

/// Seven tenths of what the system lets this process have. Where that cannot be found out, enough for
/// a small machine.
fn default_memory_total() -> usize {
    const UNKNOWN: u64 = 1 << 30;
    let memory = system::memory().unwrap_or(UNKNOWN);
    usize::try_from(memory / 10 * 7).unwrap_or(usize::MAX)
}

/// A component that is compiled, linked and ready to answer. Cheap to clone.
#[derive(Clone)]
pub struct App(pub(crate) Arc<AppInner>);

pub(crate) struct AppInner {
    runtime: Runtime,
    config: AppConfig,
    record: Arc<Record>,
    limits: Arc<InstanceLimits>,
    grants: Arc<Grants>,
    packed: Option<Arc<Packed>>,
    pub(crate) pre: GatewayPre<State>,
    queue: Arc<Queue>,
    /// Where instances wait for their next request, if they serve more than one.
    lot: Option<Arc<Lot>>,
    compiled: CacheUse,
    loaded_bytes: usize,
    account: Arc<Account>,
    memory: AppMemory,
    /// What an instance takes of the server's memory before it has done anything, in bytes.
    start: usize,
    /// What of it is there in any case, and pays for nothing else.
    fixed: usize,
}

/// Why an app cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component cannot be run.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A granted folder cannot be opened.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The files that the component brings along cannot be used.
    #[error(transparent)]
    Files(#[from] PackedError),
    /// The server as a whole has not the memory for one instance.
    #[error(
        "one instance takes {needed} bytes at its start and the server may give it {most}; \
         raise the memory of all instances together (`serve --memory-total`)"
    )]
    MemoryTotal {
        /// What an instance takes at its start, in bytes.
        needed: usize,
        /// The most that one can be given, in bytes.
        most: usize,
    },
    /// Its memory limit is above the runtime's.
    #[error("the memory limit of {limit} bytes is above the runtime's {max} (`max_memory`)")]
    MemoryLimit {
        /// The app's limit in bytes.
        limit: usize,
        /// The runtime's in bytes.
        max: usize,
    },
}

impl App {
    /// Checks and compiles a component. It takes seconds for a large one that is not in the cache,
    /// so keep it off the threads that serve requests.
    ///
    /// # Errors
    ///
    /// The component is none, or is not an application that this host can run; a granted folder is
    /// not there. The message names the thing and the mend.
    pub fn load(runtime: &Runtime, config: AppConfig, bytes: &[u8]) -> Result<Self, LoadError> {
        Self::from_source(runtime, config, None, true, || Ok(Source::of(bytes)))
    }

    /// As [`load`](Self::load), with the component in a file. That is faster for a large one, whose code and
    /// data are not read into memory first.
    ///
    /// # Errors
    ///
    /// As for `load`, and the file cannot be read.
    pub fn load_file(runtime: &Runtime, config: AppConfig, file: &Path) -> Result<Self, LoadError> {
        Self::from_source(runtime, config, None, true, || {
            File::open(file).and_then(Source::read)
        })
    }

    /// As [`load_file`](Self::load_file), of a component whose code is in the cache: nothing is compiled, so this
    /// takes milliseconds. `old` is the version that this one comes after, if there is one: the two are one app where there
    /// is a bound, as by [`new_version`](Self::new_version).
    ///
    /// # Errors
    ///
    /// As for `load_file`; [`ComponentError::NotCompiled`] if the code is not in the cache.
    pub fn load_compiled(
        runtime: &Runtime,
        config: AppConfig,
        old: Option<&Self>,
        file: &Path,
    ) -> Result<Self, LoadError> {
        Self::from_source(runtime, config, old, false, || {
            File::open(file).and_then(Source::read)
        })
    }

    /// A new version of this app: the component in this file, with the same configuration. Both are the same
    /// app where there is a bound: while requests that began with the old version end, the two share its
    /// instances, its processor time and its memory.
    ///
    /// # Errors
    ///
    /// As for [`load_file`](Self::load_file).
    pub fn new_version(&self, file: &Path) -> Result<Self, LoadError> {
        let config = self.config().clone();
        Self::from_source(&self.0.runtime, config, Some(self), true, || {
            File::open(file).and_then(Source::read)
        })
    }

    fn from_source<'a>(
        runtime: &Runtime,
        config: AppConfig,
        old: Option<&Self>,
        may_compile: bool,
        source: impl FnOnce() -> io::Result<Source<'a>>,
    ) -> Result<Self, LoadError> {
        let max = runtime.0.max_memory;
        if config.limits.memory > max {
            let limit = config.limits.memory;
            return Err(LoadError::MemoryLimit { limit, max });
        }
        config.grants.check()?;
        let inner = &runtime.0;
        let source = source().map_err(ComponentError::Unreadable)?;
        let packed = Packed::of(&source, inner.cache.as_ref())?;
        let compiler = component::Compiler {
            cache: inner.cache.as_ref(),
            may_compile,
        };
        let loaded = component::load(&inner.engines, compiler, &config.limits, &source)?;
        let start = instance::start_cost(loaded.initial_memory, loaded.instance_size);
        let most = inner.memory.largest();
        if start > most {
            return Err(LoadError::MemoryTotal {
                needed: start,
                most,
            });
        }
        if let Isolation::App(reuse) = config.isolation
            && loaded.initial_memory > reuse.memory
        {
            tracing::warn!(
                "no instance of {} serves a second request: each begins with {} bytes of memory, and serves no more \
                 above {} (reuse memory)",
                config.name,
                loaded.initial_memory,
                reuse.memory,
            );
        }
        inner.ticker.watch(loaded.pre.engine());
        inner.metrics.compiled(loaded.compiled);
        let metrics = inner.metrics.app(&config.name);
        Ok(Self(Arc::new(AppInner {
            runtime: runtime.clone(),
            record: Arc::new(Record {
                name: config.name.as_str().into(),
                metrics: metrics.clone(),
                breaker: Breaker::new(),
            }),
            limits: Arc::new(config.limits.clone().weakened()),
            grants: Arc::new(config.grants.clone()),
            packed,
            queue: old.map_or_else(
                || {
                    Arc::new(Queue::new(
                        config.concurrency,
                        config.queue,
                        config.queue_timeout,
                    ))
                },
                |old| Arc::clone(&old.0.queue),
            ),
            lot: match config.isolation {
                Isolation::Request => None,
                Isolation::App(reuse) => Some(inner.parked.lot(reuse)),
            },
            pre: loaded.pre,
            compiled: loaded.compiled,
            loaded_bytes: loaded.bytes,
            account: old.map_or_else(
                || Arc::new(Account::new(config.cores, metrics)),
                Self::account,
            ),
            memory: old.map_or_else(|| inner.memory.app(), |old| old.0.memory.clone()),
            start,
            fixed: instance::fixed_cost(loaded.instance_size),
            config,
        })))
    }

    /// What the app was loaded with.
    pub fn config(&self) -> &AppConfig {
        &self.0.config
    }

    /// What it takes of the host while it is loaded and nobody asks for it, in bytes: its code, and what its
    /// memory begins with.
    pub fn loaded_bytes(&self) -> usize {
        self.0.loaded_bytes
    }

    /// Whether it was compiled at load, or found in the cache.
    pub fn compiled(&self) -> CacheUse {
        self.0.compiled
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.record.name
    }

    pub(crate) fn limits(&self) -> &InstanceLimits {
        &self.0.limits
    }

    pub(crate) fn account(&self) -> Arc<Account> {
        Arc::clone(&self.0.account)
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.0.record
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.0.runtime.0.scheduler
    }

    /// Waits for the right to an instance, and for one that is parked or the memory for a new one.
    pub(crate) async fn enter(&self) -> Result<Entry, Busy> {
        let metrics = &self.0.record.metrics;
        let begun = Instant::now();
        let waiting = metrics.waiting();
        let entered = self.enter_since(begun).await;
        drop(waiting);
        metrics.waited(begun.elapsed());
        entered
    }

    async fn enter_since(&self, begun: Instant) -> Result<Entry, Busy> {
        let app = &*self.0;
        let patience = app.config.queue_timeout;
        let permit = app.queue.enter().await?;
        if let Some(promise) = app.lot.as_ref().and_then(Lot::promise_at_once) {
            let room = Room::Parked(promise);
            return Ok(Entry { permit, room });
        }
        if let Ok(memory) = app.memory.hold_at_once(app.start) {
            let room = Room::New(memory);
            return Ok(Entry { permit, room });
        }
        let room = async {
            let Some(lot) = &app.lot else {
                return Room::New(app.memory.wait_for(app.start).await);
            };
            tokio::select! {
                biased;
                promise = lot.wait() => Room::Parked(promise),
                memory = app.memory.wait_for(app.start) => Room::New(memory),
            }
        };
        let waited = match begun.checked_add(patience) {
            Some(until) => tokio::time::timeout_at(until, room).await,
            None => Ok(room.await),
        };
        match waited {
            Ok(room) => Ok(Entry { permit, room }),
            Err(_) => Err(Busy(
                format!(
                    "the server's memory (memory-total) had no room for {patience:?} (queue timeout)"
                )
                .into(),
            )),
        }
    }

    /// Runs one request from beginning to end, in an instance of its own or in one that is parked.
    pub(crate) async fn run(self, job: Job) {
        let Some((mut place, environ)) = self.place(job) else {
            return;
        };
        let settle = |state: &mut State, outcome| place.asked.settle(state, outcome);
        let Instance { store, guest, .. } = &mut place.instance;
        *guest = gateway::run(&self.0.pre, store, guest.take(), environ, settle).await;
        store.data().log.flush();
        if let Some(lot) = &self.0.lot {
            let Place {
                instance, input, ..
            } = place;
            if instance.guest.is_some() {
                input.cut_off();
                lot.park(instance);
                self.yield_to_others();
            }
        }
    }

    /// What a request takes before its guest runs. None if it takes nothing any more: it has its answer
    /// then, or its client has gone.
    pub(crate) fn place(&self, job: Job) -> Option<(Place, GuestEnviron)> {
        let app = &*self.0;
        let Job { asked, entry, .. } = job;
        // It may have waited for its first turn.
        if job.head.is_closed() {
            self.step_back(entry.room);
            return None;
        }
        if let Err(bound) = job.clock.check() {
            asked.refuse(job.head, &Failure::Expired(bound));
            self.step_back(entry.room);
            return None;
        }
        // What the system does not give now it may give to the next request.
        let (provided, ticking) = match self.provide(entry.room, &asked) {
            Ok(provided) => provided,
            Err(why) => {
                asked.refuse(job.head, &Failure::Unavailable(why.into()));
                return None;
            }
        };
        let request = RequestParts {
            request_id: asked.request_id.clone(),
            exchange: Exchange::new(
                asked.kind(),
                ResponseLimits::default(),
                app.config.server_header.clone(),
            ),
            output: Output::Waiting(job.head),
            clock: job.clock,
            turn: job.turn,
            observer: asked.observer.clone(),
        };
        let instance = self.instance(provided, request);
        let purse = Arc::clone(&instance.purse);
        let input = Input::of_body(job.body, app.limits.memory, purse);
        let environ = GuestEnviron {
            vars: job.environ,
            flags: self.run_flags(),
            input: input.clone(),
        };
        let place = Place {
            instance,
            input,
            _ticking: ticking,
            _permit: entry.permit,
            asked,
        };
        Some((place, environ))
    }

    /// What an instance needs of the system: its grants, which were there at load and may be no
    /// more, and the ticks that bound its time.
    fn provide(&self, room: Room, asked: &Asked) -> Result<(Provided, Ticking), String> {
        let app = &*self.0;
        let runtime = &app.runtime.0;
        let instances = runtime.instances;
        // While this request waited for its first turn, one before it may have ended.
        let promise = match (&room, &app.lot) {
            (Room::New(_), Some(lot)) => lot.promise_at_once(),
            _ => None,
        };
        let room = promise.map_or(room, Room::Parked);
        // The one that is promised takes no further place.
        let own = usize::from(matches!(room, Room::Parked(_)));
        while runtime.ticker.live() + runtime.parked.count() >= instances + own
            && runtime.parked.evict()
        {}
        if runtime.ticker.live() >= instances {
            self.step_back(room);
            return Err(format!(
                "all {instances} instances of all apps together are in use"
            ));
        }
        let provided = match room {
            Room::Parked(promise) => Provided::Parked(promise.keep()),
            Room::New(memory) => {
                let log = GuestLog::new(
                    Arc::clone(&app.record.name),
                    asked.request_id.clone(),
                    app.limits.log_bytes,
                    asked.observer.clone(),
                    app.config.log.clone(),
                );
                let wasi = || {
                    Wasi::new(wasi::Parts {
                        app: &app.record.name,
                        log: &log,
                        grants: &app.grants,
                        random_bytes: app.limits.random_bytes,
                        clocks: asked.observer.as_ref().and_then(Observer::clocks),
                    })
                };
                let wasi = match wasi() {
                    // Its descriptors may be what is lacking.
                    Err(_) if runtime.parked.evict() => wasi(),
                    made => made,
                }
                .map_err(|error| error.to_string())?;
                Provided::New { memory, wasi, log }
            }
        };
        let ticking = runtime
            .ticker
            .ticking()
            .map_err(|error| format!("the thread that interrupts guests cannot start: {error}"))?;
        Ok((provided, ticking))
    }

    /// The instance for one request.
    fn instance(&self, provided: Provided, request: RequestParts) -> Instance {
        let app = &*self.0;
        match provided {
            Provided::Parked(mut instance) => {
                instance.store.data_mut().begin(request);
                instance.store.set_epoch_deadline(1);
                instance
            }
            Provided::New { memory, wasi, log } => {
                let purse = Arc::new(Purse::new(memory, app.fixed, app.limits.memory));
                let parts = instance::Parts {
                    app: Arc::clone(&app.record.name),
                    limits: Arc::clone(&app.limits),
                    wasi,
                    grants: Arc::clone(&app.grants),
                    packed: app.packed.clone(),
                    log,
                    memory: app.memory.clone(),
                    purse: Arc::clone(&purse),
                    request,
                };
                Instance::new(instance::store(app.pre.engine(), parts), purse)
            }
        }
    }

    /// A request that will not run gives back what it got.
    fn step_back(&self, room: Room) {
        drop(room);
        if self.0.lot.is_some() {
            self.yield_to_others();
        }
    }

    /// Others may wait for the memory of what has been parked. Looked at when it is there to be seen: either this
    /// sees who waits, or whoever waits sees it. Requests of the same app take the instance as it is.
    fn yield_to_others(&self) {
        let app = &*self.0;
        while let Some(lacking) = app.memory.lacking_for_others()
            && app.runtime.0.parked.evict_for(lacking)
        {}
    }

    /// What an instance is told of how it runs (2.1): for one request or more, with its like beside it.
    fn run_flags(&self) -> RunFlags {
        let mut flags = RunFlags::INPUT_TERMINATED;
        if self.0.lot.is_none() {
            flags |= RunFlags::RUN_ONCE;
        }
        if self.0.config.concurrency > 1 {
            flags |= RunFlags::MULTIPROCESS;
        }
        flags
    }
}

/// The right to an instance, and where it is to come from.
pub(crate) struct Entry {
    permit: Permit,
    room: Room,
}

enum Room {
    /// One that is there.
    Parked(Promise),
    /// The memory for the start of a new one.
    New(Hold),
}

enum Provided {
    Parked(Instance),
    New {
        memory: Hold,
        wasi: Wasi,
        log: GuestLog,
    },
}

/// An instance for one request, with what it takes of the server while it serves it.
///
/// It is dropped in this order: what an instance took is free only when it is gone, and its right to be
/// there last, so that whoever waits for that finds all the rest.
pub(crate) struct Place {
    pub(crate) instance: Instance,
    /// The request's body, to which the guest of an instance that is used again may keep a handle.
    input: Input,
    _ticking: Ticking,
    _permit: Permit,
    asked: Arc<Asked>,
}

/// One request for an app.
pub(crate) struct Job {
    pub(crate) asked: Arc<Asked>,
    pub(crate) entry: Entry,
    pub(crate) environ: Environ,
    pub(crate) body: Option<RequestBody>,
    pub(crate) head: oneshot::Sender<Response<ResponseBody>>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) turn: Arc<Turn>,
}
