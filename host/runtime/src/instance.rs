//! One request's instance: a store of its own with its limits and its clock, and what stands behind
//! the guest's imports. Nothing in it outlives the request.

use std::sync::Arc;
use std::time::Duration;

use wasm_gw_protocol::{BodyError, Exchange, RequestId, Send};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime::{CallHook, Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::clock::Clock;
use crate::engine::WASM_STACK;
use crate::guest_log::GuestLog;
use crate::limits::{HANDLE, HostBytes, InstanceLimits, Limiter};
use crate::memory::{AppMemory, Purse};
use crate::output::{Gone, Output};
use crate::turn::Turn;

/// What the host knows of one request while its guest runs.
pub(crate) struct State {
    pub(crate) app: Arc<str>,
    pub(crate) request_id: RequestId,
    pub(crate) limits: Arc<InstanceLimits>,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
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
    /// What the last read had gathered. It is paid for until the next: it is copied into the guest
    /// after the read has returned, and the guest runs meanwhile.
    handed_over: usize,
    /// The handles that have been paid for, as far as they may be WASI's.
    handles_paid: usize,
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
    /// Calls into the guest, one after the other, since we last began one.
    entries: u32,
}

impl Crossings {
    fn cross(&mut self, hook: CallHook) {
        match hook {
            CallHook::CallingWasm => {
                if self.depth == 0 {
                    self.entries += 1;
                }
                self.depth += 1;
            }
            CallHook::ReturningFromWasm => self.depth = self.depth.saturating_sub(1),
            CallHook::CallingHost | CallHook::ReturningFromHost => {}
        }
    }

    /// Whether the guest has returned and only cleans up.
    fn is_after_return(&self) -> bool {
        self.entries > 1
    }
}

/// What cleaning up after a call may take, in the turn in which the call returned.
const AFTER_RETURN: Duration = Duration::from_millis(50);

/// What a [`State`] is made from.
pub(crate) struct Parts {
    pub(crate) app: Arc<str>,
    pub(crate) request_id: RequestId,
    pub(crate) limits: Arc<InstanceLimits>,
    pub(crate) wasi: WasiCtx,
    pub(crate) log: GuestLog,
    pub(crate) exchange: Exchange,
    pub(crate) output: Output,
    pub(crate) clock: Arc<Clock>,
    pub(crate) turn: Arc<Turn>,
    pub(crate) memory: AppMemory,
    pub(crate) purse: Arc<Purse>,
}

impl State {
    fn new(parts: Parts) -> Self {
        let limits = parts.limits;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            app: parts.app,
            request_id: parts.request_id,
            table,
            wasi: parts.wasi,
            log: parts.log,
            clock: parts.clock,
            exchange: parts.exchange,
            output: parts.output,
            memory: parts.memory,
            fault: None,
            host_bytes: HostBytes::new(&limits, Arc::clone(&parts.purse)),
            instantiated: false,
            exited: false,
            handed_over: 0,
            handles_paid: 0,
            limiter: Limiter::new(&limits, Arc::clone(&parts.purse)),
            purse: parts.purse,
            turn: parts.turn,
            crossings: Crossings::default(),
            limits,
        }
    }

    /// What the instance was denied by its limits, if anything.
    pub(crate) fn refused(&self) -> Option<&'static str> {
        self.limiter.refused()
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

    /// Keeps something for the guest under a new handle.
    pub(crate) fn keep<T: std::marker::Send + 'static>(
        &mut self,
        entry: T,
    ) -> wasmtime::Result<Resource<T>> {
        self.host_bytes.charge(HANDLE)?;
        Ok(self.table.push(entry)?)
    }

    /// Ends a handle, and returns what was kept.
    pub(crate) fn forget<T: 'static>(&mut self, handle: Resource<T>) -> wasmtime::Result<T> {
        let entry = self.table.delete(handle)?;
        self.host_bytes.release(HANDLE);
        Ok(entry)
    }

    /// What a read has gathered goes to the guest, and what the one before had is gone.
    pub(crate) fn hand_over(&mut self, gathered: usize) {
        let before = std::mem::replace(&mut self.handed_over, gathered);
        self.purse.refund(before);
    }

    /// WASI makes handles without asking us. A new one gets the lowest number that is free, so that
    /// the table has grown when it is higher than before.
    fn pay_for_wasi(&mut self) -> wasmtime::Result<()> {
        let probe = self.table.push(())?;
        let size = probe.rep() as usize;
        self.table.delete(probe)?;
        let new = size.saturating_sub(self.handles_paid);
        if new > 0 {
            self.host_bytes.charge(new * WASI_HANDLE)?;
            self.handles_paid = size;
        }
        Ok(())
    }

    /// A call into the guest begins now.
    pub(crate) fn begin_call(&mut self) {
        self.crossings = Crossings::default();
    }

    /// Called when the guest has run for a tick: it has had its turn, unless a bound is passed.
    fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.clock.check_running()?;
        self.pay_for_wasi()?;
        if self.crossings.is_after_return() {
            // What it returned must come into our hands before others run.
            return if self.turn.running() < AFTER_RETURN {
                Ok(UpdateDeadline::Continue(1))
            } else {
                Err(wasmtime::Error::msg(
                    "the guest took too long to clean up after a call",
                ))
            };
        }
        Ok(if self.turn.is_used_up() {
            UpdateDeadline::YieldCustom(1, Box::pin(self.turn.give_up()))
        } else {
            UpdateDeadline::Continue(1)
        })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// What a handle of WASI's takes with all that is behind it, in bytes: a timer is the most costly.
const WASI_HANDLE: usize = 384;

/// What an instance takes of the host's memory in any case, beside its own stack and memory: the
/// store, the tables of handles and what is behind those of WASI.
const OVERHEAD: usize = 512 << 10;

/// What an instance takes of the server's memory at its start, in bytes, if its linear memory is
/// this large.
pub(crate) fn start_cost(initial_memory: usize) -> usize {
    initial_memory
        .saturating_add(WASM_STACK)
        .saturating_add(OVERHEAD)
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
        context.data_mut().crossings.cross(hook);
        Ok(())
    });
    store.epoch_deadline_callback(|mut context| context.data_mut().tick());
    store
}
