//! An instance: a store with its limits, and what stands behind the guest's imports for the request that it
//! serves. With the request ends what is of the request, and as a rule the instance; where it serves more
//! than one ([`Isolation::App`](crate::Isolation::App)), the guest's memory and its handles stay.

use std::sync::Arc;
use std::time::Duration;

use wasm_gw_protocol::lint::Event;
use wasm_gw_protocol::{BodyError, Exchange, RequestId, Send, weak};
use wasmtime::component::ResourceTable;
use wasmtime::{CallHook, Engine, Store, UpdateDeadline};
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::clock::Clock;
use crate::engine::WASM_STACK;
use crate::grants::Grants;
use crate::guest_log::GuestLog;
use crate::limits::{HostBytes, InstanceLimits, Limiter};
use crate::memory::{AppMemory, MemoryShort, Purse};
use crate::observer::Observer;
use crate::output::{Gone, Output};
use crate::packed::{AllFiles, Packed};
use crate::tmpfs::{Files, Tmp};
use crate::turn::Turn;
use crate::wasi::{self, Wasi};

/// What the host knows of an instance and of the request that it serves.
pub(crate) struct State {
    pub(crate) app: Arc<str>,
    /// Which of the instance's requests it is, counted from 0.
    pub(crate) request: u32,
    pub(crate) request_id: RequestId,
    pub(crate) limits: Arc<InstanceLimits>,
    pub(crate) table: ResourceTable,
    wasi: Wasi,
    tmp: Option<Tmp>,
    grants: Arc<Grants>,
    packed: Option<Arc<Packed>>,
    pub(crate) log: GuestLog,
    pub(crate) clock: Arc<Clock>,
    pub(crate) exchange: Exchange,
    pub(crate) output: Output,
    /// Pays for what leaves the instance, such as blocks on their way to the client.
    pub(crate) memory: AppMemory,
    /// The client's first fault that the guest was told of, in reading the body or in writing to a
    /// client that has gone; it outranks what the guest then fails by (2.2).
    pub(crate) fault: Option<BodyError>,
    pub(crate) host_bytes: HostBytes,
    /// The instance was made, and what it does now is what it was asked for.
    pub(crate) instantiated: bool,
    /// The guest ended itself by `exit(0)`, after which it cannot be called again.
    pub(crate) exited: bool,
    /// What was handed over last. It is paid for until the next: it is copied into the guest after the
    /// call has returned from us, and the guest runs meanwhile, to make room for it.
    handed_over: usize,
    /// The size of the table that has been paid for.
    handles_paid: usize,
    observer: Option<Observer>,
    purse: Arc<Purse>,
    limiter: Limiter,
    turn: Arc<Turn>,
    crossings: Crossings,
}

/// Where a call into the guest stands.
///
/// What the guest returns is copied into the host before the guest is called once more, to free its
/// own copy (`post-return`), and only then handed to us. While that second part runs the copy is
/// nobody's: it is in no account yet.
#[derive(Debug, Default)]
struct Crossings {
    /// Calls into the guest within one another.
    depth: u32,
    /// We have called the guest, rather than made it: what is run at its start returns nothing.
    called: bool,
    /// Calls into the guest, one after the other, since we last began one.
    entries: u32,
    /// What the turn had taken when the second of them began.
    returned_at: Duration,
}

impl Crossings {
    fn cross(&mut self, hook: CallHook, turn: &Turn) {
        match hook {
            CallHook::CallingWasm => {
                if self.depth == 0 {
                    self.entries += 1;
                    if self.entries == 2 {
                        self.returned_at = turn.running();
                    }
                }
                self.depth += 1;
            }
            CallHook::ReturningFromWasm => self.depth = self.depth.saturating_sub(1),
            CallHook::CallingHost | CallHook::ReturningFromHost => {}
        }
    }

    /// How long the guest has been cleaning up, if it has returned.
    fn after_return(&self, turn: &Turn) -> Option<Duration> {
        (self.called && self.entries > 1).then(|| turn.running().saturating_sub(self.returned_at))
    }
}

/// What cleaning up after a call may take of the processor. It frees what was returned.
const AFTER_RETURN: Duration = Duration::from_millis(50);

/// What a [`State`] is made from.
pub(crate) struct Parts {
    pub(crate) app: Arc<str>,
    pub(crate) limits: Arc<InstanceLimits>,
    pub(crate) wasi: Wasi,
    pub(crate) grants: Arc<Grants>,
    /// The files that the component brings along.
    pub(crate) packed: Option<Arc<Packed>>,
    pub(crate) log: GuestLog,
    pub(crate) memory: AppMemory,
    pub(crate) purse: Arc<Purse>,
    pub(crate) request: RequestParts,
}

