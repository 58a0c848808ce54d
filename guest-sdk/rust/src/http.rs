//! Applications written with the types of the crate [`http`](::http): a function from a request to a response,
//! or a `tower::Service`, such as the router of a framework. Behind the feature `http`.
//!
//! ```no_run
//! use wasm_gw_guest::http::{Request, RequestBody, Response};
//!
//! fn hello(request: Request<RequestBody>) -> Response<String> {
//!     Response::new(format!("you asked for {}\n", request.uri()))
//! }
//!
//! wasm_gw_guest::export_http!(hello);
//! # fn main() {}
//! ```
//!
//! | of the request | is |
//! |---|---|
//! | method, version | REQUEST_METHOD, SERVER_PROTOCOL |
//! | URI | the target as it was sent, without the application's mount (SCRIPT_NAME) |
//! | headers | those that a gateway passes on, repeated ones joined |
//! | body | [`RequestBody`]: what has arrived, block by block |
//! | extensions | [`Variables`]: all variables of the environ, such as REMOTE_ADDR |
//!
//! Futures and bodies are driven until they are done, on the one thread that there is. One that waits for
//! something else than the request's body waits for ever: the request then fails, with an error that says so.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tower_service::Service;

pub use ::http::{Request, Response};

use crate::{Body, Environ, Error, Input, IoError, Result, StartResponse, latin1};

/// What is read of a request's body at once, at most, in bytes.
const READ: u64 = 64 << 10;

/// A body of this size or less is sent in one piece, in bytes.
const WHOLE: u64 = 64 << 10;

/// Makes a function of the `http` crate's types the application of this component.
///
/// It takes a [`Request<RequestBody>`](RequestBody) and returns a [`Response`] with any body: text, bytes, or
/// whatever is an [`http_body::Body`].
#[macro_export]
macro_rules! export_http {
    ($handler:expr $(,)?) => {
        $crate::export!(|environ, start_response| $crate::http::answer(
            $handler,
            environ,
            start_response
        ));
    };
}

/// Makes a `tower::Service` the application of this component, such as a router. The expression makes it anew for
/// each call.
///
/// ```ignore
/// wasm_gw_guest::export_service!(Router::new().route("/", get(|| async { "hello" })));
/// ```
#[macro_export]
macro_rules! export_service {
    ($service:expr $(,)?) => {
        $crate::export!(|environ, start_response| $crate::http::serve(
            $service,
            environ,
            start_response
        ));
    };
}

/// The error of any body.
type BoxError = Box<dyn StdError + Send + Sync>;

/// What can be the body of a response: an [`http_body::Body`], or bytes or text.
pub trait IntoHttpBody {
    /// As the application's body.
    ///
    /// # Errors
    ///
    /// That of the body.
    fn into_body(self) -> Result<Body>;
}

/// A function's answer, as an application's.
#[doc(hidden)]
pub fn answer<B: IntoHttpBody>(
    handler: impl FnOnce(Request<RequestBody>) -> Response<B>,
    environ: Environ,
    start_response: StartResponse,
) -> Result<Body> {
    let response = handler(request(&environ)?);
    respond(response, &start_response)
}

/// A service's answer, as an application's.
#[doc(hidden)]
pub fn serve<S, B>(mut service: S, environ: Environ, start_response: StartResponse) -> Result<Body>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: StdError + 'static,
    B: HttpBody + 'static,
    B::Error: Into<BoxError>,
{
    let request = request(&environ)?;
    let response = drive(async {
        std::future::poll_fn(|context| service.poll_ready(context)).await?;
        service.call(request).await
    })??;
    respond(response.map(Streamed), &start_response)
}

fn respond<B: IntoHttpBody>(response: Response<B>, start_response: &StartResponse) -> Result<Body> {
    let (parts, body) = response.into_parts();
    let status = parts.status;
    let status = format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    );
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                latin1::to_latin1_string(value.as_bytes()),
            )
        })
        .collect();
    start_response.start_with_headers(&status, &headers, None)?;
    body.into_body()
}

/// The variables of a request, among its extensions.
#[derive(Clone, Debug)]
pub struct Variables(Arc<[(String, String)]>);

impl Variables {
    /// The value of one, as a native string.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// An environ, as a request.
///
/// # Errors
///
/// It is none of a host's: it has no method or target that can be read.
pub fn request(environ: &Environ) -> Result<Request<RequestBody>> {
    let variables = Variables(environ.vars().into());
    let mut request = Request::new(RequestBody::of(environ, &variables));
    *request.method_mut() = environ.method().parse::<Method>()?;
    *request.uri_mut() = uri(&variables)?;
    *request.version_mut() = match variables.get("SERVER_PROTOCOL") {
        Some("HTTP/1.0") => Version::HTTP_10,
        Some("HTTP/2.0") => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    *request.headers_mut() = headers(&variables)?;
    request.extensions_mut().insert(variables);
    Ok(request)
}

/// The target, from below the mount.
fn uri(variables: &Variables) -> Result<Uri> {
    let target = variables.get("REQUEST_URI").unwrap_or("/");
    let uri = Uri::from_maybe_shared(Bytes::from(bytes_of(target)))?;
    let mount = variables.get("SCRIPT_NAME").unwrap_or_default();
    let path = below(uri.path(), mount.matches('/').count());
    Ok(match uri.query() {
        Some(query) => format!("{path}?{query}").parse()?,
        None => path.parse()?,
    })
}

/// A path without its first segments.
fn below(path: &str, segments: usize) -> &str {
    let mut path = path;
    for _ in 0..segments {
        let rest = path.strip_prefix('/').unwrap_or(path);
        path = rest.find('/').map_or("", |slash| &rest[slash..]);
    }
    if path.is_empty() { "/" } else { path }
}

fn headers(variables: &Variables) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (variable, value) in variables.iter() {
        let name = match variable {
            "CONTENT_TYPE" => http::header::CONTENT_TYPE,
            "CONTENT_LENGTH" => http::header::CONTENT_LENGTH,
            other => match other.strip_prefix("HTTP_") {
                Some(name) => name
                    .to_ascii_lowercase()
                    .replace('_', "-")
                    .parse::<HeaderName>()?,
                None => continue,
            },
        };
        if !value.is_empty() {
            headers.append(
                name,
                HeaderValue::from_maybe_shared(Bytes::from(bytes_of(value)))?,
            );
        }
    }
    Ok(headers)
}

/// A native string's bytes. What is none is best passed as the UTF-8 it is.
fn bytes_of(text: &str) -> Vec<u8> {
    latin1::bytes_of(text).unwrap_or_else(|_| text.as_bytes().to_vec())
}

/// The body of a request: blocks as they arrive.
#[derive(Debug)]
pub struct RequestBody {
    /// None at its end.
    input: Option<Input>,
    /// What is to come, if that is known.
    left: Option<u64>,
}

impl RequestBody {
    fn of(environ: &Environ, variables: &Variables) -> Self {
        let length = variables
            .get("CONTENT_LENGTH")
            .and_then(|length| length.parse().ok());
        Self {
            input: (length != Some(0)).then(|| environ.input()),
            left: length,
        }
    }

