//! A service of the `http` crate's types, which says what it was asked. By path: `/echo` answers with the request's
//! body, block by block, `/fails` fails in the middle of its body, `/waits` waits for ever, `/wakes` wakes itself a
//! hundred times before it answers.
//! For: the SDK's feature `http`.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tower_service::Service;
use wasm_gw_guest::http::{Request, RequestBody, Response, Variables};

enum Answer {
    Text(Option<Bytes>),
    Echo(RequestBody),
    Fails(u32),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Answer::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Answer::Echo(body) => {
                let frame = Pin::new(body).poll_frame(context);
                frame.map(|frame| frame.map(|frame| frame.map_err(io::Error::other)))
            }
            Answer::Fails(left) => {
                *left -= 1;
                Poll::Ready(Some(match left {
                    0 => Err(io::Error::other("as asked")),
                    _ => Ok(Frame::data(Bytes::from_static(b"block\n"))),
                }))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Answer::Echo(body) => body.size_hint(),
            Answer::Fails(_) => SizeHint::default(),
        }
    }
}

struct App;

impl Service<Request<RequestBody>> for App {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(answer(request))
    }
}

async fn answer(request: Request<RequestBody>) -> Result<Response<Answer>, Infallible> {
    let body = match request.uri().path() {
        "/echo" => Answer::Echo(request.into_body()),
        "/fails" => Answer::Fails(3),
        "/waits" => pending().await,
        "/wakes" => {
            let mut left = 100;
            poll_fn(|context| {
                left -= 1;
                context.waker().wake_by_ref();
                if left == 0 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            Answer::Text(Some("awake\n".into()))
        }
        _ => {
            let variables = request.extensions().get::<Variables>();
            let client = variables.and_then(|variables| variables.get("REMOTE_ADDR"));
            let text = format!(
                "{} {} {:?} from {}\n{:?}\n",
                request.method(),
                request.uri(),
                request.version(),
                client.unwrap_or("nobody"),
                request.headers(),
            );
            Answer::Text(Some(text.into()))
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert("content-type", "text/plain".parse().expect("a value"));
    Ok(response)
}

wasm_gw_guest::export_service!(App);
