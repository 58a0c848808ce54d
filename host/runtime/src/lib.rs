//! Runs wasm-gw applications in an embedder's own server: component bytes in, a `tower::Service`
//! out.
//!
//! ```no_run
//! use wasm_gw_runtime::{App, AppConfig, Runtime, RuntimeConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new(RuntimeConfig::default())?;
//! let component = std::fs::read("hello.wasm")?;
//! let app = App::load(&runtime, AppConfig::new("hello"), &component)?;
//! // A `tower::Service<http::Request<B>>` for any hyper server, axum `Router` or test.
//! let service = app.service();
//! # let _ = service; Ok(())
//! # }
//! ```
//!
//! Each request gets a fresh instance by default: its own memory, limits and clock, and nothing of the host but
//! what [`Grants`] name. The service never fails; what goes wrong becomes a response, or, once the
//! head is out, an error of the response's body, by which the server must cut the transfer off.
//!
//! # In a server of your own
//!
//! Beside the handlers of an axum server:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use wasm_gw_runtime::{App, AppConfig, Runtime, RuntimeConfig};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new(RuntimeConfig::default())?;
//! let app = App::load_file(&runtime, AppConfig::new("hello"), "hello.wasm".as_ref())?;
//! let router = Router::new()
//!     .route("/native", get(|| async { "not sandboxed\n" }))
//!     .fallback_service(app.service());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, router).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Alone, over hyper, with what the application sees as `REMOTE_ADDR` and `SERVER_PORT`:
//!
//! ```no_run
//! use hyper::Request;
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::{Service, service_fn};
//! use hyper_util::{rt::TokioIo, service::TowerToHyperService};
//! use wasm_gw_runtime::{App, AppConfig, ConnInfo, Runtime, RuntimeConfig};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new(RuntimeConfig::default())?;
//! let app = App::load_file(&runtime, AppConfig::new("hello"), "hello.wasm".as_ref())?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! loop {
//!     let (socket, client) = listener.accept().await?;
//!     let conn = ConnInfo::tcp(socket.local_addr()?, client);
//!     let app = TowerToHyperService::new(app.service());
//!     let service = service_fn(move |mut request: Request<Incoming>| {
//!         request.extensions_mut().insert(conn.clone());
//!         app.call(request)
//!     });
//!     tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
//! }
//! # }
//! ```
//!
//! Without [`ConnInfo`] in a request's extensions the application is told what it would be of a unix socket:
//! no address of the client. Behind a proxy, [`TrustedProxies::believe`] makes the one that its client made of it.
//! Await [`Runtime::idle`] before you end: an answer may have ended before the guest
//! that gave it.
//!
//! It needs a tokio runtime. It is quiet: it installs no logger (it speaks through `tracing`), no
//! signal handlers, and nothing global.

mod account;
mod apart;
mod app;
mod breaker;
mod cache;
mod clock;
mod component;
mod config;
mod engine;
mod error;
mod fair;
mod grants;
mod guest;
mod guest_log;
mod in_place;
mod instance;
mod interfaces;
mod limits;
#[cfg(feature = "measure")]
#[doc(hidden)]
pub mod measure;
mod memory;
mod metrics;
mod observer;
mod output;
mod packed;
mod parked;
mod queue;
mod record;
mod scheduler;
mod service;
mod settle;
mod slots;
mod source;
mod split;
mod system;
pub mod testing;
mod ticker;
mod tmpfs;
mod turn;
mod wasi;

pub use apart::{CompileSettings, compile_apart};
pub use app::{App, LoadError, Runtime, RuntimeError};
pub use cache::CacheUse;
pub use component::ComponentError;
pub use config::{
    AllocatorChoice, AppConfig, CacheConfig, Isolation, ResetChoice, Reuse, RuntimeConfig,
};
pub use engine::Allocator;
pub use grants::{DirGrant, DirGrantError, GrantError, Grants};
pub use guest_log::{GuestLine, LogSink};
pub use interfaces::{Import, Interfaces};
pub use limits::InstanceLimits;
pub use output::{ResponseAborted, ResponseBody};
pub use packed::PackedError;
pub use service::{BoxError, MountTaken, Site, refuse};
pub use slots::Reset;
// What an embedder puts into configurations and requests.
pub use wasm_gw_protocol::{
    BodyError, ConnInfo, CpuTime, Endpoint, Mount, PublicUrl, Refusal, RequestId, Scheme,
    TrustedProxies, TrustedProxy,
};

/// The name and version of this server, as guests see it in `SERVER_SOFTWARE`.
pub const SERVER_SOFTWARE: &str = concat!("wasm-gw/", env!("CARGO_PKG_VERSION"));

/// The version of wasmtime in it.
pub const WASMTIME_VERSION: &str = wasmtime_environ::VERSION;

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those of the repository's.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct RepositoryReadme;
