//! What one request costs before there is a server around it, part by part. What a whole server does is
//! measured by `cargo xtask bench`.
//!
//! ```console
//! $ cargo bench --locked -p wasm-gw-runtime --features measure --bench request
//! ```
//!
//! | name | what is timed |
//! |---|---|
//! | `environ` | from the head of a GET with 21 header fields to its environ |
//! | `start_response` | a status and ten header fields are checked, and become a head |
//! | `instantiate` | store and instance of `examples/hello` are made and dropped |
//! | `instantiate_and_call` | that with the call of `app` and its answer, as in `App::run`: no HTTP, queue, scheduler |
//! | `snapshot_instantiate_and_call` | the same of a component with 30 MB of data that writes in 20 places of it |
//! | `ceiling_hello` | the answer of `examples/hello`, made by Rust: what is left if wasm costs nothing |
//! | `ceiling_wasmtime` | the smallest component in a bare store, made, called and dropped: what is left if we cost nothing ([`measure::Floor`]) |
//!
//! What a request has when it comes out of the queue, its environ too, is made beforehand and not timed;
//! that all of it is dropped is. The allocator is the server's.

use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, request};
use http_body::Body;
use http_body_util::Full;
use wasm_gw_protocol::{
    ConnInfo, Environ, Exchange, Facts, Head, Mount, RequestId, RequestKind, ResponseLimits, Send,
    Target, route,
};
use wasm_gw_runtime::SERVER_SOFTWARE;
use wasm_gw_runtime::measure::{self, Bare};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many requests are made at once, before they are timed one after the other. Each holds memory of the
/// server's budget.
const BATCH: BatchSize = BatchSize::NumIterations(16);

const HELLO: Guest = Guest {
    path: "examples/wasm32-wasip2/release/hello.wasm",
    built_by: "cargo xtask guests",
    body: b"hello, world\n",
};
const SNAPSHOT: Guest = Guest {
    path: "benches-guests/wasm32-wasip2/release/snapshot.wasm",
    built_by: "cargo xtask bench",
    body: b"hello, world!\n",
};

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let criterion = &mut criterion;
    // Both first: whether a guest is missing should not be found out by waiting.
    let (hello, snapshot) = (HELLO.load(), SNAPSHOT.load());
    assert_same_fields(&hello);
    environ(criterion);
    start_response(criterion);
    instantiate(criterion, &hello);
    call(criterion, "instantiate_and_call", &hello, &HELLO);
    call(
        criterion,
        "snapshot_instantiate_and_call",
        &snapshot,
        &SNAPSHOT,
    );
    ceiling_hello(criterion);
    ceiling_wasmtime(criterion);
    criterion.final_summary();
}

fn environ(criterion: &mut Criterion) {
    let get = Get::new(20);
    assert_eq!(
        get.environ().get("HTTP_X_BENCH_20"),
        Some("a value of some length, number 20")
    );
    criterion.bench_function("environ", |bencher| bencher.iter(|| get.environ()));
}

fn start_response(criterion: &mut Criterion) {
    let fields = [
        ("content-type", "text/plain"),
        ("content-length", "14"),
        ("x-seen", "20"),
        ("x-answer-1", "a value of the usual length"),
        ("x-answer-2", "no-cache, no-store, must-revalidate"),
        ("x-answer-3", "W/\"0815-1f2e3d4c5b6a\""),
        ("x-answer-4", "default-src 'self'; img-src *"),
        ("x-answer-5", "accept-encoding, cookie"),
        ("x-answer-6", "nosniff"),
        ("x-answer-7", "en"),
    ];
    let head = || -> Head {
        let kind = RequestKind {
            head: false,
            version: Version::HTTP_11,
        };
        let mut exchange = Exchange::new(kind, ResponseLimits::default(), None);
        let (status, fields) = black_box(("200 OK", &fields));
        exchange
            .start(status, fields.iter().copied(), false)
            .expect("a head that is right");
        match exchange.whole(Bytes::from_static(SNAPSHOT.body)) {
            Ok(Send::HeadAndBlock(head, _)) => head,
            other => panic!("a head and a body are due, not {other:?}"),
        }
    };
    assert_eq!(head().parts.headers.len(), fields.len());
    criterion.bench_function("start_response", |bencher| bencher.iter(head));
}

