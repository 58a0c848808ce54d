//! The way from a guest's task to the client: first the head, by which the server's future resolves,
//! then blocks, one at a time. A client that is slow makes the guest wait; one that has gone closes
//! the way.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};
use wasm_gw_protocol::{Head, Length, Send};

use crate::clock::{Clock, Presence};
use crate::metrics::Counted;

/// Nobody listens any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// So many small blocks may be on their way to the server at once: it writes those that it finds together
/// with one call of the system. A block takes a place for each so many bytes of it, so that together
/// they are no more than one that is paid for with the instance; a large one goes alone.
const ROOM: usize = 16;
const PART: usize = 256;

/// The guest's end.
pub(crate) enum Output {
    /// The head is not out yet.
    Waiting(oneshot::Sender<Response<ResponseBody>>),
    /// Blocks may follow.
    Streaming {
        blocks: mpsc::Sender<Bytes>,
        whole: Arc<AtomicBool>,
    },
    /// The response is complete, or was given up.
    Done,
}

impl Output {
    /// Whether the client has gone.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Output::Waiting(head) => head.is_closed(),
            Output::Streaming { blocks, .. } => blocks.is_closed(),
            Output::Done => false,
        }
    }

    /// Whether a response can still be chosen.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self, Output::Waiting(_))
    }

    /// Whether a response has begun and is not complete.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self, Output::Streaming { .. })
    }

    /// Sends what the protocol says must be sent now, and waits until the client has room for it.
    pub(crate) async fn emit(&mut self, send: Send, clock: &Clock) -> Result<(), Gone> {
        let block = match send {
            Send::Nothing => return Ok(()),
            Send::Head(head) => return self.start(head),
            Send::HeadAndBlock(head, block) => {
                self.start(head)?;
                block
            }
            Send::Block(block) => block,
        };
        let Output::Streaming { blocks, .. } = self else {
            return Ok(());
        };
        let room = block.len().div_ceil(PART).clamp(1, ROOM);
        // Room at once is the common case, and then the clock need not stand.
        let mut permits = match blocks.try_reserve_many(room) {
            Ok(permits) => permits,
            Err(mpsc::error::TrySendError::Closed(())) => return Err(Gone),
            Err(mpsc::error::TrySendError::Full(())) => {
                let _waiting = clock.pause();
                blocks.reserve_many(room).await.map_err(|_| Gone)?
            }
        };
        if let Some(permit) = permits.next() {
            permit.send(block);
        }
        Ok(())
    }

    /// Sends the last of a response. A response that is whole by now goes out in one piece.
    pub(crate) async fn finish(&mut self, send: Send, clock: &Clock) -> Result<(), Gone> {
        if self.is_waiting() {
            let (head, body) = match send {
                Send::Head(head) => (head, Bytes::new()),
                Send::HeadAndBlock(head, block) => (head, block),
                // A response without a head is not finished; see `Exchange::finish`.
                Send::Nothing | Send::Block(_) => return Ok(()),
            };
            let body = ResponseBody::whole(body);
            return self.answer(Response::from_parts(head.parts, body));
        }
        self.emit(send, clock).await?;
        self.complete();
        Ok(())
    }

    /// Answers in one piece, while the head is not out.
    pub(crate) fn answer(&mut self, response: Response<ResponseBody>) -> Result<(), Gone> {
        match std::mem::replace(self, Output::Done) {
            Output::Waiting(head) => head.send(response).map_err(|_| Gone),
            _ => Ok(()),
        }
    }

    /// Says that no block will follow and none is missing.
    pub(crate) fn complete(&mut self) {
        if let Output::Streaming { whole, .. } = self {
            whole.store(true, Ordering::Release);
        }
        *self = Output::Done;
    }

    /// Gives the response up: the client is to see that it is not whole. Blocks that were sent
    /// before still arrive.
    pub(crate) fn abort(&mut self) {
        *self = Output::Done;
    }

    fn start(&mut self, head: Head) -> Result<(), Gone> {
        let (blocks, receiver) = mpsc::channel(ROOM);
        let whole = Arc::new(AtomicBool::new(false));
        let body = ResponseBody::of(match head.length {
            Length::None => Inner::Whole(Bytes::new()),
            length => Inner::Streaming {
                blocks: receiver,
                whole: Arc::clone(&whole),
                client: None,
                left: match length {
                    Length::Known(left) => Some(left),
                    _ => None,
                },
            },
        });
        let bodiless = matches!(head.length, Length::None);
        let response = Response::from_parts(head.parts, body);
        let next = if bodiless {
            Output::Done
        } else {
            Output::Streaming { blocks, whole }
        };
        match std::mem::replace(self, next) {
            Output::Waiting(head) => head.send(response).map_err(|_| Gone),
            _ => Ok(()),
        }
    }
}

/// The body of an app's response.
///
/// It yields an error when the guest failed after the head was out. The server must then end the
/// transfer so that the client can tell: no final chunk, or a reset.
#[derive(Debug)]
pub struct ResponseBody {
    inner: Inner,
    /// Counts the request when its answer has ended.
    counted: Option<Counted>,
}

#[derive(Debug)]
enum Inner {
    Whole(Bytes),
    Streaming {
        blocks: mpsc::Receiver<Bytes>,
        whole: Arc<AtomicBool>,
        client: Option<Presence>,
        /// What is left of an announced Content-Length.
        left: Option<u64>,
    },
}

/// A body that is dropped before its end has lost its client.
impl Drop for Inner {
    fn drop(&mut self) {
        if let Inner::Streaming {
            whole,
            client,
            left,
            ..
        } = self
            && (*left == Some(0) || whole.load(Ordering::Acquire))
            && let Some(client) = client.take()
        {
            client.no_longer_needed();
        }
    }
}

/// The guest failed in the middle of its response.
#[derive(Debug, thiserror::Error)]
#[error("the application failed before its response was complete")]
pub struct ResponseAborted;

impl ResponseBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::of(Inner::Whole(bytes))
    }

    fn of(inner: Inner) -> Self {
        Self {
            inner,
            counted: None,
        }
    }

    /// The request is counted when this body is dropped.
    pub(crate) fn counted(&mut self, request: Counted) {
        self.counted = Some(request);
    }

    /// The guest is told that its client has gone when this body is dropped, if it still has to
    /// produce a part of it.
    pub(crate) fn attended_by(mut self, presence: Presence) -> Self {
        match &mut self.inner {
            Inner::Whole(_) => presence.no_longer_needed(),
            Inner::Streaming { client, .. } => *client = Some(presence),
        }
        self
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
        match &mut self.inner {
            Inner::Whole(bytes) => Poll::Ready(if bytes.is_empty() {
                None
            } else {
                Some(Ok(Frame::data(std::mem::take(bytes))))
            }),
            Inner::Streaming {
                blocks,
                whole,
                left,
                ..
            } => Poll::Ready(match ready!(blocks.poll_recv(context)) {
                Some(block) => {
                    if let Some(left) = left {
                        *left = left.saturating_sub(block.len() as u64);
                    }
                    Some(Ok(Frame::data(block)))
                }
                None if whole.load(Ordering::Acquire) => None,
                None => {
                    // Once is enough: the next poll finds the body at its end.
                    self.inner = Inner::Whole(Bytes::new());
                    Some(Err(ResponseAborted))
                }
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Whole(bytes) => bytes.is_empty(),
            Inner::Streaming { left, .. } => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Streaming { left, .. } => {
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}
