//! A service that does what its request target says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasm_gw_http::{BoxError, RequestBody};
use wasm_gw_protocol::{BodyError, ConnInfo, CpuTime, Reason, RequestId};

use super::*;

/// Does what the path says; each call and each end is an event.
#[derive(Clone)]
pub(crate) struct TestService {
    pub(crate) events: Events,
}

/// The one block of `/owned`: 16 MiB, more than system and server hold of it between them.
pub(crate) fn large() -> &'static [u8] {
    static LARGE: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..16 * 1024 * 1024).map(|at| (at / 251) as u8).collect());
    &LARGE
}

/// Such a block, which tells when nothing of it is used any more.
struct Owned(#[expect(dead_code, reason = "it is there to be dropped")] Guard);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        large()
    }
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
            let cpu = request.extensions().get::<CpuTime>().unwrap();
            let hint = request.body().size_hint();
            Response::new(Blocks::whole(format!(
                "{info:?}\n{}\n{:?}\n{:?}\n{}\n",
                id.as_str(),
                cpu.get(),
                hint.exact(),
                request.extensions().len(),
            )))
        }
        // Works for N microseconds, and again in its body.
        "/work" => {
            let used = Duration::from_micros(query.parse().unwrap());
            let cpu = request.extensions().get::<CpuTime>().unwrap().clone();
            cpu.add(used);
            Response::new(Blocks::new([
                Step::Data(b"head".to_vec()),
                Step::Pause,
                Step::Work(cpu, used),
                Step::Data(b" and body".to_vec()),
            ]))
        }
        // Works for N microseconds and never answers.
        "/work-on" => {
            let used = Duration::from_micros(query.parse().unwrap());
            request.extensions().get::<CpuTime>().unwrap().add(used);
            events.push("worked");
            std::future::pending().await
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
        // 16 MiB at once; then nothing, for ever, or `?fail`; `?N` announces N bytes.
        "/owned" => {
            let block = Bytes::from_owner(Owned(guard("dropped block of")));
            let end = if query == "fail" {
                Step::Fail
            } else {
                Step::Hang
            };
            let mut response = Response::new(Blocks::new([Step::Block(block), end]));
            if let Ok(length) = query.parse::<u64>() {
                response
                    .headers_mut()
                    .insert("content-length", length.into());
            }
            response
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
    Block(Bytes),
    Endless(usize),
    /// Pending once, so that what was before is flushed.
    Pause,
    Hang,
    /// Adds to the processor time.
    Work(CpuTime, Duration),
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
            Some(Step::Data(data)) => data.into(),
            Some(Step::Block(block)) => block,
            Some(Step::Endless(size)) => {
                self.steps.push_front(Step::Endless(size));
                vec![b'e'; size].into()
            }
            Some(Step::Pause) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                return Poll::Pending;
            }
            Some(Step::Work(cpu, used)) => {
                cpu.add(used);
                return self.poll_frame(cx);
            }
            Some(Step::Fail) => return Poll::Ready(Some(Err("as asked for".into()))),
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
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
