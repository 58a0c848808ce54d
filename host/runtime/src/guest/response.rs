//! `start-response` and `writer`: what the guest says of its response, checked by the protocol's
//! [`Exchange`](wasm_gw_protocol::Exchange) and passed on to the client.

use wasm_gw_protocol::lint::Event;
use wasm_gw_protocol::{BodyError, StartError as Refused, WriteError as NotWritten};
use wasmtime::component::Resource;

use super::bindings::wasm_gw::gateway::types::{
    Exception as GuestException, HostStartResponse, HostWriter, StartError, WriteError,
};
use super::recording::Recording;
use crate::error::Exception;
use crate::instance::State;

/// Whom a `start-response` tells: the client's response, or a recorder of middleware.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Clone)]
pub enum StartResponse {
    /// With the number of the request, of those that the instance serves: the handle may outlast it.
    Client(u32),
    Recorder(Recording),
}

impl StartResponse {
    /// The host memory that goes with its last handle.
    fn released(self) -> usize {
        match self {
            StartResponse::Client(_) => 0,
            StartResponse::Recorder(recording) => recording.released(),
        }
    }
}

/// The `write` callable; it goes where its `start-response` did.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Writer(StartResponse);

impl HostStartResponse for State {
    fn start(
        &mut self,
        start_response: Resource<StartResponse>,
        status: String,
        headers: Vec<(String, String)>,
        exc_info: Option<GuestException>,
    ) -> wasmtime::Result<Result<Resource<Writer>, StartError>> {
        let target = self.table.get(&start_response)?.clone();
        let fields = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let started = match &target {
            StartResponse::Client(request) if *request != self.request => {
                Err(Refused::Disconnected)
            }
            StartResponse::Client(_) => {
                if let Some(exception) = &exc_info {
                    self.log_exc_info(exception);
                }
                if self.output.is_closed() {
                    self.client_left();
                }
                let started = self.exchange.start(&status, fields, exc_info.is_some());
                self.observed(|| {
                    Some(Event::Start {
                        status: status.clone(),
                        headers: headers.clone(),
                        exc_info: exc_info.is_some(),
                        refused: started.clone().err(),
                    })
                });
                started
            }
            StartResponse::Recorder(recording) => {
                recording.start(status, headers, exc_info, &mut self.host_bytes)?
            }
        };
        match started {
            Ok(()) => Ok(Ok(self.table.push(Writer(target))?)),
            Err(refused) => Ok(Err(refused.into())),
        }
    }

    fn drop(&mut self, start_response: Resource<StartResponse>) -> wasmtime::Result<()> {
        let released = self.table.delete(start_response)?.released();
        self.host_bytes.release(released);
        Ok(())
    }
}

impl State {
    /// The guest learns now that its client has gone; if it fails by that, it is not its fault.
    fn client_left(&mut self) {
        self.exchange.disconnect();
        self.fault.get_or_insert(BodyError::Disconnected);
    }

    /// An error that the guest handled by itself is for its log, within that log's bounds.
    fn log_exc_info(&self, exception: &GuestException) {
        let text = Exception::from(exception.clone()).to_string();
        self.log
            .note("start-response was called with exc-info", &text);
    }
}

impl HostWriter for State {
    async fn write(
        &mut self,
        writer: Resource<Writer>,
        block: Vec<u8>,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        if block.len() > self.limits.block {
            let limit = self.limits.block;
            let message = format!(
                "a block may have {limit} bytes and this has {}",
                block.len()
            );
            return Ok(Err(WriteError::Other(message)));
        }
        match &self.table.get(&writer)?.0 {
            StartResponse::Recorder(recording) => {
                return Ok(recording.write(block, &mut self.host_bytes)?);
            }
            StartResponse::Client(request) if *request != self.request => {
                return Ok(Err(WriteError::Disconnected));
            }
            StartResponse::Client(_) => {}
        }
        let bytes = block.len() as u64;
        let block = self.memory.block(block)?;
        let written = self.exchange.write(block);
        self.observed(|| {
            let refused = written.as_ref().err().copied();
            Some(Event::Write { bytes, refused })
        });
        let send = match written {
            Ok(send) => send,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(match self.emit(send).await {
            Ok(()) => Ok(()),
            Err(_gone) => {
                self.client_left();
                Err(WriteError::Disconnected)
            }
        })
    }

    fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        let released = self.table.delete(writer)?.0.released();
        self.host_bytes.release(released);
        Ok(())
    }
}

impl From<Refused> for StartError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::AlreadyStarted => StartError::AlreadyStarted,
            Refused::HeadersSent => StartError::HeadersSent,
            Refused::BadStatus(why) => StartError::BadStatus(why),
            Refused::BadHeaderName(name) => StartError::BadHeaderName(name),
            Refused::BadHeaderValue(name) => StartError::BadHeaderValue(name),
            Refused::NotLatin1(what) => StartError::NotLatin1(what),
            Refused::HopByHop(name) => StartError::HopByHop(name),
            Refused::BadContentLength(value) => StartError::BadContentLength(value),
            Refused::TooLarge => StartError::TooLarge,
            Refused::Disconnected => StartError::Disconnected,
        }
    }
}

impl From<NotWritten> for WriteError {
    fn from(error: NotWritten) -> Self {
        match error {
            NotWritten::ContentLengthExceeded => WriteError::ContentLengthExceeded,
            NotWritten::BodyStarted => WriteError::BodyStarted,
            NotWritten::Aborted => WriteError::Aborted,
            NotWritten::Disconnected => WriteError::Disconnected,
        }
    }
}

impl From<GuestException> for Exception {
    fn from(exception: GuestException) -> Self {
        Self {
            kind: exception.kind,
            message: exception.message,
            traceback: exception.traceback,
        }
    }
}
