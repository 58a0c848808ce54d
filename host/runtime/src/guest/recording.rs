//! `recording`, for middleware: a `start-response` that tells a wrapping component what the wrapped
//! one said, by the same rules, instead of telling the client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Version;
use wasm_gw_protocol::{Exchange, RequestKind, ResponseLimits, StartError};

use super::bindings::wasm_gw::gateway::recording::Started;
use super::bindings::wasm_gw::gateway::types::{Exception, WriteError};

/// The most that a wrapped application may write before the wrapping one looks, in bytes.
const WRITTEN: usize = 16 << 20;
/// And in blocks, since an empty one costs memory too.
const BLOCKS: usize = 10_000;

/// What one recorder has heard. Clones share it.
#[derive(Clone)]
pub(crate) struct Recording(Arc<Mutex<Heard>>);

struct Heard {
    rules: Exchange,
    started: Option<Started>,
    written: Vec<Vec<u8>>,
    written_bytes: usize,
    committed: bool,
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
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start(
        &self,
        status: String,
        headers: Vec<(String, String)>,
        exc_info: Option<Exception>,
    ) -> Result<(), StartError> {
        let mut heard = self.lock();
        if heard.committed && exc_info.is_some() {
            return Err(StartError::HeadersSent);
        }
        let fields = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        heard.rules.start(&status, fields, exc_info.is_some())?;
        heard.started = Some(Started {
            status,
            headers,
            exc_info,
        });
        Ok(())
    }

    pub(crate) fn write(&self, block: Vec<u8>) -> Result<(), WriteError> {
        let mut heard = self.lock();
        let total = heard.written_bytes.saturating_add(block.len());
        if total > WRITTEN || heard.written.len() == BLOCKS {
            let message = "too much was written before the middleware took it".to_owned();
            return Err(WriteError::Other(message));
        }
        heard.written_bytes = total;
        heard.written.push(block);
        Ok(())
    }

    /// The latest successful start.
    pub(crate) fn started(&self) -> Option<Started> {
        self.lock().started.clone()
    }

    /// The blocks written since the last call, and their size in bytes.
    pub(crate) fn take_written(&self) -> (Vec<Vec<u8>>, usize) {
        let mut heard = self.lock();
        let bytes = std::mem::take(&mut heard.written_bytes);
        (std::mem::take(&mut heard.written), bytes)
    }

    /// From now on a start with exc-info comes too late.
    pub(crate) fn commit(&self) {
        self.lock().committed = true;
    }
}
