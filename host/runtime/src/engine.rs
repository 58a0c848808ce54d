//! The wasmtime engines of a runtime, tuned for a fresh instance each request: one with a few slots
//! that are kept warm, and one for everything beyond those, which keeps nothing.
//!
//! Most requests come and go one after another and find a warm slot. A burst, or requests that wait
//! for their clients, use the other, so that what they took goes back to the system with them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use crate::config::{AllocatorChoice, RuntimeConfig};
use crate::reset::{self, Reset};
use crate::system;

/// Snapshots up to this size are mapped copy-on-write; larger ones would be copied for each
/// instance. wasmtime's default of 16 MiB is below what a Python or JavaScript guest brings.
pub(crate) const DENSE_IMAGE: u64 = 128 << 20;

/// The stack that WebAssembly may use in bytes, and that of the fiber around it.
pub(crate) const WASM_STACK: usize = 512 << 10;
const FIBER_STACK: usize = WASM_STACK + (1 << 20);

/// How many core instances, memories and tables one component may consist of. Components made by a
/// shared-everything link have dozens of modules.
const PARTS: u32 = 200;

/// Address space of one linear memory: all that 32 bits can name, so that no access needs a check.
const SLOT: usize = 4 << 30;

/// Instances in warm slots at once, for each core. One app has at most half of them, so that its guests
/// which sit in them leave some to others.
const WARM_PER_CORE: usize = 16;

/// The slots of the warm pool. From this number on wasmtime divides a pool by threads (into as many
/// parts as there are cores, 16 at most), so that each thread finds again the slot that it used last,
/// which is in its cache: with one part for all, a small guest took half as long again.
const WARM_POOL: usize = 128;
const MOST_PARTS_OF_POOL: usize = 16;

/// One part in so many of the server's memory is for warm slots.
const WARM_SHARE: usize = 16;

/// What a warm slot may keep of one linear memory in bytes, with the scan: more than a guest in an
/// interpreter dirties, and little enough to have for each warm slot.
const KEPT: usize = 16 << 20;

/// What a warm slot keeps of one linear memory in bytes, without the scan: a small guest whole. All of it
/// is written over each time, which still costs less than giving it back and taking the faults.
const KEPT_BLINDLY: usize = 2 << 20;

/// Elements of one table of the pool: above what an instance may have of all its tables by default, so
/// that it is that limit which a guest meets, and which the log names.
const TABLE_ELEMENTS: usize = 1 << 18;

/// What a warm slot keeps of each table, in bytes.
const KEPT_OF_TABLES: usize = 4 << 10;

/// The most memories and tables that a component in a warm slot may have.
const WARM_MEMORIES: u32 = 1;
const WARM_TABLES: u32 = 20;

/// Which allocator is in use, and how it resets memory. Its `Display` is for the log at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// The pooling allocator.
    Pooling {
        /// How many instances it has room for.
        instances: u32,
        /// How many slots are kept warm beside those.
        warm: usize,
        /// How a warm slot is made new.
        reset: Reset,
    },
    /// Memory is mapped afresh for each instance; the text says why.
    OnDemand(String),
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allocator::Pooling {
                instances,
                warm,
                reset,
            } => {
                write!(
                    f,
                    "pool of {instances} instances and {warm} warm ones, reset by {reset}"
                )
            }
            Allocator::OnDemand(why) => write!(f, "on demand, slower: {why}"),
        }
    }
}

/// The engines of one runtime. A component is loaded into each of them.
pub(crate) struct Engines {
    /// Has room for all instances, and keeps nothing of them.
    pub(crate) roomy: Engine,
    pub(crate) warm: Option<Warm>,
}

/// The engine whose slots are kept warm.
pub(crate) struct Warm {
    pub(crate) engine: Engine,
    /// So many are used at once.
    slots: usize,
    /// What they may keep of instances that have ended, in bytes.
    keeps: usize,
    used: AtomicUsize,
}

/// The right to one warm slot, given back when dropped.
pub(crate) struct WarmSlot<'a> {
    warm: &'a Warm,
    app: &'a AtomicUsize,
}

impl Warm {
    /// A warm slot, if one is free. `app` counts those of the app that asks.
    pub(crate) fn slot<'a>(&'a self, app: &'a AtomicUsize) -> Option<WarmSlot<'a>> {
        let used = self.used.fetch_add(1, Ordering::Relaxed);
        let by_app = app.fetch_add(1, Ordering::Relaxed);
        // Dropping it gives back what was taken too much.
        let slot = WarmSlot { warm: self, app };
        (used < self.slots && by_app < self.slots.div_ceil(2)).then_some(slot)
    }

    /// Whether instances of this component fit into its slots, however many there are at once.
    pub(crate) fn fits(component: &wasmtime::component::Component) -> bool {
        let needed = component.resources_required();
        needed.is_some_and(|needed| {
            needed.num_memories <= WARM_MEMORIES && needed.num_tables <= WARM_TABLES
        })
    }
}

