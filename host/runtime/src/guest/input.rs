//! `input` and `host-body`: the request's body as the guest reads it, or as it passes through
//! without entering the guest.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::Mutex;
use wasm_gw_protocol::{BodyError, InputBuffer, NeedMore};
use wasmtime::component::Resource;

use super::bindings::wasm_gw::gateway::types::{HostHostBody, HostInput, IoError};
use crate::clock::Clock;
use crate::error::Failure;
use crate::instance::State;
use crate::memory::{MemoryShort, Purse};

/// The most lines that one `read-lines` returns: each costs far more than its bytes.
const LINES: usize = 1 << 16;
/// What a line costs beside its bytes.
const LINE: usize = 48;
/// The most bytes that one step of a body that passes through may have.
pub(crate) const PASS_THROUGH: u64 = 64 << 10;

/// The request's body as it comes from the server, whatever the server's type for it.
pub(crate) type RequestBody = Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>;

/// `wsgi.input`. Clones are handles to one stream, which is read by one call at a time.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Clone)]
pub struct Input(Arc<Mutex<Reader>>);

/// A stream, and what was read of it and not yet asked for.
struct Reader {
    /// None once it has ended or failed.
    body: Option<RequestBody>,
    buffer: InputBuffer,
    fault: Option<BodyError>,
    /// The most that one read may gather: what the guest could not take anyway, it need not cost
    /// the host.
    most: usize,
    /// Host memory charged for a body made of bytes, given back with the last handle.
    charged: usize,
    /// Pays for what is gathered of a request's body.
    purse: Option<Arc<Purse>>,
}

/// Why there is nothing to read.
pub(crate) enum NotRead {
    /// By the client's fault.
    Client(BodyError),
    /// What has arrived has no room in the server.
    Short(MemoryShort),
}

impl From<NotRead> for Failure {
    fn from(not_read: NotRead) -> Self {
        match not_read {
            NotRead::Client(fault) => Failure::Client(fault),
            NotRead::Short(short) => Failure::Short(short),
        }
    }
}

/// A body that the host produces: so far, what is left of a request's.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Clone)]
pub struct HostBody {
    input: Input,
}

impl HostBody {
    /// See [`Input::released`].
    pub(crate) fn released(self) -> usize {
        self.input.released()
    }
}

impl Input {
    /// The body of a request. A read gathers at most `most` bytes, which the purse pays for.
    pub(crate) fn of_body(body: Option<RequestBody>, most: usize, purse: Arc<Purse>) -> Self {
        let mut buffer = InputBuffer::default();
        if body.is_none() {
            buffer.end();
        }
        Self::of_reader(Reader {
            body,
            buffer,
            fault: None,
            most,
            charged: 0,
            purse: Some(purse),
        })
    }

    /// A body that has nothing in it.
    pub(crate) fn none() -> Self {
        Self::of_bytes(Vec::new())
    }

    fn of_bytes(data: Vec<u8>) -> Self {
        let mut buffer = InputBuffer::default();
        let charged = data.len();
        buffer.push(data.into());
        buffer.end();
        Self::of_reader(Reader {
            body: None,
            buffer,
            fault: None,
            most: charged,
            charged,
            purse: None,
        })
    }

    fn of_reader(reader: Reader) -> Self {
        Self(Arc::new(Mutex::new(reader)))
    }

    /// Takes from the buffer, reading on until there is enough. With it comes what was paid for it.
    async fn take(
        &self,
        clock: &Clock,
        mut from: impl FnMut(&mut InputBuffer) -> Result<Bytes, NeedMore>,
    ) -> Result<(Bytes, usize), NotRead> {
        let mut reader = self.0.lock().await;
        loop {
            if let Ok(taken) = from(&mut reader.buffer) {
                let paid = reader.purse.as_ref().map_or(0, |_| taken.len());
                return Ok((taken, paid));
            }
            if reader.buffer.len() > reader.most {
                return Err(NotRead::Client(BodyError::TooLarge));
            }
            reader.read_on(clock).await?;
        }
    }

