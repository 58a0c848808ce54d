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
//! Each request gets a fresh instance: its own memory, limits and clock, and nothing of the host but
//! what [`Grants`] name. The service never fails; what goes wrong becomes a response, or, once the
//! head is out, an error of the response's body, by which the server must cut the transfer off.
//!
//! It needs a tokio runtime. It is quiet: it installs no logger (it speaks through `tracing`), no
//! signal handlers, and nothing global.

mod account;
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
mod limits;
#[cfg(feature = "measure")]
#[doc(hidden)]
pub mod measure;
mod memory;
mod metrics;
mod output;
mod queue;
mod record;
mod scheduler;
mod service;
mod settle;
mod slots;
mod source;
mod split;
mod system;
mod ticker;
mod turn;
mod wasi;

pub use app::{App, LoadError, Runtime, RuntimeError};
pub use cache::CacheUse;
pub use component::ComponentError;
pub use config::{AllocatorChoice, AppConfig, CacheConfig, ResetChoice, RuntimeConfig};
pub use engine::Allocator;
pub use grants::{DirGrant, DirGrantError, GrantError, Grants};
pub use limits::InstanceLimits;
pub use output::{ResponseAborted, ResponseBody};
pub use service::{BoxError, MountTaken, Site};
pub use slots::Reset;

/// The name and version of this server, as guests see it in `SERVER_SOFTWARE`.
pub const SERVER_SOFTWARE: &str = concat!("wasm-gw/", env!("CARGO_PKG_VERSION"));
