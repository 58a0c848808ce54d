//! What the server says of itself to those who watch over it: `/healthz`, `/readyz` and `/metrics`,
//! on a socket of their own. Not here: what is counted; that is the runtime's.
//!
//! It is served by the same server as the apps are, with small limits and no access log. It answers
//! from the start, while components compile, to the end of the drain.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::slice;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_service::Service;
use wasm_gw_http::{Address, Ending, HttpConfig, Listening, Server};

const PLAIN: &str = "text/plain; charset=utf-8";
/// Prometheus' text format.
const NUMBERS: &str = "text/plain; version=0.0.4; charset=utf-8";
const METHODS: &str = "GET, HEAD";

/// How far the server is, and where its numbers come from. Cheap to clone; it is its own
/// `tower::Service`.
#[derive(Clone, Default)]
pub(crate) struct Status(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stage: Mutex<Stage>,
    numbers: OnceLock<Numbers>,
}

type Numbers = Box<dyn Fn() -> String + Send + Sync>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Loading,
    Serving,
    Draining,
}

impl Status {
    /// The apps are loaded and their server accepts.
    pub(crate) fn serving(&self) {
        self.enter(Stage::Serving);
    }

    /// The server was told to stop.
    pub(crate) fn draining(&self) {
        self.enter(Stage::Draining);
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.stage() == Stage::Serving
    }

    /// What `/metrics` answers from now on; nothing before. The first one stays.
    pub(crate) fn numbers(&self, text: impl Fn() -> String + Send + Sync + 'static) {
        let _ = self.0.numbers.set(Box::new(text));
    }

    fn enter(&self, stage: Stage) {
        *self.0.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn stage(&self) -> Stage {
        *self.0.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, method: &Method, path: &str) -> Response<String> {
        let page: fn(&Self) -> Response<String> = match path {
            "/healthz" => |_| plain(StatusCode::OK, "ok"),
            "/readyz" => Self::readiness,
            "/metrics" => Self::metrics,
            _ => {
                let known = "not found; there are /healthz, /readyz and /metrics";
                return plain(StatusCode::NOT_FOUND, known);
            }
        };
        if method != Method::GET && method != Method::HEAD {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only");
            let allowed = HeaderValue::from_static(METHODS);
            refused.headers_mut().insert(ALLOW, allowed);
            return refused;
        }
        page(self)
    }

    fn readiness(&self) -> Response<String> {
        match self.stage() {
            Stage::Loading => plain(StatusCode::SERVICE_UNAVAILABLE, "loading"),
            Stage::Serving => plain(StatusCode::OK, "ready"),
            Stage::Draining => plain(StatusCode::SERVICE_UNAVAILABLE, "draining"),
        }
    }

    fn metrics(&self) -> Response<String> {
        let text = self.0.numbers.get().map_or_else(String::new, |text| text());
        response(StatusCode::OK, NUMBERS, text)
    }
}

/// One line for people and scripts.
fn plain(status: StatusCode, line: &str) -> Response<String> {
    response(status, PLAIN, format!("{line}\n"))
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // It is true now, and some proxy may stand between.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl<B> Service<Request<B>> for Status {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request.method(), request.uri().path())))
    }
}

/// Binds the socket that is watched. Nothing is answered yet.
pub(crate) fn bind(address: &Address) -> io::Result<Server> {
    Server::bind(slice::from_ref(address), config())
}

/// The same on a socket that was handed over.
pub(crate) fn on(socket: Listening) -> io::Result<Server> {
    Server::on(vec![socket], config())
}

/// Few and fast clients: whoever watches asks a short question at times.
fn config() -> HttpConfig {
    let short = Duration::from_secs(5);
    HttpConfig {
        max_body: 1024,
        header_timeout: short,
        keep_alive_timeout: short,
        body_timeout: short,
        write_timeout: short,
        graceful_timeout: Duration::from_secs(1),
        max_connections: Some(64),
        max_connections_per_address: Some(64),
        access_log: None,
        ..HttpConfig::default()
    }
}

/// The server of the status in a task of its own, so that nothing that the apps' server waits for
/// keeps it waiting.
pub(crate) struct Watched {
    end: oneshot::Sender<Ending>,
    task: JoinHandle<()>,
}

impl Watched {
    /// Answers from now on.
    pub(crate) fn begin(server: Server, status: Status) -> Self {
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let ended = async {
                // An error is the other end gone, which is an end as well.
                ended.await.unwrap_or_default()
            };
            if let Err(error) = server.serve(status, ended).await {
                tracing::error!("the status cannot be served: {error}");
            }
        });
        Self { end, task }
    }

    /// Answers what was asked, for a second at most, and closes the socket.
    pub(crate) async fn end(self, ending: Ending) {
        let _ = self.end.send(ending);
        // It is not cancelled, and a panic was reported where it happened.
        let _ = self.task.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls the service, which needs no body and no socket.
    fn ask(status: &Status, method: Method, target: &str) -> Response<String> {
        let request = Request::builder().method(method).uri(target).body(());
        let Ok(answer) = status.clone().call(request.unwrap()).into_inner();
        answer
    }

    #[track_caller]
    fn check(status: &Status, target: &str, expected: u16, body: &str) {
        let answer = ask(status, Method::GET, target);
        assert_eq!(
            (answer.status().as_u16(), answer.body().as_str()),
            (expected, body),
            "{target}"
        );
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    }

    #[test]
    fn it_is_ready_between_loading_and_draining() {
        let status = Status::default();
        check(&status, "/readyz", 503, "loading\n");
        check(&status, "/healthz", 200, "ok\n");
        status.clone().serving();
        check(&status, "/readyz", 200, "ready\n");
        status.draining();
        check(&status, "/readyz", 503, "draining\n");
        check(&status, "/healthz", 200, "ok\n");
    }

    #[test]
    fn numbers_are_asked_for_each_time() {
        let status = Status::default();
        check(&status, "/metrics", 200, "");
        let asked = Mutex::new(0);
        status.numbers(move || {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            format!("asked {asked}\n")
        });
        check(&status, "/metrics", 200, "asked 1\n");
        check(&status, "/metrics?name=x", 200, "asked 2\n");
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        let answer = ask(&status, Method::GET, "/metrics");
        assert_eq!(answer.headers()[CONTENT_TYPE], kind);
    }

    #[test]
    fn other_paths_are_told_which_there_are() {
        let status = Status::default();
        for target in ["/", "/healthz/", "/metricsx", "//readyz", "/Healthz"] {
            let answer = ask(&status, Method::GET, target);
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{target}");
            for path in ["/healthz", "/readyz", "/metrics"] {
                assert!(answer.body().contains(path), "{target}");
            }
            assert_eq!(answer.headers()[CONTENT_TYPE], PLAIN);
        }
    }

    #[test]
    fn only_get_and_head_are_allowed() {
        let status = Status::default();
        for path in ["/healthz", "/readyz", "/metrics"] {
            for method in [Method::POST, Method::DELETE, Method::OPTIONS] {
                let answer = ask(&status, method, path);
                assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
                assert_eq!(answer.headers()[ALLOW], "GET, HEAD");
            }
        }
        let head = ask(&status, Method::HEAD, "/healthz");
        assert_eq!(head.status(), StatusCode::OK);
    }
}
