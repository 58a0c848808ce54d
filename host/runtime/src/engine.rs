//! The wasmtime engine: one for the whole runtime, tuned for a fresh instance each request.

use std::fmt;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use crate::config::{AllocatorChoice, RuntimeConfig};
use crate::reset::{self, Reset};

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

/// What a slot may keep of one linear memory in bytes, with the scan: more than a guest in an
/// interpreter dirties, and little enough to have for each warm slot.
const KEPT: usize = 16 << 20;

/// What a slot keeps of one linear memory in bytes, without the scan: a small guest whole. All of it
/// is written over each time, which still costs less than giving it back and taking the faults.
const KEPT_BLINDLY: usize = 2 << 20;

/// Elements of one table of the pool: above what an instance may have of all its tables by default, so
/// that it is that limit which a guest meets, and which the log names.
const TABLE_ELEMENTS: usize = 1 << 18;

/// Which allocator is in use, and how it resets memory. Its `Display` is for the log at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// The pooling allocator.
    Pooling {
        /// How many instances it has room for.
        instances: u32,
        /// How a slot is made new.
        reset: Reset,
    },
    /// Memory is mapped afresh for each instance; the text says why.
    OnDemand(String),
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allocator::Pooling { instances, reset } => {
                write!(f, "pool of {instances} instances, reset by {reset}")
            }
            Allocator::OnDemand(why) => write!(f, "on demand, slower: {why}"),
        }
    }
}

/// Makes the engine, by way of the pool where the system allows it.
pub(crate) fn build(config: &RuntimeConfig) -> wasmtime::Result<(Engine, Allocator)> {
    if config.allocator == AllocatorChoice::OnDemand {
        let engine = Engine::new(&base_config())?;
        return Ok((engine, Allocator::OnDemand("as configured".to_owned())));
    }
    let reset = reset::choose(config.reset);
    let mut pooled = base_config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config, reset)));
    match Engine::new(&pooled) {
        Ok(engine) => Ok((
            engine,
            Allocator::Pooling {
                instances: config.instances,
                reset,
            },
        )),
        // The address space may be limited (`ulimit -v`), or its reservation forbidden. Then
        // memories must be small to begin with, and may move when they grow.
        Err(error) => {
            let mut small = base_config();
            small
                .memory_reservation(0)
                .memory_reservation_for_growth(1 << 20)
                .memory_guard_size(64 << 10);
            let engine = Engine::new(&small)?;
            let why = format!("the system refuses a pool ({error:#})");
            Ok((engine, Allocator::OnDemand(why)))
        }
    }
}

/// How many slots of the pool keep memory from their last instance.
pub(crate) fn warm_slots(engine: &Engine) -> usize {
    let metrics = engine.pooling_allocator_metrics();
    metrics.map_or(0, |pool| pool.unused_warm_memories() as usize)
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

fn pool(config: &RuntimeConfig, reset: Reset) -> PoolingAllocationConfig {
    let instances = config.instances;
    let several = instances.saturating_mul(20).max(PARTS);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(PARTS))
        // Composed components have a memory each.
        .total_memories(instances.saturating_mul(2).max(PARTS))
        .total_tables(several)
        .max_core_instances_per_component(PARTS)
        .max_memories_per_component(PARTS)
        .max_tables_per_component(PARTS)
        .max_tables_per_module(PARTS)
        .max_memories_per_module(10)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .table_elements(TABLE_ELEMENTS)
        // The slots are this large in any case; what an instance may use of its own is counted as
        // it grows, so that a component that asks for too much is told so in words.
        .max_memory_size(SLOT)
        .max_unused_warm_slots(u32::min(instances, 100));
    match reset {
        // What stays resident is written over only where it is dirty, so keeping it is cheap in time;
        // what is above goes back to the system.
        Reset::Scan => pool
            .pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(usize::min(config.max_memory, KEPT))
            .table_keep_resident(1 << 20),
        // Without the scan, keeping means writing over all of it each time.
        Reset::Madvise(_) => pool
            .pagemap_scan(Enabled::No)
            .linear_memory_keep_resident(KEPT_BLINDLY)
            .table_keep_resident(64 << 10),
    };
    pool
}