    /// All the rest, at once.
    ///
    /// # Errors
    ///
    /// Those of [`Input::read_rest`].
    pub fn read_rest(&mut self) -> Result<Vec<u8>, IoError> {
        match self.input.take() {
            Some(mut input) => input.read_rest(),
            None => Ok(Vec::new()),
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = IoError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, IoError>>> {
        let Some(input) = &mut self.input else {
            return Poll::Ready(None);
        };
        let read = input.read_some(READ);
        match read {
            Ok(block) if block.is_empty() => {
                self.input = None;
                self.left = Some(0);
                Poll::Ready(None)
            }
            Ok(block) => {
                let length = block.len() as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
                Poll::Ready(Some(Ok(Frame::data(block.into()))))
            }
            Err(error) => {
                self.input = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.input.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.input, self.left) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(left)) => SizeHint::with_exact(left),
            (Some(_), None) => SizeHint::default(),
        }
    }
}

macro_rules! plain {
    ($($type:ty),* $(,)?) => {
        $(impl IntoHttpBody for $type {
            fn into_body(self) -> Result<Body> {
                Ok(self.into())
            }
        })*
    };
}

plain!(Vec<u8>, String, &str, &[u8]);

impl IntoHttpBody for () {
    fn into_body(self) -> Result<Body> {
        Ok(Body::empty())
    }
}

impl IntoHttpBody for Bytes {
    fn into_body(self) -> Result<Body> {
        Ok(Vec::from(self).into())
    }
}

impl IntoHttpBody for Body {
    fn into_body(self) -> Result<Body> {
        Ok(self)
    }
}

/// Any [`http_body::Body`], asked for one block after the other.
#[derive(Debug)]
pub struct Streamed<B>(pub B);

impl<B> IntoHttpBody for Streamed<B>
where
    B: HttpBody + 'static,
    B::Error: Into<BoxError>,
{
    fn into_body(self) -> Result<Body> {
        let Self(body) = self;
        let length = body.size_hint().exact();
        let mut body = Box::pin(body);
        if length.is_some_and(|length| length <= WHOLE) {
            let mut whole = Vec::new();
            while let Some(block) = next(&mut body)? {
                whole.extend_from_slice(&block);
            }
            return Ok(whole.into());
        }
        Ok(Body::iter(std::iter::from_fn(move || {
            next(&mut body).transpose()
        })))
    }
}

/// The next block of a body, none at its end.
fn next<B>(body: &mut Pin<Box<B>>) -> Result<Option<Vec<u8>>>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    loop {
        let frame = drive(std::future::poll_fn(|context| {
            body.as_mut().poll_frame(context)
        }))?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        let frame = frame.map_err(|error| {
            let error: BoxError = error.into();
            Error::new("http_body::Body", error.to_string())
        })?;
        // Trailers go nowhere.
        if let Ok(mut data) = frame.into_data() {
            let mut block = vec![0; data.remaining()];
            data.copy_to_slice(&mut block);
            return Ok(Some(block));
        }
    }
}

/// Polls a future until it is done.
///
/// # Errors
///
/// It waits, and nothing will wake it: there is no other thread, no timer and no socket.
fn drive<F: Future>(future: F) -> Result<F::Output> {
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Ok(done);
        }
        if !woken.0.swap(false, Ordering::Relaxed) {
            return Err(Error::msg(
                "a future waits for something that never comes: a sandboxed application has no timers, \
                 sockets or threads of an async runtime",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_taken_off_the_target() {
        let check = |path, mount: &str, expected| {
            assert_eq!(below(path, mount.matches('/').count()), expected);
        };
        check("/a/b", "", "/a/b");
        check("/a/b", "/a", "/b");
        check("/a", "/a", "/");
        check("/a/", "/a", "/");
        check("/%61/b%2Fc", "/a", "/b%2Fc");
        check("/a/b/c", "/a/b", "/c");
    }

    #[test]
    fn a_future_that_wakes_itself_is_driven_to_its_end_and_another_fails() {
        let mut left = 3;
        let done = drive(std::future::poll_fn(|context| {
            left -= 1;
            if left == 0 {
                return Poll::Ready("done");
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        assert_eq!(done.unwrap(), "done");
        let error = drive(std::future::pending::<()>()).unwrap_err();
        assert!(error.message().contains("never comes"), "{error}");
    }
}
