//! What one instance may use: memory, tables, handles, time, and the size of everything that a guest
//! hands to the host. The caps of a *client* are in the HTTP server; those of a *tenant* are not here
//! either.

use std::sync::Arc;
use std::time::Duration;

use wasm_gw_protocol::weak;
use wasmtime::ResourceLimiter;

use crate::memory::{MemoryShort, Purse};

/// The bounds of one instance: of one request, as a rule. Where an instance serves more, times and log text are a
/// request's, and the rest is the instance's.
#[derive(Clone, Debug)]
pub struct InstanceLimits {
    /// Linear memory of the instance in bytes, all memories of the component together.
    pub memory: usize,
    /// Table elements, all tables of the component together.
    pub table_elements: usize,
    /// Core instances, tables and memories that a component may consist of, each.
    pub parts: usize,
    /// Live handles to host resources (`environ`, `input`, streams of WASI, ...), and as many to
    /// resources of the guest's own.
    pub handles: usize,
    /// Host memory behind those handles in bytes: copies of `environ`, bodies made of bytes, what
    /// recorders have heard.
    pub host_bytes: usize,
    /// The largest block of a response body in bytes.
    pub block: usize,
    /// Bytes that one call may carry from the guest to the host. A call beyond it traps, so it
    /// stands above `block`, which is refused in words.
    pub hostcall_bytes: usize,
    /// The most random bytes that one call may ask for.
    pub random_bytes: u64,
    /// Log text of one request in bytes: stdout, stderr, `wsgi.errors` and exc-info together, with
    /// something for each line. An error that the guest ends with has as much again.
    pub log_bytes: usize,
    /// Time to the response's head, and then to each next block. The client's slowness does not
    /// count.
    pub timeout: Duration,
    /// Time for the whole request, the client's slowness included; none does not bound it.
    pub max_duration: Option<Duration>,
    /// Processor time for the whole request, but for `close`.
    pub cpu: Duration,
    /// Time for `close` once the response has ended (S41).
    pub close_timeout: Duration,
    /// Processor time that a guest may go on for when its client has gone. Its own sleep counts too.
    pub disconnect_grace: Duration,
}

impl Default for InstanceLimits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            table_elements: 200_000,
            parts: 200,
            handles: 10_000,
            host_bytes: 80 << 20,
            block: 16 << 20,
            hostcall_bytes: 32 << 20,
            random_bytes: 1 << 20,
            log_bytes: 256 << 10,
            timeout: Duration::from_secs(30),
            max_duration: None,
            cpu: Duration::from_secs(10),
            close_timeout: Duration::from_secs(1),
            disconnect_grace: Duration::from_secs(1),
        }
    }
}

impl InstanceLimits {
    /// Without the bounds that a test of them has switched off; all of them as a rule.
    pub(crate) fn weakened(mut self) -> Self {
        const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        if weak("timeout") {
            self.timeout = FOREVER;
        }
        if weak("cpu") {
            self.cpu = FOREVER;
        }
        if weak("memory") {
            self.memory = usize::MAX;
        }
        if weak("kept-by-host") {
            (self.handles, self.host_bytes) = (usize::MAX / 4, usize::MAX);
        }
        if weak("hostcall-bytes") {
            self.hostcall_bytes = usize::MAX;
        }
        if weak("log-bytes") {
            self.log_bytes = usize::MAX / 4;
        }
        self
    }
}

/// What an instance was refused, if it is not by a limit of its own.
const SHORT: &str = "share of the server's memory (memory-total)";

/// What a table's element takes, in bytes.
const ELEMENT: usize = 8;

/// Keeps one instance within its memory and tables, and remembers which of them it asked too much
/// of: a guest that is refused memory usually traps somewhere else, and the log should say why.
pub(crate) struct Limiter {
    memory: Allowance,
    tables: Allowance,
    parts: usize,
    purse: Arc<Purse>,
}

/// What is left of one kind, over all that a component has of it.
#[derive(Debug)]
struct Allowance {
    what: &'static str,
    left: usize,
    /// What one of it costs in bytes.
    cost: usize,
    refused: Option<&'static str>,
}

impl Limiter {
    pub(crate) fn new(limits: &InstanceLimits, purse: Arc<Purse>) -> Self {
        Self {
            memory: Allowance::of("memory", limits.memory, 1),
            tables: Allowance::of("table elements", limits.table_elements, ELEMENT),
            parts: limits.parts,
            purse,
        }
    }

