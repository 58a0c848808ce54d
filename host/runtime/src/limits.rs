//! What one instance may use: memory, tables, handles, time, and the size of everything that a guest
//! hands to the host. The caps of a *client* are in the HTTP server; those of a *tenant* are not here
//! either.

use std::sync::Arc;
use std::time::Duration;

use wasm_gw_protocol::weak;
use wasmtime::ResourceLimiter;

use crate::memory::{MemoryShort, NoMemory, Purse};

/// The bounds of one instance: of one request, as a rule. Where an instance serves more, times and log text are a
/// request's, and the rest is the instance's.
#[derive(Clone, Debug)]
pub struct InstanceLimits {
    /// Linear memory of the instance in bytes, all memories of the component together, and what is in its
    /// `/tmp`, which is half of this at most.
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
    /// What of the memory files in `/tmp` may take, in bytes: half of it, as on Linux.
    pub(crate) fn files(&self) -> usize {
        self.memory / 2
    }

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
    /// The elements that all tables of the component may still get.
    elements_left: usize,
    parts: usize,
    /// Knows what memory is left, which files in `/tmp` take part of.
    purse: Arc<Purse>,
    /// What was refused of each kind.
    memory: Option<&'static str>,
    tables: Option<&'static str>,
}

impl Limiter {
    pub(crate) fn new(limits: &InstanceLimits, purse: Arc<Purse>) -> Self {
        Self {
            elements_left: limits.table_elements,
            parts: limits.parts,
            purse,
            memory: None,
            tables: None,
        }
    }

    /// What the instance was refused, if anything.
    pub(crate) fn refused(&self) -> Option<&'static str> {
        self.memory.or(self.tables)
    }

    /// What a request was refused is nothing to the next.
    pub(crate) fn forget_refusals(&mut self) {
        (self.memory, self.tables) = (None, None);
    }

    /// Whether it was for want of memory of the whole server.
    pub(crate) fn was_short(&self) -> bool {
        [self.memory, self.tables].contains(&Some(SHORT))
    }

    fn grow_memory(&self, more: usize) -> Result<(), &'static str> {
        self.purse
            .spend_on_memory(more)
            .map_err(|error| match error {
                NoMemory::OverLimit => "memory",
                NoMemory::Short => SHORT,
            })
    }

    fn grow_tables(&mut self, more: usize) -> Result<(), &'static str> {
        let left = self.elements_left.checked_sub(more);
        let left = left.ok_or("table elements")?;
        let paid = self.purse.spend(more.saturating_mul(ELEMENT));
        paid.map_err(|_| SHORT)?;
        self.elements_left = left;
        Ok(())
    }
}

/// By how much something is to grow, if the component itself allows it. What that has bounded is no matter of
/// ours.
fn growth(current: usize, desired: usize, maximum: Option<usize>) -> Option<usize> {
    let allowed = maximum.is_none_or(|maximum| desired <= maximum);
    allowed.then(|| desired.saturating_sub(current))
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let Some(more) = growth(current, desired, maximum) else {
            return Ok(false);
        };
        let grown = self.grow_memory(more);
        self.memory = grown.err().or(self.memory);
        Ok(grown.is_ok())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let Some(more) = growth(current, desired, maximum) else {
            return Ok(false);
        };
        let grown = self.grow_tables(more);
        self.tables = grown.err().or(self.tables);
        Ok(grown.is_ok())
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

    fn purse(total: usize, memory: usize) -> Arc<Purse> {
        let hold = Memory::new(total, 0, |_| false).app().hold(0).unwrap();
        Arc::new(Purse::new(hold, 0, memory))
    }

    fn limiter(memory: usize, total: usize) -> Limiter {
        Limiter::new(&InstanceLimits::default(), purse(total, memory))
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
        let mut bytes = HostBytes::new(&limits, purse(8 << 20, 0));
        bytes.charge(10).unwrap();
        assert_eq!(bytes.charge(1), Err(NotKept::OverLimit));
        bytes.release(10);
        bytes.charge(10).unwrap();
    }
}
