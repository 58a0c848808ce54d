//! Who may have an instance, and who waits for one: first come, first served, a bounded number, for
//! a bounded time.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The instances that one app may have at once, and the requests that wait for one.
pub(crate) struct Queue {
    free: Arc<Semaphore>,
    concurrency: usize,
    waiting: AtomicUsize,
    length: usize,
    patience: Duration,
}

/// The right to one instance, given back when dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

/// Which bound a request met that got no instance; for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy(pub(crate) Cow<'static, str>);

impl Queue {
    pub(crate) fn new(concurrency: usize, length: usize, patience: Duration) -> Self {
        let concurrency = concurrency.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            waiting: AtomicUsize::new(0),
            length,
            patience,
        }
    }

    /// Waits for its turn. Dropping the future gives up the place.
    pub(crate) async fn enter(&self) -> Result<Permit, Busy> {
        // The semaphore hands what is freed to those who wait, so this cannot jump the queue.
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.length).ok_or_else(|| self.full())?;
        match tokio::time::timeout(self.patience, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed, so this is the time being up.
            _ => Err(Busy(
                format!(
                    "all {} instances (concurrency) were in use for {:?} (queue timeout)",
                    self.concurrency, self.patience
                )
                .into(),
            )),
        }
    }

    fn full(&self) -> Busy {
        Busy(
            format!(
                "all {} instances (concurrency) are in use and {} requests wait already (queue)",
                self.concurrency, self.length
            )
            .into(),
        )
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, length: usize) -> Option<Self> {
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < length).then_some(taken + 1)
            })
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_bound_is_named() {
        let queue = Arc::new(Queue::new(1, 1, Duration::from_secs(5)));
        let held = queue.enter().await.unwrap();
        let waiting = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        let busy = queue.enter().await.unwrap_err();
        assert!(busy.0.contains("1 requests wait already"), "{busy:?}");
        let busy = waiting.await.unwrap().unwrap_err();
        assert!(busy.0.contains("queue timeout"), "{busy:?}");
        drop(held);
        drop(queue.enter().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gives_up_frees_its_place() {
        let queue = Queue::new(0, 1, Duration::from_secs(5));
        let given_up = tokio::time::timeout(Duration::from_secs(1), queue.enter()).await;
        assert!(given_up.is_err());
        let busy = queue.enter().await.unwrap_err();
        assert!(busy.0.contains("queue timeout"), "{busy:?}");
    }
}
