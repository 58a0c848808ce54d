//! Calls an app without a socket: for tests of an application, and for checking one.
//!
//! ```no_run
//! use http::Request;
//! use wasm_gw_runtime::{App, AppConfig, Runtime, RuntimeConfig, testing};
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new(RuntimeConfig::default())?;
//! let app = App::load_file(&runtime, AppConfig::new("hello"), "hello.wasm".as_ref())?;
//! let called = testing::call(&app, Request::get("/?name=you").body("")?).await;
//! assert_eq!(called.response.status(), 200);
//! assert_eq!(called.response.body(), "hello, you\n");
//! assert!(called.findings().is_empty(), "{:?}", called.findings());
//! # Ok(())
//! # }
//! ```

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tower_service::Service;
use wasm_gw_protocol::lint::{Finding, Transcript, lint};

use crate::app::App;
use crate::observer;

/// So much of an answer's body is read, in bytes: an application may send for ever.
pub const MOST_BODY: usize = 64 << 20;

/// What came of one call.
#[derive(Debug)]
pub struct Called {
    /// The answer as the client of a server gets it, of which a server would add Date and the framing.
    pub response: Response<Bytes>,
    /// The answer has no end: its application failed when the head was out, or sent more than
    /// [`MOST_BODY`].
    pub is_cut: bool,
    /// What the application did, as the host saw it.
    pub transcript: Transcript,
    /// What it wrote to its log, stdout and stderr, line by line.
    pub log: Vec<String>,
}

impl Called {
    /// What of it is against a rule, or unwise.
    pub fn findings(&self) -> Vec<Finding> {
        lint(&self.transcript)
    }
}

/// Sends one request to an app, with the limits and grants that it was loaded with, and waits until the
/// instance that served it is gone, or waits for its next request.
///
/// A request without Host gets `localhost`. It needs a tokio runtime, as every app.
pub async fn call(app: &App, request: Request<impl Into<Bytes>>) -> Called {
    call_with(app, request, None).await
}

/// What a guest's clocks show, if that is not the time of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// What the wall clock shows when the guest first asks for anything of WASI.
    pub begin: SystemTime,
    /// By so much each reading, of the wall clock and of the monotonic one, is later than time alone would have it.
    pub step: Duration,
}

/// The same with other clocks: two calls at different times tell what of an answer depends on them. An instance that
/// has served before ([`Isolation::App`](crate::Isolation)) keeps those that it has.
pub async fn call_at(app: &App, request: Request<impl Into<Bytes>>, clocks: Clocks) -> Called {
    call_with(app, request, Some(clocks)).await
}

async fn call_with(
    app: &App,
    request: Request<impl Into<Bytes>>,
    clocks: Option<Clocks>,
) -> Called {
    let (watch, observer) = observer::watch(clocks);
    let is_head = request.method() == Method::HEAD;
    let mut request = request.map(|body| Full::new(body.into()));
    if !request.headers().contains_key(HOST) && request.uri().authority().is_none() {
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().insert(HOST, host);
    }
    request.extensions_mut().insert(observer);
    let response = match app.service().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (parts, mut body) = response.into_parts();
    let mut all = Vec::new();
    let mut is_cut = false;
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(block)) if all.len() + block.len() <= MOST_BODY => all.extend_from_slice(&block),
            // Trailers say nothing here.
            Ok(Err(_)) => {}
            Ok(Ok(_)) | Err(_) => {
                is_cut = true;
                break;
            }
        }
    }
    drop(body);
    let observed = watch.end().await;
    Called {
        response: Response::from_parts(parts, all.into()),
        is_cut,
        transcript: Transcript {
            is_head,
            events: observed.events,
        },
        log: observed.log,
    }
}
