//! What the parts of one connection tell each other: socket, service, response body, driver.
//!
//! hyper owns all four and shows none of its state, yet each part needs to know something only
//! another one sees: the socket, whether an exchange is in progress; the response body, whether
//! its blocks have left; the driver, which time is running out. They meet here, and here alone.
//! No I/O and no clock of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header, request};
use tokio::time::Instant;
use wasm_gw_protocol::{ConnInfo, CpuTime, Endpoint, Refusal, RequestId};

use crate::access_log::{Line, Log, Target};
use crate::busy::{Busy, Entered};
use crate::config::HttpConfig;
use crate::origin::Origin;
use crate::request_line::{RefusedLine, RequestLine};
use crate::shutdown::drain_until;
use crate::times::after;

/// State of one connection, shared by everything that works on it.
pub(crate) struct Connection {
    pub(crate) config: Arc<HttpConfig>,
    pub(crate) info: ConnInfo,
    /// Who the socket belongs to, where that is not the client of `info`.
    peer: Option<Endpoint>,
    /// Whether what fields say of a client is the word of a trusted proxy.
    trusted: bool,
    pub(crate) log: Option<Log>,
    /// Body bytes of the current answer handed to hyper; apart, since every block adds to it.
    sent: AtomicU64,
    /// What hyper may still have to write, in bytes; the same.
    unwritten: AtomicUsize,
    /// What is to be written waits until others have had their turn.
    write_deferred: AtomicBool,
    busy: Busy,
    state: Mutex<State>,
}

/// Where a connection is between two requests and inside of one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Nothing of the next head has arrived. `fresh`: and no request before it.
    Resting { since: Instant, fresh: bool },
    /// The first bytes of a head are here.
    Head { since: Instant },
    /// The service has the request, or its answer is being sent.
    Exchange,
    /// The answer has ended; not all of it has been taken by the kernel.
    Flushing,
}

struct State {
    phase: Phase,
    current: Option<Current>,
    /// Counts requests, so that a request body kept for too long does not speak for a later one.
    number: u64,
    body: RequestBodyState,
    /// Reading the request's body has failed: no further request can be found behind it.
    body_failed: bool,
    /// The kernel takes nothing of what is to be written.
    write_blocked: Option<Blocked>,
    /// A refusal by hyper that was swallowed, to be answered in our own form.
    refusal: Option<StatusCode>,
    /// Whom to wake when hyper has nothing left to write.
    flushing: Option<Waker>,
    line: RequestLine,
    /// The end of what the client sends has been read.
    end_of_input: bool,
    /// The next answer ends the connection: the server ends, or somebody else wants its place.
    is_closing: bool,
    /// Since when the server drains, if it does.
    draining: Option<Instant>,
    /// Whom to wake when a connection that rests is told to go.
    driver: Option<Waker>,
    told_to_go: bool,
}

impl State {
    fn wakes(&mut self, cx: &mut Context<'_>) {
        if !(self.driver.as_ref()).is_some_and(|driver| driver.will_wake(cx.waker())) {
            self.driver = Some(cx.waker().clone());
        }
    }
}

/// What has become of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestBodyState {
    /// There is none, or it was read to its end: what comes next is a head.
    Read,
    /// Somebody may read it.
    Open,
    /// Nobody will read it. hyper drains what is there of it, and closes if that is not all.
    Dropped,
}

#[derive(Clone, Copy)]
struct Blocked {
    since: Instant,
    /// What the client had not acknowledged then, in bytes.
    unacknowledged: Option<usize>,
}

/// The request in progress.
struct Current {
    id: RequestId,
    /// What only the access log wants; absent without one.
    told: Option<Told>,
    started: Instant,
    _entered: Entered,
    /// What the service adds to while it works.
    cpu: CpuTime,
    /// The status handed to hyper, if any yet.
    status: Option<StatusCode>,
    /// The answer is of unknown length to a client that cannot have it chunked: only a reset
    /// tells a broken one from a whole one.
    ends_by_close: bool,
    /// The head has told the client, on our behalf, that the connection ends.
    says_close: bool,
}

struct Told {
    /// The client, where the connection is a proxy's.
    client: Option<Endpoint>,
    method: Method,
    uri: Uri,
    version: Version,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
}

