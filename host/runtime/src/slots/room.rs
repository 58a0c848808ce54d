//! How much memory things that nobody uses may keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that can be taken, and comes back.
#[derive(Debug)]
pub(super) struct Room(Arc<AtomicUsize>);

/// Bytes that were taken. They come back when it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    bytes: usize,
    room: Arc<AtomicUsize>,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes as many, if so many are left.
    pub(super) fn take(&self, bytes: usize) -> Option<Taken> {
        let left = |left: usize| left.checked_sub(bytes);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, left).ok()?;
        Some(Taken {
            bytes,
            room: Arc::clone(&self.0),
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.fetch_add(self.bytes, Ordering::Relaxed);
    }
}
