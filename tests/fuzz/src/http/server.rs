//! The server that all inputs go to, with short times, and a service that says what it was asked for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use wasm_gw_http::{Address, HttpConfig, RequestBody, Server};

/// What stands around the body of a request in its answer, so that one that is cut is seen.
pub(super) const SEEN: &[u8] = b"seen<";
/// See [`SEEN`].
pub(super) const END: &[u8] = b">end";

/// Requests that the service has been given and has not given up.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Where it listens; it is started when it is first asked for.
pub(super) fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let short = Duration::from_millis(250);
        let config = HttpConfig {
            max_body: 1 << 20,
            header_timeout: short,
            keep_alive_timeout: short,
            body_timeout: short,
            write_timeout: Duration::from_secs(5),
            linger_timeout: Duration::from_millis(100),
            max_connections: Some(512),
            max_connections_per_address: Some(512),
            ..HttpConfig::default()
        };
        let (say, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let any: Address = "127.0.0.1:0".parse().expect("it is an address");
                let server = Server::bind(&[any], config).expect("a port is free");
                let Some(Address::Tcp(address)) = server.local_addrs().first().cloned() else {
                    panic!("it listens on TCP");
                };
                say.send(address).expect("somebody waits for it");
                server.serve(Mirror, std::future::pending::<()>()).await
            })
        });
        said.recv().expect("the server starts")
    })
}

/// Requests in progress.
pub(super) fn open_requests() -> usize {
    OPEN.load(Ordering::SeqCst)
}

struct Open;

impl Open {
    fn begin() -> Self {
        OPEN.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers with what it was asked.
#[derive(Clone)]
struct Mirror;

impl tower_service::Service<Request<RequestBody>> for Mirror {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let open = Open::begin();
        Box::pin(async move {
            let answer = mirror(request).await;
            drop(open);
            Ok(answer)
        })
    }
}

async fn mirror(request: Request<RequestBody>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        // It broke off, took too long, or was too large. The connection ends with this.
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        let headers = answer.headers_mut();
        headers.insert("x-broken", HeaderValue::from_static("yes"));
        return answer;
    };
    let body = body.to_bytes();
    let text = [SEEN, &body, END].concat();
    let mut answer = Response::new(Full::from(text));
    let headers = answer.headers_mut();
    let mut say = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    say("x-method", parts.method.as_str());
    say("x-target", &parts.uri.to_string());
    if parts.method == Method::HEAD {
        say("x-head", "yes");
        let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
        say("x-body", &hex);
    }
    answer
}