/// What the driver has to know after each step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    /// The client leaving now would break something off.
    pub(crate) in_exchange: bool,
    pub(crate) deadline: Option<(Instant, Expiry)>,
}

/// What it means that the time of a [`Glance`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// A head was begun and not completed.
    Head,
    /// Nothing came in the time a head may take; the connection may go on resting.
    Nap,
    /// Nothing came for too long.
    Rest,
    /// The client takes nothing.
    Write,
}

/// How a connection rests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    pub(crate) since: Instant,
    /// Nothing ever came.
    pub(crate) fresh: bool,
}

/// How an exchange that was broken off stood.
pub(crate) struct Broken {
    pub(crate) ends_by_close: bool,
}

impl Connection {
    pub(crate) fn new(
        config: Arc<HttpConfig>,
        origin: Origin,
        log: Option<Log>,
        busy: Busy,
    ) -> Arc<Self> {
        Arc::new(Connection {
            config,
            info: origin.info,
            peer: origin.peer,
            trusted: origin.trusted,
            log,
            sent: AtomicU64::new(0),
            unwritten: AtomicUsize::new(0),
            write_deferred: AtomicBool::new(false),
            busy,
            state: Mutex::new(State {
                phase: Phase::Resting {
                    since: Instant::now(),
                    fresh: true,
                },
                current: None,
                number: 0,
                body: RequestBodyState::Read,
                body_failed: false,
                write_blocked: None,
                refusal: None,
                flushing: None,
                line: RequestLine::default(),
                end_of_input: false,
                is_closing: false,
                draining: None,
                driver: None,
                told_to_go: false,
            }),
        })
    }

    /// Nothing in here panics with the lock held, so a poisoned lock is only a lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- told by the socket ----

    /// Bytes have been read; none means the end of input. Returns whether hyper may know: it
    /// would drop an exchange at the end of input even if its answer is ready. The driver does
    /// that, and only after hyper has had its turn.
    pub(crate) fn received(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        if bytes.is_empty() {
            state.end_of_input = true;
            let exchange = matches!(state.phase, Phase::Exchange | Phase::Flushing);
            return !(exchange && state.body == RequestBodyState::Read);
        }
        if let Phase::Head { .. } = state.phase {
            state.line.extend(bytes);
        } else if let Phase::Resting { .. } = state.phase
            // Bytes of a body that is read on after its answer are no head.
            && state.body != RequestBodyState::Open
            // Empty lines before a request are ignored (RFC 9112 2.2), so they start nothing.
            && bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
        {
            state.phase = Phase::Head {
                since: Instant::now(),
            };
            state.line.begin(bytes, self.config.head.target);
        }
        true
    }

    /// Whether what hyper is about to write belongs to no exchange. Then it is a refusal: the
    /// service has nothing in progress, and everything of former answers has been flushed.
    /// If so, `status` is kept for an answer in our own form.
    pub(crate) fn is_refusal(&self, status: impl FnOnce() -> StatusCode) -> bool {
        let mut state = self.lock();
        let refusal = matches!(state.phase, Phase::Resting { .. } | Phase::Head { .. });
        if refusal && state.refusal.is_none() {
            state.refusal = Some(status());
        }
        refusal
    }

    /// Whether what hyper is about to write should wait until all that is ready to run has run: answers that
    /// leave together cost the system, and a client of many connections, far less than answers that each
    /// wake somebody up. It waits once, and not where there is nothing to wait for. Nor while the request's
    /// body is not read: hyper ends some of these connections without another attempt to write.
    pub(crate) fn defers_write(&self) -> bool {
        let defers = !self.is_write_deferred()
            && self.busy.is_shared()
            && self.lock().body == RequestBodyState::Read;
        self.write_deferred.store(defers, Ordering::Relaxed);
        defers
    }

    /// Whether something is ready and only waits for its turn.
    pub(crate) fn is_write_deferred(&self) -> bool {
        self.write_deferred.load(Ordering::Relaxed)
    }

    pub(crate) fn write_progressed(&self) {
        self.lock().write_blocked = None;
    }