fn instantiate(criterion: &mut Criterion, app: &Bare) {
    let requests = Requests::new();
    criterion.bench_function("instantiate", |bencher| {
        bencher.iter_batched(|| requests.due(app), |due| app.instantiate(due), BATCH);
    });
}

fn call(criterion: &mut Criterion, name: &str, app: &Bare, guest: &Guest) {
    let requests = Requests::new();
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            || requests.due(app),
            |due| check(app.run(due), guest.body),
            BATCH,
        );
    });
}

fn ceiling_hello(criterion: &mut Criterion) {
    criterion.bench_function("ceiling_hello", |bencher| {
        bencher.iter(|| check(hello_in_rust(), HELLO.body));
    });
}

fn ceiling_wasmtime(criterion: &mut Criterion) {
    let floor = measure::Floor::new();
    assert_eq!(floor.call(), 42);
    criterion.bench_function("ceiling_wasmtime", |bencher| bencher.iter(|| floor.call()));
}

/// What `examples/hello` answers.
fn hello_in_rust() -> Response<Full<Bytes>> {
    let body = black_box(Bytes::from_static(HELLO.body));
    let mut response = Response::new(Full::default());
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Full::new(body);
    response
}

/// The comparison is of like with like.
fn assert_same_fields(hello: &Bare) {
    let fields = |headers: &HeaderMap| {
        let mut fields: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        fields.sort();
        fields
    };
    let answer = hello.run(Requests::new().due(hello));
    assert_eq!(fields(answer.headers()), fields(hello_in_rust().headers()));
}

/// A right answer, its body taken.
fn check<B: Body<Data = Bytes>>(response: Response<B>, body: &[u8]) {
    assert_eq!(response.status(), StatusCode::OK);
    let mut rest = pin!(response.into_body());
    let mut context = Context::from_waker(Waker::noop());
    match rest.as_mut().poll_frame(&mut context) {
        Poll::Ready(Some(Ok(frame))) => {
            assert_eq!(frame.data_ref().map(|data| &data[..]), Some(body));
        }
        _ => panic!("the body is there at once"),
    }
    assert!(rest.is_end_stream());
}

/// A component, and what it answers.
struct Guest {
    /// Below the guests of the target folder.
    path: &'static str,
    built_by: &'static str,
    body: &'static [u8],
}

impl Guest {
    fn load(&self) -> Bare {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
        let path = guests.join(self.path);
        let component = std::fs::read(&path).unwrap_or_else(|error| {
            let (path, built_by) = (path.display(), self.built_by);
            panic!("a guest to measure is not there: {path}: {error}; build it by `{built_by}`")
        });
        Bare::load("guest", &component)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// The same small request again and again.
struct Requests {
    get: Get,
    environ: Environ,
}

impl Requests {
    fn new() -> Self {
        let get = Get::new(0);
        Self {
            environ: get.environ(),
            get,
        }
    }

    fn due(&self, app: &Bare) -> measure::Due {
        app.due(self.get.parts.clone(), self.environ.clone())
    }
}

/// A GET, and what a server knows of it.
struct Get {
    parts: request::Parts,
    connection: ConnInfo,
    request_id: RequestId,
    mounts: [Mount; 1],
}

impl Get {
    /// One with a Host and so many fields more.
    fn new(fields: usize) -> Self {
        let mut request = Request::get("/headers").header("host", "localhost:8080");
        for number in 1..=fields {
            request = request.header(
                format!("x-bench-{number:02}"),
                format!("a value of some length, number {number}"),
            );
        }
        let request = request.body(()).expect("a request that is right");
        Self {
            parts: request.into_parts().0,
            connection: ConnInfo::tcp(
                ([127, 0, 0, 1], 8080).into(),
                ([127, 0, 0, 1], 50_000).into(),
            ),
            request_id: RequestId::from_bits(1),
            mounts: [Mount::root()],
        }
    }

    fn environ(&self) -> Environ {
        let parts = black_box(&self.parts);
        let target = Target::parse(parts, self.connection.scheme).expect("a target that is right");
        let (_, split) = route(self.mounts.iter(), target.path)
            .expect("a path that is right")
            .expect("all is under the root");
        let facts = Facts {
            conn: &self.connection,
            request_id: &self.request_id,
            server_name: None,
            server_software: SERVER_SOFTWARE,
            app: "guest",
            extra: &[],
        };
        Environ::build(parts, &target, split, &facts).expect("a head that is right")
    }
}