    /// Ends the stream where it is: its request is over, and a guest may have kept a handle.
    pub(crate) fn cut_off(&self) {
        // Never contended: the guest makes no call now.
        let Ok(mut reader) = self.0.try_lock() else {
            return;
        };
        reader.body = None;
        if let Some(purse) = &reader.purse {
            purse.refund(reader.buffer.len());
        }
        reader.buffer = InputBuffer::of_bytes(Bytes::new());
    }

    /// Gives back the memory that a body made of bytes took, if this was its last handle.
    pub(crate) fn released(self) -> usize {
        Arc::into_inner(self.0).map_or(0, |reader| reader.into_inner().charged)
    }
}

impl Reader {
    /// Waits for the client's next bytes. The guest's clock stands meanwhile.
    async fn read_on(&mut self, clock: &Clock) -> Result<(), NotRead> {
        if let Some(fault) = &self.fault {
            return Err(NotRead::Client(fault.clone()));
        }
        let Some(body) = &mut self.body else {
            self.buffer.end();
            return Ok(());
        };
        let frame = {
            let _waiting = clock.pause();
            body.frame().await
        };
        match frame {
            Some(Ok(frame)) => {
                // Trailers are not passed on (2.2).
                if let Ok(data) = frame.into_data() {
                    if let Some(purse) = &self.purse {
                        purse.spend(data.len()).map_err(NotRead::Short)?;
                    }
                    self.buffer.push(data);
                }
                Ok(())
            }
            Some(Err(fault)) => {
                self.body = None;
                self.fault = Some(fault.clone());
                Err(NotRead::Client(fault))
            }
            None => {
                self.body = None;
                self.buffer.end();
                Ok(())
            }
        }
    }
}

impl State {
    /// Reads for the guest, and remembers a fault that is the client's (2.2).
    async fn read_with(
        &mut self,
        input: &Resource<Input>,
        from: impl FnMut(&mut InputBuffer) -> Result<Bytes, NeedMore>,
    ) -> wasmtime::Result<Result<Vec<u8>, IoError>> {
        let input = self.table.get(input)?.clone();
        let read = self.read_from(&input, from).await;
        self.tell(read.map(Vec::from))
    }

    /// What a guest learns of a read. That the server has no room is no answer: it ends the guest.
    fn tell<T>(&mut self, read: Result<T, NotRead>) -> wasmtime::Result<Result<T, IoError>> {
        match read {
            Ok(taken) => Ok(Ok(taken)),
            Err(NotRead::Client(fault)) => Ok(Err(self.client_fault(fault))),
            Err(NotRead::Short(short)) => Err(short.into()),
        }
    }

    async fn read_from(
        &mut self,
        input: &Input,
        from: impl FnMut(&mut InputBuffer) -> Result<Bytes, NeedMore>,
    ) -> Result<Bytes, NotRead> {
        let (taken, paid) = input.take(&self.clock, from).await?;
        self.hand_over(paid);
        Ok(taken)
    }

    /// The next bytes of a body that passes through; none at its end.
    pub(crate) async fn pass(
        &mut self,
        body: &HostBody,
        max: u64,
    ) -> Result<Option<Bytes>, NotRead> {
        let max = max.clamp(1, PASS_THROUGH);
        let block = self
            .read_from(&body.input, |buffer| buffer.take_some(max))
            .await?;
        Ok((!block.is_empty()).then_some(block))
    }

    fn client_fault(&mut self, fault: BodyError) -> IoError {
        let error = match &fault {
            BodyError::Disconnected => IoError::Disconnected,
            BodyError::TimedOut => IoError::TimedOut,
            BodyError::TooLarge => IoError::TooLarge,
            BodyError::Malformed => IoError::Malformed,
            BodyError::Other(what) => IoError::Other(what.clone()),
        };
        self.fault.get_or_insert(fault);
        error
    }
}