    pub(crate) fn write_blocked(&self, unacknowledged: impl FnOnce() -> Option<usize>) {
        let mut state = self.lock();
        if state.write_blocked.is_none() {
            state.write_blocked = Some(Blocked {
                since: Instant::now(),
                unacknowledged: unacknowledged(),
            });
        }
    }

    /// hyper has nothing left to write. Returns whether it has to be polled again, to learn of
    /// the end of input.
    pub(crate) fn flushed(&self) -> bool {
        self.unwritten.store(0, Ordering::Relaxed);
        let mut state = self.lock();
        match state.phase {
            Phase::Flushing => {
                state.phase = Phase::Resting {
                    since: Instant::now(),
                    fresh: false,
                };
                let done = state.current.take();
                let ended = state.end_of_input;
                drop(state);
                if let Some(done) = done {
                    self.tell(&done, false);
                }
                return ended;
            }
            Phase::Exchange => {
                if let Some(waker) = state.flushing.take() {
                    drop(state);
                    waker.wake();
                }
            }
            Phase::Resting { .. } | Phase::Head { .. } => {}
        }
        false
    }

    // ---- told by the service ----

    /// The request id that a trusted proxy has given, if one has.
    pub(crate) fn told_id(&self, headers: &HeaderMap) -> Option<RequestId> {
        if self.trusted {
            RequestId::told(headers)
        } else {
            None
        }
    }

    /// The client's own connection, if a trusted proxy tells of it.
    pub(crate) fn told_info(&self, headers: &HeaderMap) -> Result<Option<ConnInfo>, Refusal> {
        if self.trusted {
            self.config.trusted_proxies.believe(&self.info, headers)
        } else {
            Ok(None)
        }
    }

    /// A request has been read; returns its number. `client` is who sent it, if a proxy told.
    pub(crate) fn begin(
        &self,
        parts: &request::Parts,
        client: Option<&Endpoint>,
        id: &RequestId,
        cpu: &CpuTime,
        has_body: bool,
    ) -> u64 {
        let told = self.log.is_some().then(|| Told {
            client: client.cloned(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            referer: parts.headers.get(header::REFERER).cloned(),
            user_agent: parts.headers.get(header::USER_AGENT).cloned(),
        });
        let mut state = self.lock();
        let former = state.current.replace(Current {
            id: id.clone(),
            told,
            started: Instant::now(),
            _entered: self.busy.enter(),
            cpu: cpu.clone(),
            status: None,
            ends_by_close: false,
            says_close: false,
        });
        state.phase = Phase::Exchange;
        state.number += 1;
        state.body = if has_body {
            RequestBodyState::Open
        } else {
            RequestBodyState::Read
        };
        state.body_failed = false;
        state.flushing = None;
        let number = state.number;
        drop(state);
        // hyper reads on before the end of the former answer is flushed if the former request's
        // body ended after its answer. That answer is complete as far as anybody can tell.
        if let Some(former) = former {
            self.tell(&former, false);
        }
        self.sent.store(0, Ordering::Relaxed);
        number
    }

    /// The head of the answer goes to hyper. Says whether the connection has to end after it.
    pub(crate) fn answered(&self, status: StatusCode, ends_by_close: bool) -> Persistence {
        let mut state = self.lock();
        // The head, however long: it is out when everything is.
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        if let Some(current) = &mut state.current {
            current.status = Some(status);
            current.ends_by_close = ends_by_close;
        }
        if state.body_failed || state.is_closing {
            if let Some(current) = &mut state.current {
                current.says_close = true;
            }
            Persistence::Close
        } else {
            Persistence::Free
        }
    }

    // ---- told by the request body ----

    /// The request's body was read to its end.
    pub(crate) fn body_complete(&self, number: u64) {
        let mut state = self.lock();
        if state.number == number {
            state.body = RequestBodyState::Read;
        }
    }

    /// The request's body was dropped before its end.
    pub(crate) fn body_dropped(&self, number: u64) {
        let mut state = self.lock();
        if state.number == number && state.body == RequestBodyState::Open {
            state.body = RequestBodyState::Dropped;
        }
    }

    /// Reading the request's body has failed.
    pub(crate) fn body_failed(&self, number: u64) {
        let mut state = self.lock();
        if state.number == number {
            state.body_failed = true;
        }
    }

    // ---- told by the response body ----

    /// hyper gets this many bytes of the body, and has to write as many as `written` for them.
    pub(crate) fn sent(&self, bytes: u64, written: usize) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.unwritten.fetch_add(written, Ordering::Relaxed);
    }

