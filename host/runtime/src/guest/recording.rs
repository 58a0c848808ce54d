//! `recording`, for middleware: a `start-response` that tells a wrapping component what the wrapped
//! one said, by the same rules, instead of telling the client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Version;
use wasm_gw_protocol::{Exchange, RequestKind, ResponseLimits, StartError};

use super::bindings::wasm_gw::gateway::recording::Started;
use super::bindings::wasm_gw::gateway::types::{Exception, WriteError};
use crate::limits::{HostBytes, NotKept};

/// The most that a wrapped application may write before the wrapping one looks, in bytes.
const WRITTEN: usize = 16 << 20;
/// And in blocks, since an empty one costs memory too: about this much.
const BLOCKS: usize = 10_000;
const BLOCK: usize = 64;
/// What one header takes beside its bytes, which are kept twice: as given, and checked.
const HEADER: usize = 256;

/// What one recorder has heard. Clones share it.
#[derive(Clone)]
pub(crate) struct Recording(Arc<Mutex<Heard>>);

struct Heard {
    rules: Exchange,
    started: Option<Started>,
    written: Vec<Vec<u8>>,
    written_bytes: usize,
    committed: bool,
    /// Host memory charged for what was started and what was written.
    charged: [usize; 2],
}

impl Recording {
    pub(crate) fn new() -> Self {
        let any = RequestKind {
            head: false,
            version: Version::HTTP_11,
        };
        Self(Arc::new(Mutex::new(Heard {
            rules: Exchange::new(any, ResponseLimits::default(), None),
            started: None,
            written: Vec::new(),
            written_bytes: 0,
            committed: false,
            charged: [0; 2],
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to the wrapped application, and what it says is kept at the cost of the guest.
    pub(crate) fn start(
        &self,
        status: String,
        headers: Vec<(String, String)>,
        exc_info: Option<Exception>,
        host_bytes: &mut HostBytes,
    ) -> Result<Result<(), StartError>, NotKept> {
        let heard = &mut *self.lock();
        if heard.committed && exc_info.is_some() {
            return Ok(Err(StartError::HeadersSent));
        }
        let fields = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        if let Err(refused) = heard.rules.start(&status, fields, exc_info.is_some()) {
            return Ok(Err(refused));
        }
        let started = Started {
            status,
            headers,
            exc_info,
        };
        let [charged, _] = &mut heard.charged;
        host_bytes.release(std::mem::take(charged));
        host_bytes.charge(cost(&started))?;
        *charged = cost(&started);
        heard.started = Some(started);
        Ok(Ok(()))
    }

    /// The same for a block.
    pub(crate) fn write(
        &self,
        block: Vec<u8>,
        host_bytes: &mut HostBytes,
    ) -> Result<Result<(), WriteError>, NotKept> {
        let heard = &mut *self.lock();
        let total = heard.written_bytes.saturating_add(block.len());
        if total > WRITTEN || heard.written.len() == BLOCKS {
            let message = "too much was written before the middleware took it".to_owned();
            return Ok(Err(WriteError::Other(message)));
        }
        host_bytes.charge(block.len() + BLOCK)?;
        heard.charged[1] += block.len() + BLOCK;
        heard.written_bytes = total;
        heard.written.push(block);
        Ok(Ok(()))
    }

    /// The host memory that a copy of the latest successful start costs.
    pub(crate) fn started_cost(&self) -> usize {
        self.lock().charged[0]
    }

    /// The latest successful start.
    pub(crate) fn started(&self) -> Option<Started> {
        self.lock().started.clone()
    }

    /// The blocks written since the last call, and the host memory that this gives back.
    pub(crate) fn take_written(&self) -> (Vec<Vec<u8>>, usize) {
        let mut heard = self.lock();
        heard.written_bytes = 0;
        let released = std::mem::take(&mut heard.charged[1]);
        (std::mem::take(&mut heard.written), released)
    }

    /// From now on a start with exc-info comes too late.
    pub(crate) fn commit(&self) {
        self.lock().committed = true;
    }

    /// Gives back the memory that it took, if this was its last handle.
    pub(crate) fn released(self) -> usize {
        Arc::into_inner(self.0).map_or(0, |heard| {
            let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
            heard.charged.iter().sum()
        })
    }
}

/// The host memory that keeping it costs.
fn cost(started: &Started) -> usize {
    let headers = started.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| 2 * (name.len() + value.len()) + HEADER)
        .sum();
    let exception = started.exc_info.as_ref().map_or(0, |exception| {
        let traceback = exception.traceback.as_ref().map_or(0, String::len);
        exception.kind.len() + exception.message.len() + traceback
    });
    started.status.len() + headers + exception
}
