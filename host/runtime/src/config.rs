//! What an embedder decides about a runtime and about each app: plain structs with defaults fit for
//! production. Reading them from flags or files is the command line's business.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use wasm_gw_protocol::Mount;

use crate::grants::Grants;
use crate::guest_log::LogSink;
use crate::limits::InstanceLimits;

/// Settings that all apps of one [`Runtime`](crate::Runtime) share.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// How many instances may be alive at once, over all apps. There must be address space for them,
    /// 4 GiB each; memory is taken as it is used.
    pub instances: u32,
    /// The largest linear memory that any app may be given, in bytes. An app's own limit
    /// ([`InstanceLimits::memory`]) cannot exceed it.
    pub max_memory: usize,
    /// What all instances together may take, in bytes: their memory, and what their guests make the
    /// host keep. None is seven tenths of what the machine or the control group has.
    pub memory_total: Option<usize>,
    /// Which allocator gives instances their memory.
    pub allocator: AllocatorChoice,
    /// How a slot is made new between two requests.
    pub reset: ResetChoice,
    /// Where compiled code is kept between runs; none compiles at each start.
    pub cache: Option<CacheConfig>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            instances: 1000,
            max_memory: 256 << 20,
            memory_total: None,
            allocator: AllocatorChoice::Auto,
            reset: ResetChoice::Auto,
            cache: None,
        }
    }
}

/// Which allocator gives instances their memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllocatorChoice {
    /// Slots that are used again, where the system has the address space for them.
    #[default]
    Auto,
    /// Memory that is mapped afresh for each instance, and by wasmtime: slower.
    OnDemand,
}

/// How a slot is made new between two requests; see [`Reset`](crate::Reset).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetChoice {
    /// By `PAGEMAP_SCAN` where the kernel has it.
    #[default]
    Auto,
    /// By writing over all that may hold something.
    Overwrite,
}

/// Where compiled code is kept.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// The folder, made when it is missing. It must belong to this user, and nobody else may be
    /// able to write to it.
    pub dir: PathBuf,
    /// The most it may hold, in bytes; the entries that were not used for longest go first.
    pub max_bytes: u64,
}

impl CacheConfig {
    /// A cache in `dir` of at most 2 GiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_bytes: 2 << 30,
        }
    }
}

/// One app: a component at a mount, with what it may touch and use.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// The app's name in logs and in `wasm_gw.app`.
    pub name: String,
    /// The path prefix the app answers under.
    pub mount: Mount,
    /// What the guest may touch beyond its own request. Nothing by default.
    pub grants: Grants,
    /// What one instance may use.
    pub limits: InstanceLimits,
    /// How many cores the app's guests may use at once while other apps want to run; none is half
    /// of what there are, and one at least.
    pub cores: Option<usize>,
    /// How many instances of this app may be alive at once.
    pub concurrency: usize,
    /// What an instance is for: one request, or many of this app.
    pub isolation: Isolation,
    /// How many requests may wait for an instance.
    pub queue: usize,
    /// How long a request may wait for an instance.
    pub queue_timeout: Duration,
    /// Pairs that the deployer adds to each `environ`; they never replace what the request says.
    pub environ: Vec<(String, String)>,
    /// `SERVER_NAME` for requests without a `Host`; none means the socket's address.
    pub server_name: Option<String>,
    /// The `Server` header for responses that bring none of their own; none sends none.
    pub server_header: Option<HeaderValue>,
    /// Where the lines of its guests go; none is the log of the process.
    pub log: Option<LogSink>,
}

impl AppConfig {
    /// An app of this name at the root, with the default limits and no grants.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mount: Mount::root(),
            grants: Grants::default(),
            limits: InstanceLimits::default(),
            cores: None,
            concurrency: 1000,
            isolation: Isolation::Request,
            queue: 1000,
            queue_timeout: Duration::from_secs(5),
            environ: Vec::new(),
            server_name: None,
            server_header: None,
            log: None,
        }
    }
}

/// What an instance is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// One request. Nothing of it can be seen by another.
    #[default]
    Request,
    /// Many requests of the app, one after the other, until a bound is met or one fails. What the
    /// application leaves in its memory the next request finds there, whoever sent it.
    App(Reuse),
}

/// How long an instance serves that serves many requests. Any failure ends it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// So many requests.
    pub requests: u32,
    /// For so long, from the end of its first request.
    pub time: Duration,
    /// Until its memory, and what it makes the host keep, is larger than this in bytes.
    pub memory: usize,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            requests: 1000,
            time: Duration::from_secs(600),
            memory: 128 << 20,
        }
    }
}
