//! The answer on its way to hyper: its head made fit for the connection, its body watched.
//!
//! The body counts what it hands over, hands over little at once, and keeps two promises hyper
//! does not: a body shorter than its `Content-Length` is an error (S46), and when a body fails, the
//! blocks before the failure leave first. Not here: what the application may say in a head; that is
//! its gateway's business.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, response};
use http_body::{Body, Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use pin_project_lite::pin_project;
use wasm_gw_protocol::{Reason, RequestId};

use crate::BoxError;
use crate::date;
use crate::exchange::{Connection, Persistence};
use crate::refusal::REQUEST_ID;

/// What of the request decides how its answer is framed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) head: bool,
    pub(crate) version: Version,
    pub(crate) wishes: Wishes,
}

impl Asked {
    pub(crate) fn new(method: &Method, version: Version, wishes: Wishes) -> Self {
        Asked {
            head: method == Method::HEAD,
            version,
            wishes,
        }
    }
}

/// What the client asks of the connection after this exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// `Connection: close`. hyper overlooks it beside a byte beyond ASCII.
    pub(crate) close: bool,
    /// `Connection: keep-alive`, which only HTTP/1.0 needs, where hyper sees it.
    pub(crate) keep_alive: bool,
}

impl Wishes {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        for value in headers.get_all(header::CONNECTION) {
            let seen_by_hyper = value.to_str().is_ok();
            for option in value.as_bytes().split(|&byte| byte == b',') {
                let option = option.trim_ascii();
                wishes.close |= option.eq_ignore_ascii_case(b"close");
                wishes.keep_alive |= seen_by_hyper && option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        wishes.keep_alive &= !wishes.close;
        wishes
    }
}

/// Makes the head fit for this connection and tells the connection of it. Returns the length
/// the head announces by `Content-Length`.
///
/// # Errors
///
/// The head is one that no server can send; the text says why, for the log.
pub(crate) fn finish_head(
    parts: &mut response::Parts,
    body: &SizeHint,
    asked: Asked,
    id: &RequestId,
    connection: &Connection,
) -> Result<Option<u64>, &'static str> {
    if parts.status.is_informational() {
        return Err("a 1xx status is no final answer");
    }
    let old = asked.version == Version::HTTP_10;
    // Framing and persistence are this side's. An HTTP/1.0 client must not get an answer marked
    // 1.1: hyper would promise it to stay, whether or not the answer has an end.
    parts.version = if old {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    parts.headers.remove(header::TRANSFER_ENCODING);
    if parts.status == StatusCode::NO_CONTENT {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let announced = announced_length(parts)?;
    let wants_close = parts
        .headers
        .remove(header::CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));

    if !parts.headers.contains_key(REQUEST_ID)
        && let Ok(value) = HeaderValue::from_str(id.as_str())
    {
        parts.headers.insert(REQUEST_ID, value);
    }
    if !parts.headers.contains_key(header::DATE) {
        parts.headers.insert(header::DATE, date::now());
    }
    if let Some(Reason(reason)) = parts.extensions.remove::<Reason>()
        && let Ok(reason) = ReasonPhrase::try_from(reason)
    {
        parts.extensions.insert(reason);
    }

    let bodiless = asked.head
        || matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let length_known = bodiless || announced.is_some() || body.exact().is_some();
    let persistence = connection.answered(parts.status, old && !length_known);
    if wants_close || (asked.wishes.close && !old) || persistence == Persistence::Close {
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    } else if old && length_known && asked.wishes.keep_alive && persistence == Persistence::Free {
        // hyper keeps an HTTP/1.0 connection only if the answer says so.
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    }
    Ok(announced)
}

fn announced_length(parts: &response::Parts) -> Result<Option<u64>, &'static str> {
    let mut values = parts.headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err("more than one Content-Length");
    }
    value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or("a Content-Length that is no number")
}

/// The most hyper gets at once. It copies what it gets into its buffer, and the buffer grows to
/// hold it, for as long as the connection lasts.
const PIECE: usize = 64 * 1024;

