//! A server with a service made for tests, a client that sends raw bytes, and places to look.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use wasm_gw_http::{
    AccessLog, AccessLogFormat, Address, BoxError, Drained, HttpConfig, RequestBody, Server,
};
use wasm_gw_protocol::{BodyError, ConnInfo, Reason, RequestId};

/// Longer than anything that is to happen takes, shorter than anybody's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

// ---- server -----------------------------------------------------------------

/// A server in a thread of its own; stopped when dropped.
pub(crate) struct TestServer {
    pub(crate) addresses: Vec<Address>,
    pub(crate) log: Sink,
    pub(crate) events: Events,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Drained>>,
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::with(HttpConfig::default())
    }

    pub(crate) fn with(config: HttpConfig) -> Self {
        Self::at(&["127.0.0.1:0".parse().unwrap()], config)
    }

    pub(crate) fn logging(format: AccessLogFormat, config: HttpConfig) -> Self {
        Self::full(&["127.0.0.1:0".parse().unwrap()], config, format, 0)
    }

    /// A server with several threads.
    pub(crate) fn parallel() -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let config = HttpConfig::default();
        Self::full(&[address], config, AccessLogFormat::Combined, 2)
    }

    pub(crate) fn at(addresses: &[Address], config: HttpConfig) -> Self {
        Self::full(addresses, config, AccessLogFormat::Combined, 0)
    }

    fn full(
        addresses: &[Address],
        mut config: HttpConfig,
        format: AccessLogFormat,
        workers: usize,
    ) -> Self {
        let log = Sink::default();
        let events = Events::default();
        if config.access_log.is_none() {
            config.access_log = Some(AccessLog::new(format, log.clone()));
        }
        let server = Server::bind(addresses, config).unwrap();
        let addresses = server.local_addrs().to_vec();
        let (stop, stopped) = oneshot::channel();
        let service = TestService {
            events: events.clone(),
        };
        let thread = std::thread::spawn(move || {
            let mut builder = if workers == 0 {
                tokio::runtime::Builder::new_current_thread()
            } else {
                tokio::runtime::Builder::new_multi_thread()
            };
            builder
                .worker_threads(workers.max(1))
                .enable_all()
                .build()
                .unwrap()
                .block_on(server.serve(service, async move {
                    let _ = stopped.await;
                }))
                .unwrap()
        });
        TestServer {
            addresses,
            log,
            events,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        match &self.addresses[0] {
            Address::Tcp(address) => *address,
            Address::Unix(path) => panic!("{} is no TCP address", path.display()),
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.tcp()).unwrap())
    }

    /// A client that can hold little of what it does not read.
    pub(crate) fn connect_narrow(&self) -> Client {
        let (domain, kind) = (socket2::Domain::IPV4, socket2::Type::STREAM);
        let socket = socket2::Socket::new(domain, kind, None).unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.connect(&self.tcp().into()).unwrap();
        Client::new(TcpStream::from(socket))
    }

    /// Tells the server to drain, without waiting for it.
    pub(crate) fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub(crate) fn stop(mut self) -> Drained {
        self.begin_stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.begin_stop();
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

// ---- what happened ----------------------------------------------------------

/// Something that grows and can be waited for.
struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T: Default> Default for Watched<T> {
    fn default() -> Self {
        Watched {
            value: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl<T: Clone + std::fmt::Debug> Watched<T> {
    fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, until: impl Fn(&T) -> bool) -> T {
        let value = self.value.lock().unwrap();
        let (value, timeout) = self
            .changed
            .wait_timeout_while(value, PATIENCE, |value| !until(value))
            .unwrap();
        assert!(!timeout.timed_out(), "waited for {what} in vain: {value:?}");
        value.clone()
    }
}

/// What the service saw, in order.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Watched<Vec<String>>>);

impl Events {
    pub(crate) fn push(&self, event: impl Into<String>) {
        self.0.change(|events| events.push(event.into()));
    }

    pub(crate) fn wait(&self, event: &str) {
        self.0
            .wait(event, |events| events.iter().any(|e| e == event));
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.value.lock().unwrap().clone()
    }
}

/// Where an access log goes.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Watched<Vec<u8>>>);

impl Sink {
    /// Waits for this many lines and returns all there are.
    pub(crate) fn lines(&self, count: usize) -> Vec<String> {
        let bytes = self.0.wait("log lines", |bytes| {
            bytes.iter().filter(|byte| **byte == b'\n').count() >= count
        });
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.change(|all| all.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// ---- service ----------------------------------------------------------------

/// Does what the path says; each call and each end is an event.
#[derive(Clone)]
pub(crate) struct TestService {
    events: Events,
}

/// Pushes an event when it is dropped.
struct Guard {
    events: Events,
    event: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.events.push(std::mem::take(&mut self.event));
    }
}

impl tower_service::Service<Request<RequestBody>> for TestService {
    type Response = Response<Blocks>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Blocks>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let events = self.events.clone();
        Box::pin(async move { Ok(answer(request, &events).await) })
    }
}

async fn answer(request: Request<RequestBody>, events: &Events) -> Response<Blocks> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    events.push(format!("called {path}"));
    let guard = |what: &str| Guard {
        events: events.clone(),
        event: format!("{what} {path}"),
    };
    let two_blocks = || {
        [
            Step::Data(b"first block".to_vec()),
            Step::Data(b"second block".to_vec()),
        ]
    };
    match path.as_str() {
        "/hello" => Response::new(Blocks::whole("hello")),
        // The body back, or the status of what went wrong with it.
        "/echo" => {
            let mut body = request.into_body();
            let mut all = Vec::new();
            loop {
                match body.frame().await {
                    None => break Response::new(Blocks::whole(all)),
                    Some(Ok(frame)) => all.extend_from_slice(frame.data_ref().unwrap()),
                    Some(Err(error)) => {
                        events.push(format!("body {error:?}"));
                        let mut response = Response::new(Blocks::whole("fault\n"));
                        *response.status_mut() = match error {
                            BodyError::Disconnected => std::future::pending().await,
                            error => error.status().unwrap(),
                        };
                        break response;
                    }
                }
            }
        }
        // Answers, whatever the body does.
        "/ignore" => Response::new(Blocks::whole("ignored")),
        // Reads one piece of the body, answers, and forgets about the rest.
        "/taste" => {
            let mut body = request.into_body();
            let first = body.frame().await;
            Response::new(Blocks::whole(format!("{}", first.is_some())))
        }
        // Answers N bytes at once, and goes on reading.
        "/duplex" => {
            let mut body = request.into_body();
            let length = query.parse().unwrap();
            let events = events.clone();
            tokio::spawn(async move {
                while let Some(Ok(_)) = body.frame().await {}
                events.push(format!("body ended beside {query}"));
            });
            Response::new(Blocks::whole(vec![b'x'; length]))
        }
        // Never answers, with the body unread.
        "/hang" => {
            let _guard = guard("dropped");
            let _request = request;
            std::future::pending().await
        }
        "/facts" => {
            let info = request.extensions().get::<ConnInfo>().unwrap();
            let id = request.extensions().get::<RequestId>().unwrap();
            let hint = request.body().size_hint();
            Response::new(Blocks::whole(format!(
                "{info:?}\n{}\n{:?}\n{}\n",
                id.as_str(),
                hint.exact(),
                request.extensions().len(),
            )))
        }
        "/stream" => Response::new(Blocks::new(two_blocks())),
        // Two blocks; then nothing, for ever.
        "/stall" => {
            let mut blocks = Blocks::new(two_blocks());
            blocks.steps.push_back(Step::Hang);
            blocks.guard = Some(guard("dropped body of"));
            Response::new(blocks)
        }
        // Two blocks and an error at once, or `?late`; `?N` announces N bytes.
        "/fail" => {
            let mut blocks = Blocks::new(two_blocks());
            if query == "late" {
                blocks.steps.push_back(Step::Pause);
            }
            blocks.steps.push_back(Step::Fail);
            let mut response = Response::new(blocks);
            if let Ok(length) = query.parse::<u64>() {
                response
                    .headers_mut()
                    .insert("content-length", length.into());
            }
            response
        }
        // Two blocks, 23 bytes; `?N` announces N.
        "/announce" => {
            let mut response = Response::new(Blocks::new(two_blocks()));
            response
                .headers_mut()
                .insert("content-length", HeaderValue::from_str(&query).unwrap());
            response
        }
        // Blocks of 64 KiB without end.
        "/endless" => {
            let mut blocks = Blocks::new([Step::Endless(64 * 1024)]);
            blocks.guard = Some(guard("dropped body of"));
            Response::new(blocks)
        }
        // 8 MiB at once, of known length.
        "/large" => Response::new(Blocks::whole(vec![b'x'; 8 * 1024 * 1024])),
        "/reason" => {
            let mut response = Response::new(Blocks::whole("ok"));
            response
                .extensions_mut()
                .insert(Reason(Bytes::from_static(b"Quite Fine")));
            response
        }
        // Bytes that look like one of hyper's refusals, block by block.
        "/lookalike" => Response::new(Blocks::new([
            Step::Data(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
            Step::Pause,
            Step::Data(b"HTTP/1.1 431 Too Large\r\n\r\n".to_vec()),
        ])),
        // `?N` is the status, for an empty body.
        "/status" => {
            let mut response = Response::new(Blocks::whole(""));
            *response.status_mut() = StatusCode::from_bytes(query.as_bytes()).unwrap();
            response
        }
        // `?name=value` is a response field.
        "/header" => {
            let (name, value) = query.split_once('=').unwrap();
            let mut response = Response::new(Blocks::whole("ok"));
            response.headers_mut().append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
            response
        }
        "/panic" => panic!("as asked for"),
        other => {
            let mut response = Response::new(Blocks::whole(format!("no {other}")));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

/// One step of a response body.
#[derive(Debug)]
pub(crate) enum Step {
    Data(Vec<u8>),
    Endless(usize),
    /// Pending once, so that what was before is flushed.
    Pause,
    Hang,
    Fail,
}

/// A response body of steps.
pub(crate) struct Blocks {
    steps: VecDeque<Step>,
    whole: bool,
    guard: Option<Guard>,
}

impl Blocks {
    /// Of known length.
    pub(crate) fn whole(data: impl Into<Vec<u8>>) -> Self {
        let data = data.into();
        let mut blocks = Blocks::new([]);
        if !data.is_empty() {
            blocks.steps.push_back(Step::Data(data));
        }
        blocks.whole = true;
        blocks
    }

    /// Of unknown length.
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Blocks {
            steps: steps.into_iter().collect(),
            whole: false,
            guard: None,
        }
    }
}

impl Body for Blocks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let data = match self.steps.pop_front() {
            None => return Poll::Ready(None),
            Some(Step::Data(data)) => data,
            Some(Step::Endless(size)) => {
                self.steps.push_front(Step::Endless(size));
                vec![b'e'; size]
            }
            Some(Step::Pause) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                return Poll::Pending;
            }
            Some(Step::Fail) => return Poll::Ready(Some(Err("as asked for".into()))),
        };
        Poll::Ready(Some(Ok(Frame::data(data.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.whole && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if !self.whole {
            return SizeHint::default();
        }
        let length = self.steps.iter().map(|step| match step {
            Step::Data(data) => data.len() as u64,
            other => panic!("{other:?} in a whole body"),
        });
        SizeHint::with_exact(length.sum())
    }
}

// ---- client -----------------------------------------------------------------

/// A client that sends bytes and reads what comes.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
    Reset,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) status_line: String,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = None;
        for line in self.head.lines().skip(1) {
            if let Some((field, value)) = line.split_once(':')
                && field == name
            {
                assert!(found.is_none(), "{name} twice in {}", self.head);
                found = Some(value.trim());
            }
        }
        found
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Asserts that this is an error page of ours, complete and last on its connection.
    #[track_caller]
    pub(crate) fn assert_page(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        let reason = StatusCode::from_u16(status).unwrap();
        let id = self.field("x-request-id").unwrap();
        let expected = format!(
            "{status} {}\nrequest id: {id}\n",
            reason.canonical_reason().unwrap()
        );
        assert_eq!(self.text(), expected);
        assert_eq!(id.len(), 32);
        assert_eq!(self.field("cache-control"), Some("no-store"));
        assert!(self.field("date").is_some(), "{self:?}");
        assert_eq!(self.field("transfer-encoding"), None);
    }
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client::over(stream)
    }

    /// Ends the sending side.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes so that the server gets a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Client {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// A GET of HTTP/1.1, and its answer.
    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .answer()
    }

    /// Reads one answer, framed as its head says; not one to HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.status < 200 || matches!(answer.status, 204 | 304) {
            return answer;
        }
        if answer.field("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.take_line();
                let size = usize::from_str_radix(line.trim(), 16).unwrap();
                let chunk = self.take(size + 2);
                assert_eq!(&chunk[size..], b"\r\n");
                answer.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    return answer;
                }
            }
        }
        match answer.field("content-length") {
            Some(length) => answer.body = self.take(length.parse().unwrap()),
            None => answer.body = self.rest().0,
        }
        answer
    }

    /// Reads the head of an answer.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        let mut head = String::new();
        loop {
            let line = self.take_line();
            if line == "\r\n" {
                break;
            }
            assert!(line.ends_with("\r\n"), "{line:?}");
            head.push_str(&line);
        }
        let status_line = head.lines().next().unwrap().to_owned();
        Answer {
            status: status_line.split(' ').nth(1).unwrap().parse().unwrap(),
            status_line,
            head: head.to_lowercase(),
            body: Vec::new(),
        }
    }

    /// Reads exactly this many bytes.
    #[track_caller]
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            if let Err(ended) = self.fill() {
                panic!("{ended:?} after {}", self.buffered());
            }
        }
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    #[track_caller]
    fn take_line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return String::from_utf8(self.take(end + 1)).unwrap();
            }
            if let Err(ended) = self.fill() {
                panic!("{ended:?} after {}", self.buffered());
            }
        }
    }

    /// Reads to the end, and says which end it was.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, Ended) {
        loop {
            if let Err(ended) = self.fill() {
                return (std::mem::take(&mut self.buffer), ended);
            }
        }
    }

    /// Asserts that nothing more comes but the end.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let (rest, ended) = self.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "");
        assert_eq!(ended, Ended::Closed);
    }

    fn buffered(&self) -> String {
        let begin = &self.buffer[..self.buffer.len().min(200)];
        let text = String::from_utf8_lossy(begin);
        format!("{} bytes: {text:?}", self.buffer.len())
    }

    fn fill(&mut self) -> Result<(), Ended> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Ended::Closed),
            Ok(count) => {
                self.buffer.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Ended::Reset),
            Err(error) => panic!("{error} after {}", self.buffered()),
        }
    }
}

/// A request with a body of announced length.
pub(crate) fn post(target: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Measures how long something takes.
pub(crate) fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (what(), start.elapsed())
}

/// Milliseconds.
pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