    /// The most that hyper can have buffered of the answer's body.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// hyper has everything it will get of the answer.
    pub(crate) fn answer_ended(&self) {
        let mut state = self.lock();
        if let Phase::Exchange = state.phase {
            state.phase = Phase::Flushing;
        }
    }

    /// Whether all that was given to hyper has been flushed; wakes when it has. hyper flushes when
    /// the body that asks is pending.
    pub(crate) fn is_flushed(&self, cx: &mut Context<'_>) -> bool {
        if self.unwritten() == 0 {
            return true;
        }
        self.lock().flushing = Some(cx.waker().clone());
        false
    }

    // ---- asked by the driver ----

    /// Where it stands. Whoever asks is woken when a connection that rests is told to go.
    pub(crate) fn glance(&self, cx: &mut Context<'_>) -> Glance {
        let mut state = self.lock();
        if let Phase::Resting { .. } = state.phase {
            state.wakes(cx);
        }
        let config = &self.config;
        let is_clear = state.body == RequestBodyState::Read;
        let deadline = match (state.write_blocked, state.phase) {
            (Some(blocked), _) => Some((after(blocked.since, config.write_timeout), Expiry::Write)),
            (None, Phase::Head { since }) => {
                Some((after(since, config.header_timeout), Expiry::Head))
            }
            // While a body is left unread hyper ends the connection, in the way that leaves the answer whole.
            (None, Phase::Resting { since, .. }) if is_clear && state.told_to_go => {
                Some((since, Expiry::Rest))
            }
            (None, Phase::Resting { since, .. })
                if is_clear && let Some(drain) = state.draining =>
            {
                Some((drain_until(since, drain), Expiry::Rest))
            }
            (None, Phase::Resting { since, fresh: true }) => {
                Some((after(since, config.header_timeout), Expiry::Rest))
            }
            (None, Phase::Resting { since, .. }) => {
                // hyper can be taken apart only where it is certain to be between requests.
                let nap = config.header_timeout < config.keep_alive_timeout && is_clear;
                Some(if nap {
                    (after(since, config.header_timeout), Expiry::Nap)
                } else {
                    (after(since, config.keep_alive_timeout), Expiry::Rest)
                })
            }
            (None, Phase::Exchange | Phase::Flushing) => None,
        };
        Glance {
            in_exchange: matches!(state.phase, Phase::Exchange | Phase::Flushing),
            deadline,
        }
    }

    /// Whether the client has taken enough since the write was blocked. If so, its time
    /// begins anew. The kernel asks for more only when a good part of its buffer is free, which
    /// takes a slow client longer than it may stand still.
    pub(crate) fn is_taking(&self, unacknowledged: Option<usize>) -> bool {
        let seconds = self.config.write_timeout.as_secs_f64();
        let enough = (self.config.min_rate as f64 * seconds) as u64;
        let mut state = self.lock();
        match &mut state.write_blocked {
            None => true,
            Some(blocked) => {
                let taking = unacknowledged
                    .zip(blocked.unacknowledged)
                    .is_some_and(|(now, then)| now < then && (then - now) as u64 >= enough);
                if taking {
                    *blocked = Blocked {
                        since: Instant::now(),
                        unacknowledged,
                    };
                }
                taking
            }
        }
    }

    /// When a connection that rests has rested for too long.
    pub(crate) fn rest_until(&self) -> Instant {
        match self.lock().phase {
            Phase::Resting { since, .. } => after(since, self.config.keep_alive_timeout),
            _ => Instant::now(),
        }
    }

    /// From now on answers end the connection.
    pub(crate) fn close_after_answer(&self) {
        self.lock().is_closing = true;
    }