    /// What the instance was refused, if anything.
    pub(crate) fn refused(&self) -> Option<&'static str> {
        self.memory.refused.or(self.tables.refused)
    }

    /// What a request was refused is nothing to the next.
    pub(crate) fn forget_refusals(&mut self) {
        self.memory.refused = None;
        self.tables.refused = None;
    }

    /// The linear memory that may still be taken, in bytes.
    pub(crate) fn memory_left(&self) -> usize {
        self.memory.left
    }

    /// Whether it was for want of memory of the whole server.
    pub(crate) fn was_short(&self) -> bool {
        let kinds = [&self.memory, &self.tables];
        kinds.iter().any(|kind| kind.refused == Some(SHORT))
    }
}

impl Allowance {
    fn of(what: &'static str, left: usize, cost: usize) -> Self {
        Self {
            what,
            left,
            cost,
            refused: None,
        }
    }

    /// Whether something may grow. What the component itself has bounded is no matter of ours.
    fn grow(
        &mut self,
        purse: &Purse,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let more = desired.saturating_sub(current);
        let Some(left) = self.left.checked_sub(more) else {
            self.refused = Some(self.what);
            return false;
        };
        if purse.spend(more.saturating_mul(self.cost)).is_err() {
            self.refused = Some(SHORT);
            return false;
        }
        self.left = left;
        true
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.memory.grow(&self.purse, current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.tables.grow(&self.purse, current, desired, maximum))
    }

    fn instances(&self) -> usize {
        self.parts
    }

    fn tables(&self) -> usize {
        self.parts
    }

    fn memories(&self) -> usize {
        self.parts
    }
}

/// Counts the host memory that a guest's handles keep alive.
pub(crate) struct HostBytes {
    left: usize,
    purse: Arc<Purse>,
}

/// The host does not keep what a guest asked it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotKept {
    /// It would be more than [`InstanceLimits::host_bytes`].
    #[error("the guest asked the host to keep more memory than it may")]
    OverLimit,
    /// The server as a whole has no room.
    #[error(transparent)]
    Short(#[from] MemoryShort),
}

impl HostBytes {
    pub(crate) fn new(limits: &InstanceLimits, purse: Arc<Purse>) -> Self {
        Self {
            left: limits.host_bytes,
            purse,
        }
    }

    /// What is left of the allowance, in bytes.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Takes `bytes` of the allowance.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), NotKept> {
        let left = self.left.checked_sub(bytes).ok_or(NotKept::OverLimit)?;
        self.purse.spend(bytes)?;
        self.left = left;
        Ok(())
    }

    /// Gives back what a dropped handle had taken.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.release_allowance(bytes);
        self.purse.refund(bytes);
    }

    /// Gives back the allowance alone: the bytes are still there, and paid for.
    pub(crate) fn release_allowance(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn purse(total: usize) -> Arc<Purse> {
        let hold = Memory::new(total, 0, |_| false).app().hold(0).unwrap();
        Arc::new(Purse::new(hold, 0))
    }

    fn limiter(memory: usize, total: usize) -> Limiter {
        let limits = InstanceLimits {
            memory,
            ..InstanceLimits::default()
        };
        Limiter::new(&limits, purse(total))
    }

    #[test]
    fn memory_is_bounded_over_all_memories_of_a_component() {
        let mut limiter = limiter(100, 8 << 20);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert!(!limiter.memory_growing(60, 61, None).unwrap());
        assert_eq!(limiter.refused(), Some("memory"));
    }

    #[test]
    fn memory_is_bounded_over_the_whole_server() {
        let mut limiter = limiter(100 << 20, 8 << 20);
        assert!(limiter.memory_growing(0, 6 << 20, None).unwrap());
        assert!(!limiter.memory_growing(6 << 20, 9 << 20, None).unwrap());
        let refused = limiter.refused().unwrap();
        assert!(refused.contains("memory-total"), "{refused}");
        // What was refused was not counted.
        assert!(limiter.memory_growing(6 << 20, 7 << 20, None).unwrap());
    }

    #[test]
    fn a_component_that_hits_its_own_maximum_is_not_blamed() {
        let mut limiter = limiter(100, 8 << 20);
        assert!(!limiter.memory_growing(0, 2, Some(1)).unwrap());
        assert_eq!(limiter.refused(), None);
    }

    #[test]
    fn host_bytes_come_back_when_released() {
        let limits = InstanceLimits {
            host_bytes: 10,
            ..InstanceLimits::default()
        };
        let mut bytes = HostBytes::new(&limits, purse(8 << 20));
        bytes.charge(10).unwrap();
        assert_eq!(bytes.charge(1), Err(NotKept::OverLimit));
        bytes.release(10);
        bytes.charge(10).unwrap();
    }
}
