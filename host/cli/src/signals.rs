//! The signals that there is an answer to: to end, to hand over, to load again. Not here: what is done then.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::log_file::Reopen;

/// All of them, from the start on.
pub(crate) struct Signals {
    pub(crate) stop: Stop,
    /// SIGHUP.
    pub(crate) hangup: Signal,
    /// SIGUSR2: another process is to take the place of this one.
    pub(crate) hand_over: Signal,
    /// What SIGHUP opens anew.
    pub(crate) log: Reopen,
}

impl Signals {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            stop: Stop::listen()?,
            hangup: listen(SignalKind::hangup())?,
            hand_over: listen(SignalKind::user_defined2())?,
            log: Reopen::default(),
        })
    }
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

/// SIGTERM and SIGINT: the first asks for an orderly end, the second for the end.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    pub(crate) async fn one(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// After so many more signals the process ends at once.
    pub(crate) fn quit_after(mut self, count: usize) {
        tokio::spawn(async move {
            for _ in 0..count {
                self.one().await;
            }
            tracing::warn!("ended by a second signal");
            crate::quit();
        });
    }
}