impl HostInput for State {
    async fn read(
        &mut self,
        input: Resource<Input>,
        size: Option<u64>,
    ) -> wasmtime::Result<Result<Vec<u8>, IoError>> {
        self.read_with(&input, |buffer| buffer.take_exact(size))
            .await
    }

    async fn read_some(
        &mut self,
        input: Resource<Input>,
        max: u64,
    ) -> wasmtime::Result<Result<Vec<u8>, IoError>> {
        self.read_with(&input, |buffer| buffer.take_some(max)).await
    }

    async fn read_line(
        &mut self,
        input: Resource<Input>,
        size: Option<u64>,
    ) -> wasmtime::Result<Result<Vec<u8>, IoError>> {
        self.read_with(&input, |buffer| buffer.take_line(size))
            .await
    }

    async fn read_lines(
        &mut self,
        input: Resource<Input>,
        hint: Option<u64>,
    ) -> wasmtime::Result<Result<Vec<Vec<u8>>, IoError>> {
        // A hint of nothing is no hint, as in Python.
        let hint = hint.filter(|&hint| hint > 0);
        let input = self.table.get(&input)?.clone();
        let (mut lines, mut total, mut paid) = (Vec::new(), 0u64, 0);
        let ended = loop {
            // With a hint, fewer lines than there are is a fair answer (S22).
            let enough = hint.is_some_and(|hint| total >= hint || lines.len() == LINES);
            if enough {
                break Ok(());
            }
            let line = match input
                .take(&self.clock, |buffer| buffer.take_line(None))
                .await
            {
                Ok((line, for_it)) => {
                    paid += for_it;
                    line
                }
                Err(not_read) => break Err(not_read),
            };
            if line.is_empty() {
                break Ok(());
            }
            if lines.len() == LINES {
                break Err(NotRead::Client(BodyError::TooLarge));
            }
            total += line.len() as u64;
            lines.push(Vec::from(line));
        };
        // All of it is alive until it is in the guest.
        self.hand_over(paid);
        self.hand_over_also(lines.len() * LINE)?;
        self.tell(ended.map(|()| lines))
    }

    fn of_bytes(&mut self, data: Vec<u8>) -> wasmtime::Result<Resource<Input>> {
        self.host_bytes.charge(data.len())?;
        Ok(self.table.push(Input::of_bytes(data))?)
    }

    fn drop(&mut self, input: Resource<Input>) -> wasmtime::Result<()> {
        let released = self.table.delete(input)?.released();
        self.host_bytes.release(released);
        Ok(())
    }
}

impl HostHostBody for State {
    fn of_input(&mut self, input: Resource<Input>) -> wasmtime::Result<Resource<HostBody>> {
        let input = self.table.delete(input)?;
        Ok(self.table.push(HostBody { input })?)
    }

    fn length(&mut self, body: Resource<HostBody>) -> wasmtime::Result<Option<u64>> {
        let input = self.table.get(&body)?.input.clone();
        // Never contended: a guest makes one call at a time.
        Ok(input.0.try_lock().ok().and_then(|reader| {
            let to_come = match &reader.body {
                Some(body) => body.size_hint().exact()?,
                None => 0,
            };
            to_come.checked_add(reader.buffer.len() as u64)
        }))
    }

    async fn next(
        &mut self,
        body: Resource<HostBody>,
        max: u64,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, IoError>> {
        let body = self.table.get(&body)?.clone();
        let block = self.pass(&body, max).await;
        self.tell(block.map(|block| block.map(Vec::from)))
    }

    fn close(&mut self, body: Resource<HostBody>) -> wasmtime::Result<()> {
        // The rest of a request's body is the server's to discard.
        self.table.get(&body)?;
        Ok(())
    }

    fn drop(&mut self, body: Resource<HostBody>) -> wasmtime::Result<()> {
        let released = self.table.delete(body)?.released();
        self.host_bytes.release(released);
        Ok(())
    }
}
