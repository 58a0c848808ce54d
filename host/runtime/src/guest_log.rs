//! What a guest has to say beside its response: stdout, stderr and `wsgi.errors` (S23), as log lines
//! that carry the request's id. Bounded, and with control characters escaped, so that a guest can
//! neither fill the disk with one request nor write lines that look like ours.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasm_gw_protocol::{RequestId, escape};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::observer::Observer;

/// A line longer than this many bytes is cut into several.
const LINE: usize = 8 << 10;

/// What each line takes of the allowance beside its text: a time, a level, an id come with it.
const LINE_COST: usize = 64;

/// A line of a guest, for whoever keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestLine<'a> {
    /// The request that it belongs to.
    pub request_id: &'a RequestId,
    /// `stdout`, `stderr` or `wsgi.errors`; `host` for what the host has to say of the guest.
    pub stream: &'static str,
    /// The line, with control characters escaped; of some kilobytes at most.
    pub text: &'a str,
}

/// Takes the lines of an app's guests, one by one, on the threads that run them: it must be quick and never wait.
#[derive(Clone)]
pub struct LogSink(Arc<dyn Fn(GuestLine<'_>) + Send + Sync>);

impl LogSink {
    /// Lines are given to this.
    pub fn new(take: impl Fn(GuestLine<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

impl std::fmt::Debug for LogSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogSink")
    }
}

impl LogSink {
    fn take(&self, request_id: &RequestId, stream: &'static str, text: &str) {
        (self.0)(GuestLine {
            request_id,
            stream,
            text,
        });
    }
}

/// What the host has to say of a guest, among the guest's lines.
const HOST: &str = "host";

/// Where a guest's text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    Errors,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Errors => "wsgi.errors",
        }
    }
}

/// The log of an instance, which is that of the request it serves. Clones write to the same log.
#[derive(Clone)]
pub(crate) struct GuestLog(Arc<Shared>);

struct Shared {
    app: Arc<str>,
    /// What each request may write, in bytes.
    limit: usize,
    /// Where lines go, if not to the log of the process.
    sink: Option<LogSink>,
    state: Mutex<State>,
}

struct State {
    request_id: RequestId,
    observer: Option<Observer>,
    left: usize,
    cut: bool,
    /// A line in the making for each stream.
    lines: [Vec<u8>; 3],
}

impl GuestLog {
    pub(crate) fn new(
        app: Arc<str>,
        request_id: RequestId,
        limit: usize,
        observer: Option<Observer>,
        sink: Option<LogSink>,
    ) -> Self {
        Self(Arc::new(Shared {
            app,
            limit,
            sink,
            state: Mutex::new(State {
                request_id,
                observer,
                left: limit,
                cut: false,
                lines: Default::default(),
            }),
        }))
    }

    /// From now on it is the log of this request, and has its whole allowance.
    pub(crate) fn begin(&self, request_id: RequestId, observer: Option<Observer>) {
        let mut state = self.lock();
        state.request_id = request_id;
        state.observer = observer;
        state.left = self.0.limit;
        state.cut = false;
    }

    /// The request has ended: nobody watches any more.
    pub(crate) fn rest(&self) {
        self.lock().observer = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes text of a guest; whole lines of it go to the log at once.
    pub(crate) fn write(&self, stream: Stream, text: &[u8]) {
        let mut state = self.lock();
        let mut rest = text;
        while !rest.is_empty() {
            if state.left == 0 {
                state.end_line(self, stream);
                return state.cut(self);
            }
            let end = rest.iter().position(|&byte| byte == b'\n');
            let (line, after) = rest.split_at(end.unwrap_or(rest.len()).min(state.left));
            state.left -= line.len();
            state.extend(self, stream, line);
            rest = after;
            if end == Some(line.len()) {
                state.emit_line(self, stream);
                rest = &rest[1..];
            }
        }
    }

    /// Logs what a guest said by other ways than its streams, out of the same allowance.
    pub(crate) fn note(&self, what: &str, text: &str) {
        let mut state = self.lock();
        let taken = &text[..text.floor_char_boundary(state.left)];
        if state.left > 0 {
            state.charge(taken.len() + LINE_COST);
            if let Some(sink) = &self.0.sink {
                let text = format!("{what}: {}", escape(taken));
                return sink.take(&state.request_id, HOST, &text);
            }
            tracing::info!(
                target: "wasm_gw::guest",
                app = %self.0.app,
                request_id = %state.request_id,
                "{what}: {}",
                escape(taken),
            );
        }
        if taken.len() < text.len() {
            state.cut(self);
        }
    }

    /// Ends the lines that have no end: called on `flush`, and when the request is over.
    pub(crate) fn flush(&self) {
        let mut state = self.lock();
        for stream in [Stream::Stdout, Stream::Stderr, Stream::Errors] {
            state.end_line(self, stream);
        }
    }
}

impl State {
    fn extend(&mut self, log: &GuestLog, stream: Stream, mut text: &[u8]) {
        while !text.is_empty() {
            let line = &mut self.lines[stream as usize];
            let (now, later) = text.split_at(text.len().min(LINE - line.len()));
            line.extend_from_slice(now);
            text = later;
            if line.len() == LINE {
                self.emit_line(log, stream);
            }
        }
    }

    /// Ends a line in the making, if there is one.
    fn end_line(&mut self, log: &GuestLog, stream: Stream) {
        if !self.lines[stream as usize].is_empty() {
            self.emit_line(log, stream);
        }
    }

    fn emit_line(&mut self, log: &GuestLog, stream: Stream) {
        self.charge(LINE_COST);
        let line = &mut self.lines[stream as usize];
        let text = String::from_utf8_lossy(line);
        let text = escape(&text);
        if let Some(observer) = &self.observer {
            observer.log(text.clone().into_owned());
        }
        match &log.0.sink {
            Some(sink) => sink.take(&self.request_id, stream.name(), &text),
            None => tracing::info!(
                target: "wasm_gw::guest",
                app = %log.0.app,
                request_id = %self.request_id,
                stream = stream.name(),
                "{text}",
            ),
        }
        line.clear();
    }

    fn charge(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Says, once, that no more will follow.
    fn cut(&mut self, log: &GuestLog) {
        if std::mem::replace(&mut self.cut, true) {
            return;
        }
        if let Some(sink) = &log.0.sink {
            let limit = log.0.limit;
            let text = format!("the log is cut here: a request may write {limit} bytes");
            return sink.take(&self.request_id, HOST, &text);
        }
        tracing::warn!(
            target: "wasm_gw::guest",
            app = %log.0.app,
            request_id = %self.request_id,
            "the guest's log is cut here: a request may write {} bytes",
            log.0.limit,
        );
    }
}

/// One of the guest's standard streams, as WASI wants it.
#[derive(Clone)]
pub(crate) struct GuestStream {
    pub(crate) log: GuestLog,
    pub(crate) stream: Stream,
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.log.write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s23_control_characters_are_escaped() {
        assert_eq!(escape("plain\ttext ä"), "plain\ttext ä");
        assert_eq!(escape("a\rb\u{1b}[31m"), "a\\rb\\u{1b}[31m");
        assert_eq!(escape("\u{202e}"), "\\u{202e}");
    }
}