/// What of it is of one request.
pub(crate) struct RequestParts {
    pub(crate) request_id: RequestId,
    pub(crate) exchange: Exchange,
    pub(crate) output: Output,
    pub(crate) clock: Arc<Clock>,
    pub(crate) turn: Arc<Turn>,
    pub(crate) observer: Option<Observer>,
}

impl State {
    fn new(parts: Parts) -> Self {
        let Parts {
            limits, request, ..
        } = parts;
        let mut table = ResourceTable::new();
        // One more for the probe of `pay_for_handles`.
        table.set_max_capacity(limits.handles.saturating_add(1));
        Self {
            app: parts.app,
            request: 0,
            request_id: request.request_id,
            table,
            wasi: parts.wasi,
            tmp: None,
            grants: parts.grants,
            packed: parts.packed,
            log: parts.log,
            clock: request.clock,
            exchange: request.exchange,
            output: request.output,
            memory: parts.memory,
            fault: None,
            host_bytes: HostBytes::new(&limits, Arc::clone(&parts.purse)),
            instantiated: false,
            exited: false,
            handed_over: 0,
            handles_paid: 0,
            observer: request.observer,
            limiter: Limiter::new(&limits, Arc::clone(&parts.purse)),
            purse: parts.purse,
            turn: request.turn,
            crossings: Crossings::default(),
            limits,
        }
    }

    /// One more request, for an instance that has served others.
    pub(crate) fn begin(&mut self, request: RequestParts) {
        self.log
            .begin(request.request_id.clone(), request.observer.clone());
        self.request = self.request.wrapping_add(1);
        self.request_id = request.request_id;
        self.exchange = request.exchange;
        self.output = request.output;
        self.clock = request.clock;
        self.turn = request.turn;
        self.observer = request.observer;
        self.fault = None;
        self.limiter.forget_refusals();
    }

    /// The request has ended and the instance waits for the next: what the host has of it goes.
    pub(crate) fn rest(&mut self) {
        self.hand_over(0);
        self.observer = None;
        self.log.rest();
        self.purse.give_back_idle();
    }

    /// Whether the guest has kept so many handles that the next request may want for them.
    pub(crate) fn is_short_of_handles(&self) -> bool {
        self.handles_paid > self.limits.handles / 2
    }

    /// The guest's memory, its files in `/tmp`, and what else it makes the host keep, in bytes.
    pub(crate) fn memory_taken(&self) -> usize {
        let memory = self.limits.memory.saturating_sub(self.purse.memory_left());
        let kept = self
            .limits
            .host_bytes
            .saturating_sub(self.host_bytes.left());
        memory.saturating_add(kept)
    }

    /// Tells whoever watches.
    pub(crate) fn observed(&self, event: impl FnOnce() -> Option<Event>) {
        if let Some(observer) = &self.observer
            && let Some(event) = event()
        {
            observer.note(event);
        }
    }

