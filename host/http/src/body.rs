//! The request body as the service gets it: counted, timed, with errors that say whose fault it is.
//!
//! Reading it is what makes the server read: nothing is asked of the client before the first
//! poll, so `100 Continue` goes out then and not earlier (S51). Trailers are dropped (protocol
//! 2.2). Not here: what a service does with an error.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use wasm_gw_protocol::BodyError;

use crate::exchange::Connection;
use crate::times::from_now;

/// The body of a request.
///
/// It ends in an error where the client did not send all of it; a short body is never silent.
/// After an error it yields nothing more, and the connection closes after the answer.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    /// Bytes that may still come: the server's limit for a chunked body, else the rest of the
    /// announced length.
    room: u64,
    /// The length was announced, so that an early end is a broken body.
    announced: bool,
    ended: bool,
    pause: Pause,
    /// Whom to tell how it ended; absent where there is no body.
    exchange: Option<Exchange>,
}

struct Exchange {
    connection: Arc<Connection>,
    number: u64,
    told: bool,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.told {
            self.connection.body_dropped(self.number);
        }
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "request {}", self.number)
    }
}

impl RequestBody {
    pub(crate) fn empty(incoming: Incoming) -> Self {
        RequestBody {
            incoming,
            room: 0,
            announced: true,
            ended: true,
            pause: Pause::new(Duration::ZERO, 0),
            exchange: None,
        }
    }

    /// The body of request `number`; its length has been checked if it was announced.
    pub(crate) fn new(incoming: Incoming, connection: &Arc<Connection>, number: u64) -> Self {
        let announced = incoming.size_hint().exact();
        RequestBody {
            incoming,
            room: announced.unwrap_or(connection.config.max_body),
            announced: announced.is_some(),
            ended: false,
            pause: Pause::new(connection.config.body_timeout, connection.config.min_rate),
            exchange: Some(Exchange {
                connection: Arc::clone(connection),
                number,
                told: false,
            }),
        }
    }

    fn complete(&mut self) {
        self.ended = true;
        if let Some(mut exchange) = self.exchange.take() {
            exchange.told = true;
            exchange.connection.body_complete(exchange.number);
        }
    }

    fn fail(&mut self, error: BodyError) -> BodyError {
        self.ended = true;
        if let Some(exchange) = self.exchange.take() {
            exchange.connection.body_failed(exchange.number);
        }
        tracing::debug!(%error, "the request body ended early");
        error
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            let frame = match Pin::new(&mut this.incoming).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(this.pause.poll_elapsed(cx));
                    return Poll::Ready(Some(Err(this.fail(BodyError::TimedOut))));
                }
            };
            let data = frame
                .as_ref()
                .and_then(|frame| frame.as_ref().ok()?.data_ref());
            this.pause.over(data.map_or(0, Bytes::len));
            match frame {
                Some(Ok(frame)) => {
                    // Trailers: the body's end follows.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let Some(room) = this.room.checked_sub(data.len() as u64) else {
                        return Poll::Ready(Some(Err(this.fail(BodyError::TooLarge))));
                    };
                    this.room = room;
                    if this.incoming.is_end_stream() {
                        this.complete();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => {
                    let error = this.fail(cause(&error));
                    return Poll::Ready(Some(Err(error)));
                }
                None if this.announced && this.room > 0 => {
                    return Poll::Ready(Some(Err(this.fail(BodyError::Disconnected))));
                }
                None => {
                    this.complete();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        if self.ended {
            SizeHint::with_exact(0)
        } else {
            self.incoming.size_hint()
        }
    }
}

/// Whose fault an error of hyper's body is.
fn cause(error: &hyper::Error) -> BodyError {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return match error.kind() {
                // What hyper's decoder says of chunks and trailers it cannot read.
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => BodyError::Malformed,
                _ => BodyError::Disconnected,
            };
        }
        source = inner.source();
    }
    if error.is_parse() {
        BodyError::Malformed
    } else {
        // hyper has no other reason to end a body before its time than that the connection is
        // gone, or is being given up.
        BodyError::Disconnected
    }
}

/// The longest wait for the next piece, without a timer set for each of them.
#[derive(Debug)]
struct Pause {
    limit: Duration,
    /// What must come of the body, in bytes a second; 0 for no such rule.
    rate: u64,
    /// What may still be waited, unless something comes. With a rate each byte adds its share, up to the
    /// limit: a byte now and then holds an instance no longer than silence does.
    left: Duration,
    /// When the current wait has lasted too long; `None` while nobody waits.
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pause {
    fn new(limit: Duration, rate: u64) -> Self {
        Pause {
            limit,
            rate,
            left: limit,
            deadline: None,
            timer: None,
        }
    }

    /// So many bytes have come.
    fn over(&mut self, bytes: usize) {
        self.left = match (self.rate, self.deadline.take()) {
            (0, _) => self.limit,
            (rate, deadline) => {
                let left = deadline.map_or(self.left, |deadline| {
                    deadline.saturating_duration_since(Instant::now())
                });
                let earned =
                    Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate);
                left.saturating_add(earned).min(self.limit)
            }
        };
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let deadline = *self.deadline.get_or_insert_with(|| from_now(left));
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            // It was set for an earlier wait.
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}
