//! Each work as a handler of hyper would do it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode};
use works::{ANSWERS, BENCH, BLOCKS, Blocks, HELLO, OUT, SEEN, TEXT, Work};

type Answer = Response<Either<Full<Bytes>, Repeated>>;

pub(crate) async fn answer(request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    if path == "/" {
        return text(StatusCode::OK, HELLO);
    }
    match Work::of(path) {
        Some(Work::Headers) => headers(request.headers()),
        Some(Work::Out) => blocks(OUT),
        Some(Work::In) => read(request.into_body()).await,
        Some(Work::Blocks) => blocks(BLOCKS),
        Some(Work::Cpu) => text(StatusCode::OK, format!("{}\n", works::cpu())),
        Some(Work::Pages) | None => text(StatusCode::NOT_FOUND, "no such work\n"),
    }
}

fn headers(request: &HeaderMap) -> Answer {
    let names = request.keys();
    let seen = names
        .filter(|name| name.as_str().starts_with(BENCH))
        .count();
    let mut answer = text(StatusCode::OK, HELLO);
    let fields = answer.headers_mut();
    for field in ANSWERS {
        insert(fields, field);
    }
    fields.insert(HeaderName::from_static(SEEN), seen.into());
    answer
}

async fn read(mut body: Incoming) -> Answer {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return text(StatusCode::BAD_REQUEST, "the body ended too early\n");
        };
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    text(StatusCode::OK, format!("{length}\n"))
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    with_type(status, Either::Left(Full::new(text.into())))
}

fn blocks(blocks: Blocks) -> Answer {
    let body = Repeated {
        block: Bytes::from_static(&LONGEST[..blocks.size]),
        left: blocks.count,
    };
    with_type(StatusCode::OK, Either::Right(body))
}

fn with_type(status: StatusCode, body: Either<Full<Bytes>, Repeated>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    insert(answer.headers_mut(), TEXT);
    answer
}

fn insert(fields: &mut HeaderMap, (name, value): (&'static str, &'static str)) {
    let name = HeaderName::from_static(name);
    fields.insert(name, HeaderValue::from_static(value));
}

/// The bytes that all blocks are made of.
static LONGEST: [u8; OUT.size] = [b'x'; OUT.size];

/// One block, again and again, each a frame of its own. Hyper takes the length from the hint.
pub(crate) struct Repeated {
    block: Bytes,
    left: usize,
}

impl Body for Repeated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.block.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.left * self.block.len()) as u64)
    }
}
