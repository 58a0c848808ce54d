//! `recording`, for middleware: a `start-response` that tells a wrapping component what the wrapped
//! one said, by the same rules, instead of telling the client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Version;
use wasm_gw_protocol::{Exchange, RequestKind, ResponseLimits, StartError};
use wasmtime::component::Resource;

use super::bindings::wasm_gw::gateway::recording::{Host, HostRecorder, Started};
use super::bindings::wasm_gw::gateway::types::{Exception, WriteError};
use super::response::StartResponse;
use crate::instance::State;
use crate::limits::{HostBytes, HostBytesExceeded};

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

/// A handle to a recording.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Recorder(Recording);

impl Recording {
    fn new() -> Self {
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
    ) -> Result<Result<(), StartError>, HostBytesExceeded> {
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
    ) -> Result<Result<(), WriteError>, HostBytesExceeded> {
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
    let headers: usize = headers.map(|(name, value)| 2 * (name.len() + value.len()) + HEADER).sum();
    let exception = started.exc_info.as_ref().map_or(0, |exception| {
        let traceback = exception.traceback.as_ref().map_or(0, String::len);
        exception.kind.len() + exception.message.len() + traceback
    });
    started.status.len() + headers + exception
}

impl Host for State {}

impl HostRecorder for State {
    fn new(&mut self) -> wasmtime::Result<Resource<Recorder>> {
        Ok(self.table.push(Recorder(Recording::new()))?)
    }

    fn start_response(
        &mut self,
        recorder: Resource<Recorder>,
    ) -> wasmtime::Result<Resource<StartResponse>> {
        let recording = self.table.get(&recorder)?.0.clone();
        Ok(self.table.push(StartResponse::Recorder(recording))?)
    }

    fn started(&mut self, recorder: Resource<Recorder>) -> wasmtime::Result<Option<Started>> {
        Ok(self.table.get(&recorder)?.0.lock().started.clone())
    }

    fn take_written(&mut self, recorder: Resource<Recorder>) -> wasmtime::Result<Vec<Vec<u8>>> {
        let heard = &mut *self.table.get(&recorder)?.0.lock();
        heard.written_bytes = 0;
        self.host_bytes.release(std::mem::take(&mut heard.charged[1]));
        Ok(std::mem::take(&mut heard.written))
    }

    fn commit(&mut self, recorder: Resource<Recorder>) -> wasmtime::Result<()> {
        self.table.get(&recorder)?.0.lock().committed = true;
        Ok(())
    }

    fn drop(&mut self, recorder: Resource<Recorder>) -> wasmtime::Result<()> {
        let released = self.table.delete(recorder)?.0.released();
        self.host_bytes.release(released);
        Ok(())
    }
}
