//! What somebody who watches one request gets to see: for [`testing`](crate::testing), and through it for
//! the lint. Servers watch nobody.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use wasm_gw_protocol::lint::Event;

use crate::clock::Expired;
use crate::error::Failure;
use crate::testing::Clocks;

/// So many things are remembered of one request, and so much text of heads, in bytes. A guest decides how much
/// there is.
const MOST: usize = 10_000;
const MOST_TEXT: usize = 8 << 20;

/// Put into the extensions of a request by whoever wants to watch. Clones watch the same one.
#[derive(Clone)]
pub(crate) struct Observer {
    seen: Arc<Mutex<Observed>>,
    clocks: Option<Clocks>,
    /// Gone when the last clone is.
    _alive: mpsc::Sender<Infallible>,
}

/// What was seen, in order.
#[derive(Default)]
pub(crate) struct Observed {
    pub(crate) events: Vec<Event>,
    /// Text of heads among the events, in bytes.
    text: usize,
    /// Lines of the guest's log, with control characters escaped.
    pub(crate) log: Vec<String>,
}

/// Whoever watches.
pub(crate) struct Watch {
    seen: Arc<Mutex<Observed>>,
    alive: mpsc::Receiver<Infallible>,
}

/// Somebody who watches a request, and what is to be put into it. Who watches may set the guest's clocks.
pub(crate) fn watch(clocks: Option<Clocks>) -> (Watch, Observer) {
    let (sender, alive) = mpsc::channel(1);
    let seen = Arc::<Mutex<Observed>>::default();
    let observer = Observer {
        seen: Arc::clone(&seen),
        clocks,
        _alive: sender,
    };
    (Watch { seen, alive }, observer)
}

impl Watch {
    /// Waits until the request's guest is gone, which may be after its answer has come.
    pub(crate) async fn end(mut self) -> Observed {
        while self.alive.recv().await.is_some() {}
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer {
    /// Those of the guest, if they are not the machine's.
    pub(crate) fn clocks(&self) -> Option<Clocks> {
        self.clocks
    }

    /// Remembers what happened. Plain blocks one after the other are one. How it ended is always remembered.
    pub(crate) fn note(&self, event: Event) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (seen.events.last_mut(), &event) {
            (Some(Event::Block(before)), Event::Block(bytes)) => {
                *before += bytes;
                return;
            }
            (
                Some(Event::Write {
                    bytes: before,
                    refused: None,
                }),
                Event::Write {
                    bytes,
                    refused: None,
                },
            ) => {
                *before += bytes;
                return;
            }
            _ => {}
        }
        let fits = match &event {
            Event::Start {
                status, headers, ..
            } => {
                let fields = headers.iter().map(|(name, value)| name.len() + value.len());
                seen.text += status.len() + fields.sum::<usize>();
                seen.text <= MOST_TEXT && seen.events.len() < MOST
            }
            Event::Write { .. } | Event::Block(_) => seen.events.len() < MOST,
            _ => true,
        };
        if fits {
            seen.events.push(event);
        }
    }

    /// Remembers a line of the guest's log.
    pub(crate) fn log(&self, line: String) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.log.len() < MOST {
            seen.log.push(line);
        }
    }
}

/// A failure as far as it is the application's own.
pub(crate) fn event(failure: &Failure) -> Option<Event> {
    match failure {
        Failure::Exception(exception) => Some(Event::Exception(exception.to_string())),
        Failure::Broken(broken) => Some(Event::Broken(*broken)),
        Failure::TooLarge(_) | Failure::Trap(_) | Failure::Exit(_) | Failure::Exhausted { .. } => {
            Some(Event::Ended(failure.to_string()))
        }
        Failure::Expired(bound) if *bound != Expired::Disconnected => {
            Some(Event::Ended(failure.to_string()))
        }
        _ => None,
    }
}