/// The most of a body that is in hyper's buffer: a piece, and what came before it if that was
/// little. hyper itself asks for more until it has `max_buf_size`, which is as much as the head of a
/// request may have, and then takes one piece more. With this, its buffer holds a response's head
/// and 80 KiB at most, and has room for twice that at most, since it grows by doubling. A block stays
/// here, whole and with its owner, until its last piece has been copied.
const UNWRITTEN: usize = PIECE + 16 * 1024;

/// More than the framing of one piece: its size in hexadecimal, and two line ends.
const FRAMING: usize = 16;

pin_project! {
    /// The body of an answer, as hyper gets it.
    pub(crate) struct ResponseBody<B> {
        #[pin]
        inner: Inner<B>,
        connection: Arc<Connection>,
        // What the head still owes, if it announced a length.
        owed: Option<u64>,
        // What is left of a block that is handed over in pieces.
        block: Bytes,
        failure: Option<BoxError>,
        failed: bool,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        // hyper drops a body when it needs no more of it. If it drops it because the connection
        // is over, the driver has taken notice before.
        fn drop(this: Pin<&mut Self>) {
            if !this.failed {
                this.connection.answer_ended();
            }
        }
    }
}

pin_project! {
    #[project = InnerProjection]
    enum Inner<B> {
        Page { page: Option<Bytes> },
        Service { #[pin] body: B },
    }
}

impl<B> ResponseBody<B> {
    /// A page of our own.
    pub(crate) fn page(page: Bytes, owed: Option<u64>, connection: Arc<Connection>) -> Self {
        let page = Some(page).filter(|page| !page.is_empty());
        Self::new(Inner::Page { page }, owed, connection)
    }

    /// What the service answered.
    pub(crate) fn service(body: B, owed: Option<u64>, connection: Arc<Connection>) -> Self {
        Self::new(Inner::Service { body }, owed, connection)
    }

    fn new(inner: Inner<B>, owed: Option<u64>, connection: Arc<Connection>) -> Self {
        ResponseBody {
            inner,
            connection,
            owed,
            block: Bytes::new(),
            failure: None,
            failed: false,
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if !*this.failed {
            if this.block.is_empty() {
                let frame: Option<Result<Frame<Bytes>, BoxError>> = match this.inner.project() {
                    InnerProjection::Page { page } => page.take().map(|page| Ok(Frame::data(page))),
                    InnerProjection::Service { body } => ready!(body.poll_frame(cx))
                        .map(|result: Result<Frame<Bytes>, B::Error>| result.map_err(Into::into)),
                };
                match frame.map(|result| result.map(Frame::into_data)) {
                    Some(Ok(Ok(data))) => *this.block = data,
                    Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                    None if this.owed.is_none_or(|owed| owed == 0) => return Poll::Ready(None),
                    None => {
                        *this.failure = Some("the body is shorter than its Content-Length".into());
                        *this.failed = true;
                    }
                    Some(Err(error)) => {
                        *this.failure = Some(error);
                        *this.failed = true;
                    }
                }
            }
            if !*this.failed {
                let length = this.block.len().min(PIECE);
                // hyper discards an empty one.
                let written = if length == 0 { 0 } else { FRAMING + length };
                // Small blocks go together, as many as are ready.
                if this.connection.unwritten() + written > UNWRITTEN
                    && !this.connection.is_flushed(cx)
                {
                    return Poll::Pending;
                }
                let piece = this.block.split_to(length);
                let mut sent = length as u64;
                if let Some(owed) = this.owed {
                    // hyper cuts what exceeds the announced length.
                    sent = sent.min(*owed);
                    *owed -= sent;
                }
                this.connection.sent(sent, written);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        // An error makes hyper drop what it has not written yet. Pending makes it write that
        // and flush, which is when this body is polled again.
        if this.connection.is_flushed(cx) {
            let error = this.failure.take();
            Poll::Ready(error.map(Err))
        } else {
            Poll::Pending
        }
    }

    fn is_end_stream(&self) -> bool {
        match (self.owed, &self.inner) {
            // Until everything announced is there, hyper has to ask, or it would announce
            // nothing (304) or not notice the lack.
            (Some(owed), _) => owed == 0,
            (None, _) if self.failed || !self.block.is_empty() => false,
            (None, Inner::Page { page }) => page.is_none(),
            (None, Inner::Service { body }) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (self.owed, &self.inner) {
            // Let hyper go by the head. It would believe the body against it.
            (Some(_), _) => SizeHint::default(),
            (None, Inner::Page { page }) => {
                SizeHint::with_exact(page.as_ref().map_or(0, |page| page.len() as u64))
            }
            (None, Inner::Service { body }) => body.size_hint(),
        }
    }
}

/// The error of a service that has none.
pub(crate) type Never = Infallible;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use wasm_gw_protocol::{ConnInfo, CpuTime};

    use super::*;
    use crate::config::HttpConfig;
    use crate::origin::Origin;

    /// Blocks that are all ready.
    struct Blocks(VecDeque<Bytes>);

    impl Body for Blocks {
        type Data = Bytes;
        type Error = Never;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Never>>> {
            Poll::Ready(self.0.pop_front().map(|block| Ok(Frame::data(block))))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// What hyper gets between two flushes, as sizes of pieces.
    fn between_flushes(blocks: &[usize]) -> Vec<Vec<usize>> {
        let config = HttpConfig::default();
        let origin = Origin::plain(ConnInfo::unix(), &config);
        let connection =
            Connection::new(Arc::new(config), origin, None, crate::busy::Busy::default());
        let (request, ()) = http::Request::new(()).into_parts();
        let id = RequestId::from_bits(1);
        connection.begin(&request, None, &id, &CpuTime::default(), false);
        connection.answered(StatusCode::OK, false);

        let blocks = blocks.iter().map(|&size| Bytes::from(vec![b'x'; size]));
        let body = Blocks(blocks.collect());
        let mut body = pin!(ResponseBody::service(body, None, Arc::clone(&connection)));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut flushes = vec![Vec::new()];
        loop {
            match body.as_mut().poll_frame(&mut Context::from_waker(&waker)) {
                Poll::Ready(None) => return flushes,
                Poll::Ready(Some(frame)) => {
                    let piece = frame.unwrap().into_data().unwrap();
                    flushes.last_mut().unwrap().push(piece.len());
                }
                Poll::Pending => {
                    assert!(!woken.0.load(Ordering::Relaxed));
                    connection.flushed();
                    assert!(woken.0.swap(false, Ordering::Relaxed));
                    flushes.push(Vec::new());
                }
            }
        }
    }

    #[test]
    fn hyper_never_has_much_of_a_body() {
        const KIB: usize = 1024;
        // A large block goes out piece by piece, none of them held back for another.
        let large = between_flushes(&[150 * KIB]);
        assert_eq!(large, [[PIECE], [PIECE], [22 * KIB]]);
        // Small ones go together: as they are, and no more than fit.
        assert_eq!(between_flushes(&[1, 2, 3]), [[1, 2, 3]]);
        assert_eq!(between_flushes(&[0; UNWRITTEN]), [[0; UNWRITTEN]]);
        assert_eq!(between_flushes(&[10 * KIB, PIECE]), [[10 * KIB, PIECE]]);
        for size in [1, 100, 4 * KIB, 40 * KIB, PIECE] {
            let flushes = between_flushes(&vec![size; 3 * UNWRITTEN / size]);
            assert!(flushes.len() > 2, "{size}");
            for pieces in &flushes {
                assert!(pieces.iter().all(|&piece| piece == size), "{size}");
                // The framing of a chunk of one byte is five.
                assert!(pieces.len() * (size + 5) <= UNWRITTEN, "{size}");
            }
        }
    }
}
