//! What happened, for a test to wait for.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};

use super::*;

/// Something that grows and can be waited for.
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T: Default> Default for Watched<T> {
    fn default() -> Self {
        Watched {
            value: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl<T: Clone + std::fmt::Debug> Watched<T> {
    fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, until: impl Fn(&T) -> bool) -> T {
        let value = self.value.lock().unwrap();
        let (value, timeout) = self
            .changed
            .wait_timeout_while(value, PATIENCE, |value| !until(value))
            .unwrap();
        assert!(!timeout.timed_out(), "waited for {what} in vain: {value:?}");
        value.clone()
    }
}

/// What the service saw, in order.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Watched<Vec<String>>>);

impl Events {
    pub(crate) fn push(&self, event: impl Into<String>) {
        self.0.change(|events| events.push(event.into()));
    }

    pub(crate) fn wait(&self, event: &str) {
        self.0
            .wait(event, |events| events.iter().any(|e| e == event));
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.value.lock().unwrap().clone()
    }
}

/// Where an access log goes.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Watched<Vec<u8>>>);

impl Sink {
    /// Waits for this many lines and returns all there are.
    pub(crate) fn lines(&self, count: usize) -> Vec<String> {
        let bytes = self.0.wait("log lines", |bytes| {
            bytes.iter().filter(|byte| **byte == b'\n').count() >= count
        });
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.change(|all| all.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