    /// What the instance was denied by its limits, if anything.
    pub(crate) fn refused(&self) -> Option<&'static str> {
        self.limiter.refused()
    }

    /// Whether what it was denied was for want of memory of the whole server.
    pub(crate) fn was_short(&self) -> bool {
        self.limiter.was_short()
    }

    /// Sends to the client, and counts a block that it took as a sign of life.
    pub(crate) async fn emit(&mut self, send: Send) -> Result<(), Gone> {
        if matches!(send, Send::Nothing) {
            return Ok(());
        }
        self.output.emit(send, &self.clock).await?;
        if !self.exchange.wants_more() {
            self.output.complete();
        }
        self.clock.restart(self.limits.timeout);
        Ok(())
    }

    /// What the host kept and has paid for goes to the guest, and what went before it is gone by now.
    pub(crate) fn hand_over(&mut self, paid: usize) {
        let before = std::mem::replace(&mut self.handed_over, paid);
        self.purse.refund(before);
    }

    /// The same for a copy, which nobody has paid for yet.
    pub(crate) fn hand_over_copy(&mut self, bytes: usize) -> Result<(), MemoryShort> {
        self.hand_over(0);
        self.hand_over_also(bytes)
    }

    /// Something more goes the same way, which nobody has paid for yet.
    pub(crate) fn hand_over_also(&mut self, bytes: usize) -> Result<(), MemoryShort> {
        self.purse.spend(bytes)?;
        self.handed_over += bytes;
        Ok(())
    }

    /// Pays for the handles that a call into the host has made, WASI's among them. The table reuses
    /// what is free, so it has grown if a new one gets a number that was never there.
    fn pay_for_handles(&mut self) -> wasmtime::Result<()> {
        let probe = self.table.push(())?;
        let size = probe.rep() as usize + 1;
        self.table.delete(probe)?;
        let new = size.saturating_sub(self.handles_paid);
        if new > 0 {
            self.host_bytes.charge(new * HANDLE)?;
            self.handles_paid = size;
        }
        Ok(())
    }

    /// A call into the guest begins now.
    pub(crate) fn begin_call(&mut self) {
        self.crossings = Crossings {
            called: true,
            ..Crossings::default()
        };
    }

    /// Called when the guest has run for a tick: it has had its turn, unless a bound is passed.
    fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.clock.check_running()?;
        if let Some(cleaning) = self.crossings.after_return(&self.turn) {
            // What it returned must come into our hands before others run.
            return if cleaning < AFTER_RETURN {
                Ok(UpdateDeadline::Continue(1))
            } else {
                Err(wasmtime::Error::msg(
                    "the guest took too long to clean up after a call",
                ))
            };
        }
        Ok(if self.turn.is_used_up() && !weak("turns") {
            UpdateDeadline::YieldCustom(1, Box::pin(self.turn.give_up()))
        } else {
            UpdateDeadline::Continue(1)
        })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: self.wasi.context(wasi::Parts {
                app: &self.app,
                log: &self.log,
                grants: &self.grants,
                random_bytes: self.limits.random_bytes,
                clocks: self.observer.as_ref().and_then(Observer::clocks),
            }),
            table: &mut self.table,
        }
    }
}

impl State {
    /// What stands behind `wasi:filesystem`.
    pub(crate) fn files(&mut self) -> AllFiles<'_> {
        let ctx = self.wasi.context(wasi::Parts {
            app: &self.app,
            log: &self.log,
            grants: &self.grants,
            random_bytes: self.limits.random_bytes,
            clocks: self.observer.as_ref().and_then(Observer::clocks),
        });
        AllFiles {
            others: Files {
                wasi: WasiFilesystemCtxView {
                    ctx: ctx.filesystem(),
                    table: &mut self.table,
                },
                tmp: &mut self.tmp,
                has_tmp: self.grants.has_tmp(),
                purse: &self.purse,
                most: self.limits.files(),
            },
            packed: self.packed.as_ref(),
            grants: &self.grants,
        }
    }
}

/// What a handle takes of the host's memory, in bytes, beside what is charged for what is behind it.
/// WASI's timers are the most costly.
const HANDLE: usize = 384;

/// What an instance takes of the host's memory in any case, beside its own stack and memory: the
/// store, the tables of handles and what is behind those of WASI.
const OVERHEAD: usize = 512 << 10;

/// What of it is for the first handles and the like, and paid as they come.
const POCKET: usize = 64 << 10;

/// What an instance takes of the server's memory at its start, in bytes, if its linear memory is
/// this large, and its functions, globals and the like take `instance_size`.
pub(crate) fn start_cost(initial_memory: usize, instance_size: usize) -> usize {
    initial_memory
        .saturating_add(fixed_cost(instance_size))
        .saturating_add(POCKET)
}

/// What of that is there as long as the instance is. Memory and handles are paid for as they come.
pub(crate) fn fixed_cost(instance_size: usize) -> usize {
    instance_size
        .saturating_add(WASM_STACK)
        .saturating_add(OVERHEAD - POCKET)
}

/// A store in which one request's guest will run.
pub(crate) fn store(engine: &Engine, parts: Parts) -> Store<State> {
    let state = State::new(parts);
    let (fuel, handles) = (state.limits.hostcall_bytes, state.limits.handles);
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(fuel);
    // The guest's own resources count here too. As many again as the table's leaves it to the table
    // to refuse a host resource, in a way that can be told apart.
    store.set_max_component_handles(handles.saturating_mul(2));
    store.set_epoch_deadline(1);
    store.call_hook(|mut context, hook| {
        let state = context.data_mut();
        state.crossings.cross(hook, &state.turn);
        if let CallHook::ReturningFromHost = hook {
            state.pay_for_handles()?;
        }
        Ok(())
    });
    store.epoch_deadline_callback(|mut context| context.data_mut().tick());
    store
}