    /// The same, and one that rests is to be closed. Says whether it may get one more request: a head has begun, a
    /// client that was served a moment ago, or has just come, may have sent one already, and so may one whose answer
    /// is under way and did not say that it is the last.
    pub(crate) fn drain(&self) -> bool {
        let mut state = self.lock();
        state.is_closing = true;
        let now = Instant::now();
        let drain = *state.draining.get_or_insert(now);
        match state.phase {
            Phase::Resting { since, .. } => drain_until(since, drain) > now,
            // hyper would let go of it: to hyper the connection rests until the whole head is there.
            Phase::Head { .. } => true,
            Phase::Exchange | Phase::Flushing if state.body == RequestBodyState::Read => {
                let current = state.current.as_ref();
                current.is_some_and(|current| current.status.is_some() && !current.says_close)
            }
            Phase::Exchange | Phase::Flushing => false,
        }
    }

    /// How it rests, if it does.
    pub(crate) fn rest(&self) -> Option<Rest> {
        let state = self.lock();
        match state.phase {
            Phase::Resting { since, fresh } if state.body == RequestBodyState::Read => {
                Some(Rest { since, fresh })
            }
            _ => None,
        }
    }

    /// Closes it, if it still rests when the driver comes to it: somebody else wants its place.
    pub(crate) fn tell_to_go(&self) {
        let mut state = self.lock();
        state.is_closing = true;
        state.told_to_go = true;
        if let Some(driver) = state.driver.take() {
            drop(state);
            driver.wake();
        }
    }

    /// Resolves when it is told to go.
    pub(crate) async fn gone(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            state.wakes(cx);
            if state.told_to_go {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    pub(crate) fn take_refusal(&self) -> Option<StatusCode> {
        self.lock().refusal.take()
    }

    pub(crate) fn end_of_input(&self) -> bool {
        self.lock().end_of_input
    }

    /// Ends what is in progress as broken off, and logs it.
    pub(crate) fn break_off(&self) -> Option<Broken> {
        let current = self.lock().current.take()?;
        self.tell(&current, true);
        Some(Broken {
            ends_by_close: current.ends_by_close && current.status.is_some(),
        })
    }

    /// Logs a head that was answered without ever becoming a request.
    pub(crate) fn refused(&self, line: &RefusedLine<'_>) {
        if let Some(log) = &self.log {
            log.write(&Line {
                remote: &self.info.remote,
                peer: self.peer.as_ref(),
                method: line.method,
                target: line.target.map_or(Target::Unknown, Target::Raw),
                version: None,
                status: line.status,
                bytes: line.bytes,
                referer: None,
                user_agent: None,
                request_id: line.id.as_str(),
                wall: line.wall,
                cpu: Duration::ZERO,
                aborted: line.aborted,
            });
        }
    }

    /// Since when the current head is being read, and its request line as far as it has come. None
    /// for a head that came together with what was before it.
    pub(crate) fn head(&self) -> Option<(Instant, Vec<u8>)> {
        let state = self.lock();
        match state.phase {
            Phase::Head { since } => Some((since, state.line.bytes.clone())),
            _ => None,
        }
    }

    fn tell(&self, current: &Current, aborted: bool) {
        /// What nginx writes where the client left before the answer began.
        const CLIENT_CLOSED: u16 = 499;
        let (Some(log), Some(told)) = (&self.log, &current.told) else {
            return;
        };
        let status = current.status.unwrap_or_else(|| {
            StatusCode::from_u16(CLIENT_CLOSED).unwrap_or(StatusCode::BAD_REQUEST)
        });
        let remote = told.client.as_ref().unwrap_or(&self.info.remote);
        let between = told.client.is_some().then_some(&self.info.remote);
        log.write(&Line {
            remote,
            peer: self.peer.as_ref().or(between),
            method: Some(told.method.as_str().as_bytes()),
            target: Target::Uri(&told.uri),
            version: Some(told.version),
            status,
            bytes: self.sent.load(Ordering::Relaxed),
            referer: told.referer.as_ref().map(HeaderValue::as_bytes),
            user_agent: told.user_agent.as_ref().map(HeaderValue::as_bytes),
            request_id: current.id.as_str(),
            wall: current.started.elapsed(),
            cpu: current.cpu.get(),
            aborted,
        });
    }
}

/// Whether an answer may leave the connection open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    Free,
    /// hyper closes after this answer and says so.
    Close,
}