impl Drop for WarmSlot<'_> {
    fn drop(&mut self) {
        self.warm.used.fetch_sub(1, Ordering::Relaxed);
        self.app.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engines {
    /// Makes the engines, by way of pools where the system allows it. `memory` is what the whole
    /// server may use, in bytes.
    pub(crate) fn new(
        config: &RuntimeConfig,
        memory: usize,
    ) -> wasmtime::Result<(Self, Allocator)> {
        if config.allocator == AllocatorChoice::OnDemand {
            let roomy = Engine::new(&base_config())?;
            let why = Allocator::OnDemand("as configured".to_owned());
            return Ok((Self { roomy, warm: None }, why));
        }
        let mut pooled = base_config();
        pooled
            .async_stack_zeroing(true)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(roomy_pool(config)));
        match Engine::new(&pooled) {
            Ok(roomy) => {
                let reset = reset::choose(config.reset);
                let warm = warm(config, reset, memory);
                let allocator = Allocator::Pooling {
                    instances: config.instances,
                    warm: warm.as_ref().map_or(0, |warm| warm.slots),
                    reset,
                };
                Ok((Self { roomy, warm }, allocator))
            }
            // The address space may be limited (`ulimit -v`), or its reservation forbidden. Then
            // memories must be small to begin with, and may move when they grow.
            Err(error) => {
                let mut small = base_config();
                small
                    .memory_reservation(0)
                    .memory_reservation_for_growth(1 << 20)
                    .memory_guard_size(64 << 10);
                let roomy = Engine::new(&small)?;
                let why = format!("the system refuses a pool ({error:#})");
                Ok((Self { roomy, warm: None }, Allocator::OnDemand(why)))
            }
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Engine> {
        let warm = self.warm.iter().map(|warm| &warm.engine);
        std::iter::once(&self.roomy).chain(warm)
    }

    /// How many slots keep memory from their last instance.
    pub(crate) fn warm_slots(&self) -> usize {
        let engine = self.warm.as_ref().map(|warm| &warm.engine);
        let pool = engine.and_then(Engine::pooling_allocator_metrics);
        pool.map_or(0, |pool| pool.unused_warm_memories() as usize)
    }

    /// What the warm slots may keep, in bytes.
    pub(crate) fn warm_memory(&self) -> usize {
        self.warm.as_ref().map_or(0, |warm| warm.keeps)
    }
}

/// The engine of warm slots, unless there is no memory for them.
fn warm(config: &RuntimeConfig, reset: Reset, memory: usize) -> Option<Warm> {
    let cores = system::cores();
    // In each part of the pool as many slots may have been used at once as in all together.
    let parts = cores.min(MOST_PARTS_OF_POOL);
    let slots = (cores * WARM_PER_CORE)
        .min(WARM_POOL)
        .min(config.instances as usize)
        .min(memory / WARM_SHARE / (parts * warm_slot(reset)));
    if slots == 0 {
        return None;
    }
    let mut pooled = base_config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(warm_pool(
        config, reset, slots,
    )));
    // Without it all is slower, and nothing else is different.
    match Engine::new(&pooled) {
        Ok(engine) => Some(Warm {
            engine,
            slots,
            keeps: usize::min(parts * slots, WARM_POOL) * warm_slot(reset),
            used: AtomicUsize::new(0),
        }),
        Err(error) => {
            tracing::warn!("no instances are kept warm: {error:#}");
            None
        }
    }
}

/// What one warm slot may keep, in bytes: memory, tables and stack.
fn warm_slot(reset: Reset) -> usize {
    let memory = match reset {
        Reset::Scan => KEPT,
        Reset::Madvise(_) => KEPT_BLINDLY,
    };
    memory * WARM_MEMORIES as usize + KEPT_OF_TABLES * WARM_TABLES as usize + WASM_STACK
}

pub(crate) fn base_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Nothing in the interface is `async`, and an engine that knows it saves the bookkeeping
        // of concurrent tasks at each instantiation.
        .concurrency_support(false)
        .memory_guaranteed_dense_image_size(DENSE_IMAGE)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// A pool that keeps nothing between two instances.
fn roomy_pool(config: &RuntimeConfig) -> PoolingAllocationConfig {
    let instances = config.instances;
    let mut pool = pool(instances);
    pool
        // Composed components have a memory each.
        .total_memories(instances.saturating_mul(2).max(PARTS))
        .total_tables(instances.saturating_mul(20).max(PARTS))
        .max_memories_per_component(PARTS)
        .max_tables_per_component(PARTS)
        .max_tables_per_module(PARTS)
        .max_memories_per_module(10)
        .max_unused_warm_slots(0)
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        .async_stack_keep_resident(0)
        .pagemap_scan(Enabled::No);
    pool
}

fn warm_pool(config: &RuntimeConfig, reset: Reset, slots: usize) -> PoolingAllocationConfig {
    let unused = u32::try_from(slots).unwrap_or(u32::MAX);
    let slots = u32::try_from(WARM_POOL).unwrap_or(u32::MAX);
    let mut pool = pool(slots);
    pool.total_memories(slots.saturating_mul(WARM_MEMORIES))
        .total_tables(slots.saturating_mul(WARM_TABLES))
        .max_memories_per_component(WARM_MEMORIES)
        .max_tables_per_component(WARM_TABLES)
        .max_tables_per_module(WARM_TABLES)
        .max_memories_per_module(WARM_MEMORIES)
        .max_unused_warm_slots(unused)
        .table_keep_resident(KEPT_OF_TABLES);
    match reset {
        // What stays resident is written over only where it is dirty, so keeping it is cheap in time;
        // what is above goes back to the system.
        Reset::Scan => pool
            .pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(usize::min(config.max_memory, KEPT)),
        // Without the scan, keeping means writing over all of it each time.
        Reset::Madvise(_) => pool
            .pagemap_scan(Enabled::No)
            .linear_memory_keep_resident(KEPT_BLINDLY),
    };
    pool
}

/// What both pools have in common.
fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(PARTS))
        .max_core_instances_per_component(PARTS)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .table_elements(TABLE_ELEMENTS)
        // The slots are this large in any case; what an instance may use of its own is counted as
        // it grows, so that a component that asks for too much is told so in words.
        .max_memory_size(SLOT);
    pool
}
