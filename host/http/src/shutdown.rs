//! The end of a server in stages: serving, perhaps handing over, draining, cut.
//!
//! Every connection watches the stage; the server waits until all of them are gone. What a
//! connection does at each stage is in `connection.rs`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use tokio::time::Instant;

use crate::times::from_now;

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Exchanges that were broken off because they outlasted `graceful_timeout`.
    pub cut: usize,
}

/// In whose favour a server ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// In nobody's: new clients are refused, and connections that rest are closed, but for those that came or
    /// were served a moment ago.
    #[default]
    Stop,
    /// In that of a process that listens on the same sockets. There is no hurry: a connection that rests may have
    /// one more request at any time, and is closed after it.
    HandOver,
}

impl From<()> for Ending {
    fn from((): ()) -> Self {
        Ending::Stop
    }
}

/// How far the server's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    /// New clients are another's: connections that are here end with their next answer.
    HandingOver,
    /// Nothing new: resting connections close, exchanges in progress finish.
    Draining,
    /// Exchanges in progress are broken off.
    Cut,
}

/// The server's side.
pub(crate) struct Drain {
    stage: watch::Sender<Stage>,
    cut: Arc<AtomicUsize>,
    alive: mpsc::Sender<Never>,
    gone: mpsc::Receiver<Never>,
}

/// Nothing is ever sent; the channel only tells when its last sender is gone.
enum Never {}

/// How long a connection may take to notice that it is cut. It only has to be polled once, so
/// more than this means that a service blocks its thread.
const CUT_PATIENCE: Duration = Duration::from_secs(5);

/// A client that was served, or has come, so short a time before the server's end may send one more
/// request, in so much time.
pub(crate) const LATELY: Duration = Duration::from_secs(1);

/// Until when a connection that rests since then may rest while the server drains.
pub(crate) fn drain_until(since: Instant, drain: Instant) -> Instant {
    if drain.saturating_duration_since(since) < LATELY {
        since.max(drain) + LATELY
    } else {
        drain
    }
}

/// When there is no more time than this, connections that rest are no longer waited for.
const LAST: Duration = Duration::from_secs(2);

impl Drain {
    pub(crate) fn new() -> Self {
        let (alive, gone) = mpsc::channel(1);
        Drain {
            stage: watch::Sender::new(Stage::Serving),
            cut: Arc::default(),
            alive,
            gone,
        }
    }

    /// The side of one connection.
    pub(crate) fn watch(&self) -> Stages {
        let receiver = self.stage.subscribe();
        Stages {
            next: Box::pin(after(receiver.clone(), Stage::Serving)),
            receiver,
            registered: None,
            seen: Stage::Serving,
            cut: Arc::clone(&self.cut),
            _alive: self.alive.clone(),
        }
    }

    /// Tells all connections to finish, and waits until they have or `patience` is over; cuts
    /// those that have not.
    pub(crate) async fn run(self, ending: Ending, patience: Duration) -> Drained {
        let Drain {
            stage,
            cut,
            alive,
            mut gone,
        } = self;
        drop(alive);
        let end = from_now(patience);
        if ending == Ending::HandOver {
            stage.send_replace(Stage::HandingOver);
            let rest = patience.saturating_sub(LAST);
            let _ = tokio::time::timeout(rest, gone.recv()).await;
        }
        stage.send_replace(Stage::Draining);
        if tokio::time::timeout_at(end, gone.recv()).await.is_err() {
            stage.send_replace(Stage::Cut);
            if tokio::time::timeout(CUT_PATIENCE, gone.recv())
                .await
                .is_err()
            {
                tracing::warn!("a connection does not end although it was cut");
            }
        }
        Drained {
            cut: cut.load(Ordering::Relaxed),
        }
    }
}

/// A connection's side: when the next stage begins.
pub(crate) struct Stages {
    receiver: watch::Receiver<Stage>,
    next: Pin<Box<dyn Future<Output = Stage> + Send>>,
    /// Whom `next` wakes while the server serves. As long as it is the same task and nothing has
    /// changed, asking again would only take a lock that all connections share. Not so later: the
    /// news of one stage comes in several steps, and may also use up the registration for the
    /// next, of which nothing but asking again makes a new one.
    registered: Option<Waker>,
    seen: Stage,
    cut: Arc<AtomicUsize>,
    _alive: mpsc::Sender<Never>,
}

impl Stages {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Stage> {
        let registered = self.registered.as_ref();
        if self.seen == Stage::Serving
            && registered.is_some_and(|waker| waker.will_wake(cx.waker()))
            && matches!(self.receiver.has_changed(), Ok(false))
        {
            return Poll::Pending;
        }
        self.registered = Some(cx.waker().clone());
        let stage = ready!(self.next.as_mut().poll(cx));
        self.registered = None;
        self.seen = stage;
        self.receiver.mark_unchanged();
        self.next = Box::pin(after(self.receiver.clone(), stage));
        Poll::Ready(stage)
    }

    pub(crate) async fn next(&mut self) -> Stage {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The stage that was told last.
    pub(crate) fn seen(&self) -> Stage {
        self.seen
    }

    /// An exchange was broken off at the last stage.
    pub(crate) fn count_cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }
}

/// The stage after `seen`. A server that was dropped cuts its connections.
async fn after(mut receiver: watch::Receiver<Stage>, seen: Stage) -> Stage {
    match receiver.wait_for(|stage| *stage > seen).await {
        Ok(stage) => *stage,
        Err(_) => Stage::Cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With many connections the news of the drain reaches the first of them long before the last,
    /// so that some already wait for the next stage while it is still being told.
    #[test]
    fn no_stage_is_missed() {
        const CONNECTIONS: usize = 200;
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        tokio.block_on(async {
            for _ in 0..50 {
                let drain = Drain::new();
                let told = (0..CONNECTIONS).map(|_| {
                    let mut stages = drain.watch();
                    tokio::spawn(async move { while stages.next().await != Stage::Cut {} })
                });
                let told: Vec<_> = told.collect();
                tokio::task::yield_now().await;
                drain.run(Ending::Stop, Duration::from_millis(1)).await;
                for told in told {
                    tokio::time::timeout(Duration::from_secs(1), told)
                        .await
                        .expect("it is told of the cut")
                        .unwrap();
                }
            }
        });
    }
}
