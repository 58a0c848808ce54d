//! The wasmtime engines: one for each app, all alike but for where their instances live (`slots`).
//!
//! An engine is cheap, and what an app's memory holds at first belongs to the app. What its instances leave
//! behind is kept for all apps together.

use std::fmt;
use std::sync::Arc;

use wasmtime::{Config, Engine, WasmBacktraceDetails};

use crate::config::{AllocatorChoice, RuntimeConfig};
use crate::slots::{self, Reset, Slots, Stock};
use crate::system;

/// The stack that WebAssembly may use in bytes, and that of the fiber around it.
pub(crate) const WASM_STACK: usize = 512 << 10;
const FIBER_STACK: usize = WASM_STACK + (1 << 20);

/// Address space of one linear memory: all that 32 bits can name, so that no access needs a check.
const RESERVED: u64 = 4 << 30;

/// Address space behind (and before) it that stays closed.
const GUARD: u64 = 32 << 20;

/// Slots that are kept for the next requests, for each core.
const KEPT_PER_CORE: usize = 16;

/// One part in so many of the server's memory is for slots that are kept.
const KEPT_SHARE: usize = 16;

/// What one kept slot may hold in any case, in bytes: memory and stack.
const KEPT: usize = slots::KEPT + WASM_STACK;

/// Where instances live. Its `Display` is for the log at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// In slots that are used again.
    Slots {
        /// So many are kept at most while they are not in use.
        kept: usize,
        /// How a slot is made new.
        reset: Reset,
    },
    /// In memory that is mapped afresh for each; the text says why.
    OnDemand(String),
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allocator::Slots { kept, reset } => {
                write!(f, "{kept} slots are used again, made new {reset}")
            }
            Allocator::OnDemand(why) => write!(f, "mapped on demand, slower: {why}"),
        }
    }
}

/// What the engines of one runtime have in common.
pub(crate) struct Engines {
    /// None where memory is mapped on demand.
    stock: Option<Stock>,
    /// There is little address space.
    is_cramped: bool,
    allocator: Allocator,
    /// What kept slots may hold, in bytes.
    kept_memory: usize,
}

impl Engines {
    /// Finds out what the system allows. `memory` is what the whole server may use, in bytes.
    pub(crate) fn new(config: &RuntimeConfig, memory: usize) -> Self {
        if config.allocator == AllocatorChoice::OnDemand {
            return Self::on_demand(false, "as configured".to_owned());
        }
        if cfg!(not(target_os = "linux")) {
            return Self::on_demand(false, "only Linux has what slots need".to_owned());
        }
        let slot = usize::try_from(RESERVED + 2 * GUARD).unwrap_or(usize::MAX);
        let all = slot.saturating_mul(config.instances as usize);
        if let Err(error) = slots::try_to_reserve(all) {
            // The address space may be limited (`ulimit -v`).
            let instances = config.instances;
            return Self::on_demand(
                true,
                format!("the system has no address space for {instances} instances ({error})"),
            );
        }
        let cores = system::cores();
        let most_kept = (cores * KEPT_PER_CORE)
            .min(config.instances as usize)
            .min(memory / KEPT_SHARE / KEPT);
        let beyond = (most_kept * (slots::MOST_KEPT - slots::KEPT))
            .min(memory / KEPT_SHARE - most_kept * KEPT);
        let stock = Stock::new(most_kept, beyond, cores, config.reset);
        Self {
            allocator: Allocator::Slots {
                kept: most_kept,
                reset: stock.reset(),
            },
            stock: Some(stock),
            is_cramped: false,
            kept_memory: most_kept * KEPT + beyond,
        }
    }

    fn on_demand(is_cramped: bool, why: String) -> Self {
        Self {
            stock: None,
            is_cramped,
            allocator: Allocator::OnDemand(why),
            kept_memory: 0,
        }
    }

    /// Where instances live.
    pub(crate) fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// An engine for an app, and the slots that its instances will live in, if there are any.
    ///
    /// # Errors
    ///
    /// wasmtime has no support for this processor.
    pub(crate) fn engine(&self) -> wasmtime::Result<(Engine, Option<Slots>)> {
        let mut config = config(self.is_cramped);
        let slots = self.stock.as_ref().map(Stock::slots);
        if let Some(slots) = &slots {
            config
                .with_host_memory(Arc::new(slots.clone()))
                .with_host_stack(Arc::new(slots.clone()));
        }
        Ok((Engine::new(&config)?, slots))
    }

    /// Whether instances live in slots.
    pub(crate) fn has_slots(&self) -> bool {
        self.stock.is_some()
    }

    /// Whether there is little address space.
    pub(crate) fn is_cramped(&self) -> bool {
        self.is_cramped
    }

    /// How many slots are kept now.
    pub(crate) fn kept(&self) -> usize {
        self.stock.as_ref().map_or(0, Stock::kept)
    }

    /// What kept slots may hold, in bytes.
    pub(crate) fn kept_memory(&self) -> usize {
        self.kept_memory
    }
}

/// All that decides what code is compiled to.
pub(crate) fn config(is_cramped: bool) -> Config {
    let mut config = base_config();
    if is_cramped {
        // Memories must be small to begin with, and may move when they grow.
        config
            .memory_reservation(0)
            .memory_reservation_for_growth(1 << 20)
            .memory_guard_size(64 << 10);
    }
    config
}

pub(crate) fn base_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // wasmtime is built without its collector, but would compile the tests and casts of types that come with
        // the proposal for it, and abort the process when a guest runs one (RUSTSEC-2026-0570).
        .wasm_gc(false)
        // Nothing in the interface is `async`, and an engine that knows it saves the bookkeeping
        // of concurrent tasks at each instantiation.
        .concurrency_support(false)
        // What a memory holds at first is our own business, or copied.
        .memory_init_cow(false)
        .memory_reservation(RESERVED)
        .memory_guard_size(GUARD)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}
