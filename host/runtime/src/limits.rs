//! What one instance may use: memory, tables, handles, time, and the size of everything that a guest
//! hands to the host. The caps of a *client* are in the HTTP server; those of a *tenant* are not here
//! either.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// The bounds of one instance, which is to say of one request.
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
    /// Time for `close` once the response has ended (S41).
    pub close_timeout: Duration,
    /// Processor time that a guest may go on for when its client has gone and it makes no gateway
    /// call.
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
            close_timeout: Duration::from_secs(1),
            disconnect_grace: Duration::from_secs(1),
        }
    }
}

/// Keeps one instance within its memory and tables, and remembers which of them it asked too much
/// of: a guest that is refused memory usually traps somewhere else, and the log should say why.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: Allowance,
    tables: Allowance,
    parts: usize,
}

/// What is left of one kind, over all that a component has of it.
#[derive(Debug)]
struct Allowance {
    what: &'static str,
    left: usize,
    refused: bool,
}

impl Limiter {
    pub(crate) fn new(limits: &InstanceLimits) -> Self {
        Self {
            memory: Allowance::of("memory", limits.memory),
            tables: Allowance::of("table elements", limits.table_elements),
            parts: limits.parts,
        }
    }

    /// What the instance was refused, if anything.
    pub(crate) fn refused(&self) -> Option<&'static str> {
        let of_both = [&self.memory, &self.tables];
        of_both
            .into_iter()
            .find(|kind| kind.refused)
            .map(|kind| kind.what)
    }
}

impl Allowance {
    fn of(what: &'static str, left: usize) -> Self {
        Self {
            what,
            left,
            refused: false,
        }
    }

    /// Whether something may grow. What the component itself has bounded is no matter of ours.
    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        match self.left.checked_sub(desired.saturating_sub(current)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.refused = true;
                false
            }
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.memory.grow(current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.tables.grow(current, desired, maximum))
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
#[derive(Debug)]
pub(crate) struct HostBytes {
    left: usize,
}

/// The guest asked the host to keep more than [`InstanceLimits::host_bytes`].
#[derive(Debug, thiserror::Error)]
#[error("the guest asked the host to keep more memory than it may")]
pub(crate) struct HostBytesExceeded;

impl HostBytes {
    pub(crate) fn new(limits: &InstanceLimits) -> Self {
        Self {
            left: limits.host_bytes,
        }
    }

    /// Takes `bytes` of the allowance.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), HostBytesExceeded> {
        self.left = self.left.checked_sub(bytes).ok_or(HostBytesExceeded)?;
        Ok(())
    }

    /// Gives back what a dropped handle had taken.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_over_all_memories_of_a_component() {
        let mut limiter = Limiter::new(&InstanceLimits {
            memory: 100,
            ..InstanceLimits::default()
        });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert!(!limiter.memory_growing(60, 61, None).unwrap());
        assert_eq!(limiter.refused(), Some("memory"));
    }

    #[test]
    fn a_component_that_hits_its_own_maximum_is_not_blamed() {
        let mut limiter = Limiter::new(&InstanceLimits::default());
        assert!(!limiter.memory_growing(0, 2, Some(1)).unwrap());
        assert_eq!(limiter.refused(), None);
    }

    #[test]
    fn host_bytes_come_back_when_released() {
        let mut bytes = HostBytes { left: 10 };
        bytes.charge(10).unwrap();
        assert!(bytes.charge(1).is_err());
        bytes.release(10);
        bytes.charge(10).unwrap();
    }
}
