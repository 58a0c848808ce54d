//! One request's instance: a store of its own with its limits and its clock, and what stands behind
//! the guest's imports. Nothing in it outlives the request.

use std::sync::Arc;

use wasm_gw_protocol::{BodyError, Exchange, RequestId, Send};
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::clock::{Clock, Expired};
use crate::engine::TICK;
use crate::guest_log::GuestLog;
use crate::limits::{HostBytes, InstanceLimits, Limiter};
use crate::output::{Gone, Output};

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
    /// The client's first fault that the guest was told of, in reading the body or in writing to a
    /// client that has gone; it outranks what the guest then fails by (2.2).
    pub(crate) fault: Option<BodyError>,
    pub(crate) host_bytes: HostBytes,
    /// The guest ended itself by `exit(0)`, after which it cannot be called again.
    pub(crate) exited: bool,
    limiter: Limiter,
    /// Ticks that the guest ran on for after its client had gone.
    ticks_gone: u32,
}

/// What a [`State`] is made from.
pub(crate) struct Parts {
    pub(crate) app: Arc<str>,
    pub(crate) request_id: RequestId,
    pub(crate) limits: Arc<InstanceLimits>,
    pub(crate) wasi: WasiCtx,
    pub(crate) log: GuestLog,
    pub(crate) exchange: Exchange,
    pub(crate) output: Output,
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
            clock: Arc::new(Clock::start(limits.timeout, limits.max_duration)),
            exchange: parts.exchange,
            output: parts.output,
            fault: None,
            host_bytes: HostBytes::new(&limits),
            exited: false,
            limiter: Limiter::new(&limits),
            ticks_gone: 0,
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

    /// Called when the guest has run for a tick: lets others run, unless a bound is passed.
    fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.clock.check()?;
        if self.output.is_closed() {
            self.ticks_gone += 1;
            if TICK * self.ticks_gone > self.limits.disconnect_grace {
                return Err(Expired::Disconnected.into());
            }
        }
        // tokio's own yield lets it look at the sockets before the guest's next turn; after a plain
        // wake-up it may not do so for dozens of turns.
        let others = Box::pin(tokio::task::yield_now());
        Ok(UpdateDeadline::YieldCustom(1, others))
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
    store.epoch_deadline_callback(|mut context| context.data_mut().tick());
    store
}
