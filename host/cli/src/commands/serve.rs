//! `wasm-gw serve`: from options to a running server, and to its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http::HeaderValue;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use wasm_gw_http::{AccessLog, AccessLogFormat, Address, HttpConfig, Server};
use wasm_gw_protocol::{Environ, HeadLimits, Mount};
use wasm_gw_runtime::{
    AllocatorChoice, App, AppConfig, CacheConfig, CacheUse, Grants, InstanceLimits, Isolation,
    ResetChoice, Reuse, Runtime, RuntimeConfig, SERVER_SOFTWARE, Site,
};

use crate::files::{Files, Front};
use crate::log_file::{LogFile, Reopen};
use crate::manifest::{MANIFEST, Manifest};
use crate::options::{self, Allocator, LogFormat, MOST_INSTANCES, Reset, ServeOptions};
use crate::reload::{Reload, Seen};
use crate::status::{self, Status, Watched};
use crate::usage::Usage;
use crate::values::{AppFile, Pair, Size, Span};
use crate::{notify, printer, telemetry};

/// Where to listen if nobody says.
const LISTEN: &str = "127.0.0.1:8080";

/// Serve one application, or several under their own paths
///
/// Each request runs in a fresh instance. In a folder with a wasm-gw.toml, its settings are the
/// defaults, and `wasm-gw serve` alone is enough.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wasm-gw serve app.wasm
  wasm-gw serve app.wasm --listen 0.0.0.0:80 --env TOKEN=secret --dir ./data::/data:ro
  wasm-gw serve --app /=site.wasm --app /api=api.wasm --timeout 5s --memory 64MiB

WASM_GW_LOG chooses what is logged on stderr: error, warn, info (the default), debug.")]
pub(crate) struct Args {
    #[command(flatten)]
    options: ServeOptions,

    /// Read this file instead of ./wasm-gw.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Serves until a signal, then lets what was accepted finish.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let options = match &args.config {
        Some(path) => args.options.over(Manifest::read(path)?.serve),
        None if Path::new(MANIFEST).exists() => args
            .options
            .over(Manifest::read(Path::new(MANIFEST))?.serve),
        None => args.options,
    };
    options.check()?;
    let files = files(&options)?;
    let addresses = Addresses::of(&options)?;
    let format = options.log_format.unwrap_or_default();
    telemetry::start(format)?;

    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("wasm-gw")
        .build()
        .context("cannot start threads")?;
    let served = tokio.block_on(serve(options, files, addresses, format));
    // A compilation that a signal came before is not waited for.
    tokio.shutdown_background();
    served
}

async fn serve(
    options: ServeOptions,
    files: Vec<AppFile>,
    addresses: Addresses,
    format: LogFormat,
) -> anyhow::Result<()> {
    raise_open_files();
    let signals = Signals::listen()?;
    // An address that is taken is found out before minutes are spent on a large component.
    let server = Server::bind(&addresses.listen, http(&options, &signals.log)?)?;
    let watched = addresses.status.as_ref().map(status::bind).transpose()?;
    let places = Places {
        apps: urls(&server),
        status: watched.as_ref().and_then(|server| urls(server).pop()),
    };
    notify::loading();
    // To the end of it all.
    let mut alive = JoinSet::new();
    alive.spawn(notify::alive());
    let status = Status::default();
    let watched = watched.map(|server| Watched::begin(server, status.clone()));
    let served = serve_apps(options, files, server, &places, status, signals, format).await;
    // It goes last: it says that the server drains, and that it is alive.
    if let Some(watched) = watched {
        watched.end().await;
    }
    served
}

/// From the components to the end of their last instance.
async fn serve_apps(
    options: ServeOptions,
    files: Vec<AppFile>,
    server: Server,
    places: &Places,
    status: Status,
    signals: Signals,
    format: LogFormat,
) -> anyhow::Result<()> {
    let options = Arc::new(options);
    let Signals {
        mut stop,
        hangup,
        log,
    } = signals;
    // What is put there while the first version is compiled is a new one.
    let seen = files.iter().map(Seen::of).collect();
    let loading = tokio::task::spawn_blocking({
        let (options, files, status) = (Arc::clone(&options), files.clone(), status.clone());
        move || load(&options, &files, &status)
    });
    let (runtime, apps) = tokio::select! {
        loaded = loading => loaded??,
        () = stop.one() => return Ok(()),
    };
    let site = Site::new(apps.clone()).map_err(Usage::of)?;
    let folders = folders(&options, &apps)?;
    let mounts = apps.iter().map(mount_of).collect();
    let front = Front::new(folders, site.clone(), mounts);
    let reload = Reload::new(files, apps.clone(), site);
    let mut reloading = JoinSet::new();
    reloading.spawn(Arc::clone(&reload).at_signals(hangup, log, status.clone()));
    if options.watch {
        reloading.spawn(reload.at_changes(seen));
    }
    announce(&options, places, &runtime, &apps, format);
    // Whoever kept the first version would keep its code, and what it has in memory, for ever.
    drop(apps);
    let stopped = async {
        // The server listens to this from the moment that it accepts.
        status.serving();
        notify::ready();
        stop.requested().await;
        status.draining();
        notify::stopping(longest_end(&options));
    };
    let drained = server.serve(front, stopped).await?;
    reloading.shutdown().await;
    if drained.cut > 0 {
        tracing::warn!(
            "{} requests were cut off: the graceful timeout was over",
            drained.cut
        );
    }
    // A response may have ended before its guest: `close` comes after it (S41).
    if tokio::time::timeout(close(), runtime.idle()).await.is_err() {
        let instances = runtime.instances();
        tracing::warn!("{instances} instances were still running and are ended");
    }
    Ok(())
}

/// Allows this process as many open files as it may allow itself: each connection is one. What is started by
/// hand often has 1,024, for the sake of programs that put descriptors into sets of that size.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("the limit on open files stays as it is: {error}");
    }
}

/// How long guests may go on once the last response has ended.
fn close() -> Duration {
    InstanceLimits::default().close_timeout + Duration::from_secs(1)
}

/// The time from the first signal to the end of the process: the drain, the guests after it, and what the rest takes.
fn longest_end(options: &ServeOptions) -> Duration {
    let default = HttpConfig::default().graceful_timeout;
    let drain = options.graceful_timeout.map_or(default, |time| time.0);
    drain.saturating_add(close() + Duration::from_secs(5))
}

/// The components and their mounts.
fn files(options: &ServeOptions) -> Result<Vec<AppFile>, Usage> {
    let mut files = options.app.clone();
    match (&options.component, &options.mount) {
        (Some(component), mount) => files.push(AppFile {
            mount: mount.clone().unwrap_or_else(|| "/".to_owned()),
            file: component.clone(),
        }),
        (None, Some(mount)) => {
            return Err(Usage::of(format!(
                "--mount {mount} has no component; write --app {mount}=FILE, or name one file"
            )));
        }
        (None, None) => {}
    }
    if files.is_empty() {
        return Err(Usage::of(format!(
            "nothing to serve: name a component (wasm-gw serve app.wasm), or set \
             `component` under [serve] in {MANIFEST}"
        )));
    }
    for file in &files {
        mount(file)?;
    }
    Ok(files)
}

fn mount(file: &AppFile) -> Result<Mount, Usage> {
    let mount = Mount::parse(&file.mount);
    mount.map_err(|error| Usage::of(format!("mount `{}`: {error}", file.mount)))
}

/// The folders whose files are served.
fn folders(options: &ServeOptions, apps: &[App]) -> anyhow::Result<Vec<Files>> {
    let mut all: Vec<Files> = Vec::new();
    for file in &options.files {
        let mount = mount(file)?;
        let shown = file.file.display();
        let mut others = (apps.iter().map(mount_of))
            .chain(all.iter().map(|files: &Files| files.mount().clone()));
        if others.any(|other| other == mount) {
            return Err(Usage::of(format!(
                "static {mount}={shown}: something else answers at {mount} already"
            ))
            .into());
        }
        let files = Files::of(mount, &file.file)
            .with_context(|| format!("cannot serve the files of {shown}"))?;
        all.push(files);
    }
    Ok(all)
}

fn mount_of(app: &App) -> Mount {
    app.config().mount.clone()
}

fn limits(options: &ServeOptions) -> InstanceLimits {
    let mut limits = InstanceLimits::default();
    if let Some(memory) = options.memory {
        limits.memory = bytes(memory);
    }
    if let Some(log) = options.max_log {
        limits.log_bytes = bytes(log);
    }
    if let Some(timeout) = options.timeout {
        limits.timeout = timeout.0;
    }
    limits.max_duration = options.max_duration.map(|time| time.0);
    if let Some(cpu) = options.cpu {
        limits.cpu = cpu.0;
    }
    if let Some(grace) = options.disconnect_grace {
        limits.disconnect_grace = grace.0;
    }
    limits
}

fn isolation(options: &ServeOptions, limits: &InstanceLimits) -> Isolation {
    if options.isolation.unwrap_or_default() == options::Isolation::Request {
        return Isolation::Request;
    }
    let default = Reuse::default();
    Isolation::App(Reuse {
        requests: options.reuse_requests.unwrap_or(default.requests),
        time: options.reuse_time.map_or(default.time, |time| time.0),
        memory: options.reuse_memory.map_or(limits.memory / 2, bytes),
    })
}

/// A size in this machine's words; one beyond them is no limit at all.
pub(crate) fn bytes(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

fn runtime(
    options: &ServeOptions,
    limits: &InstanceLimits,
    apps: usize,
) -> anyhow::Result<Runtime> {
    let concurrency = app_concurrency(options);
    let instances = concurrency
        .saturating_mul(apps)
        .clamp(1, MOST_INSTANCES as usize);
    let cache = match &options.cache_dir {
        _ if options.no_cache => None,
        Some(dir) => Some(dir.clone()),
        None => default_cache_dir(),
    };
    let runtime = Runtime::new(RuntimeConfig {
        instances: u32::try_from(instances).unwrap_or(u32::MAX),
        max_memory: limits.memory,
        memory_total: options.memory_total.map(bytes),
        allocator: match options.allocator.unwrap_or_default() {
            Allocator::Auto => AllocatorChoice::Auto,
            Allocator::OnDemand => AllocatorChoice::OnDemand,
        },
        reset: match options.reset.unwrap_or_default() {
            Reset::Auto => ResetChoice::Auto,
            Reset::Overwrite => ResetChoice::Overwrite,
        },
        cache: cache.map(|dir| {
            let mut cache = CacheConfig::new(dir);
            if let Some(size) = options.cache_size {
                cache.max_bytes = size.0;
            }
            cache
        }),
    })?;
    Ok(runtime)
}

fn app_concurrency(options: &ServeOptions) -> usize {
    options
        .concurrency
        .map_or(AppConfig::new("").concurrency, |number| number as usize)
}

/// `$XDG_CACHE_HOME/wasm-gw` or `~/.cache/wasm-gw`; a service without a home has none.
pub(crate) fn default_cache_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let caches = match set("XDG_CACHE_HOME") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(set("HOME")?).join(".cache"),
    };
    Some(caches.join("wasm-gw"))
}

/// Makes the runtime and compiles the components, which may take a while.
fn load(
    options: &ServeOptions,
    files: &[AppFile],
    status: &Status,
) -> anyhow::Result<(Runtime, Vec<App>)> {
    let limits = limits(options);
    let runtime = runtime(options, &limits, files.len())?;
    status.numbers({
        let runtime = runtime.clone();
        move || runtime.metrics()
    });
    let apps = files
        .iter()
        .map(|file| {
            load_one(&runtime, options, &limits, file)
                .with_context(|| format!("cannot serve {}", file.file.display()))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok((runtime, apps))
}

fn load_one(
    runtime: &Runtime,
    options: &ServeOptions,
    limits: &InstanceLimits,
    file: &AppFile,
) -> anyhow::Result<App> {
    let name = file.file.file_stem().unwrap_or(file.file.as_os_str());
    let mut config = AppConfig::new(name.to_string_lossy());
    config.mount = mount(file)?;
    config.limits = limits.clone();
    config.concurrency = app_concurrency(options);
    config.cores = options.cores;
    config.isolation = isolation(options, limits);
    if let Some(queue) = options.queue {
        config.queue = queue;
    }
    if let Some(time) = options.queue_timeout {
        config.queue_timeout = time.0;
    }
    config.grants = Grants {
        env: pairs(&options.env),
        dirs: options.dir.clone(),
    };
    config.environ = environ(&options.environ)?;
    config.server_name = options.server_name.clone();
    if !options.no_server_header {
        config.server_header = Some(HeaderValue::from_static(SERVER_SOFTWARE));
    }
    Ok(App::load_file(runtime, config, &file.file)?)
}

/// The pairs that each request's environ is to have too.
pub(crate) fn environ(extra: &[Pair]) -> Result<Vec<(String, String)>, Usage> {
    for Pair(name, value) in extra {
        Environ::check_extra(name, value)
            .map_err(|error| Usage::of(format!("environ `{name}`: {error}")))?;
    }
    Ok(pairs(extra))
}

pub(crate) fn pairs(pairs: &[Pair]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|Pair(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Where to listen, as it was asked for.
struct Addresses {
    listen: Vec<Address>,
    status: Option<Address>,
}

impl Addresses {
    fn of(options: &ServeOptions) -> Result<Self, Usage> {
        let parse = |text: &str| text.parse().map_err(Usage::of);
        let listen = match options.listen.as_slice() {
            [] => vec![parse(LISTEN)?],
            some => some
                .iter()
                .map(|text| parse(text))
                .collect::<Result<_, _>>()?,
        };
        let status = options.status_listen.as_deref().map(parse).transpose()?;
        Ok(Self { listen, status })
    }
}

/// Where it listens, as it is said, with the ports that the system chose.
struct Places {
    apps: Vec<String>,
    status: Option<String>,
}

fn urls(server: &Server) -> Vec<String> {
    let url = |address: &Address| match address {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    server.local_addrs().iter().map(url).collect()
}

fn http(options: &ServeOptions, log: &Reopen) -> anyhow::Result<HttpConfig> {
    let sink: Box<dyn Write + Send> = match &options.access_log {
        None => Box::new(std::io::stdout()),
        Some(path) => Box::new(
            LogFile::open(path, log.clone())
                .with_context(|| format!("cannot write the access log to {}", path.display()))?,
        ),
    };
    let default = HttpConfig::default();
    let time = |option: Option<Span>, default| option.map_or(default, |time| time.0);
    Ok(HttpConfig {
        head: HeadLimits {
            target: options.max_target.map_or(default.head.target, bytes),
            ..default.head
        },
        max_body: options.max_body.map_or(default.max_body, |size| size.0),
        header_timeout: time(options.header_timeout, default.header_timeout),
        keep_alive_timeout: time(options.keep_alive_timeout, default.keep_alive_timeout),
        body_timeout: time(options.body_timeout, default.body_timeout),
        write_timeout: time(options.write_timeout, default.write_timeout),
        graceful_timeout: time(options.graceful_timeout, default.graceful_timeout),
        max_connections: options.max_connections,
        max_connections_per_address: options.max_connections_per_address,
        access_log: Some(AccessLog::new(
            match options.log_format.unwrap_or_default() {
                LogFormat::Combined => AccessLogFormat::Combined,
                LogFormat::Json => AccessLogFormat::Json,
            },
            sink,
        )),
        ..default
    })
}

/// Says where the server listens, what it serves and what holds for it.
fn announce(
    options: &ServeOptions,
    places: &Places,
    runtime: &Runtime,
    apps: &[App],
    format: LogFormat,
) {
    match format {
        LogFormat::Json => printer::json_line(&as_json(places, runtime, apps)),
        LogFormat::Combined => printer::lines(&as_text(options, places, runtime, apps)),
    }
}

fn as_text(
    options: &ServeOptions,
    places: &Places,
    runtime: &Runtime,
    apps: &[App],
) -> Vec<String> {
    let mut lines = vec![SERVER_SOFTWARE.replace('/', " ")];
    for app in apps {
        let config = app.config();
        let compiled = match app.compiled() {
            CacheUse::Hit => "compiled code from the cache",
            CacheUse::Stored => "compiled, and kept in the cache",
            CacheUse::None => "compiled",
        };
        lines.push(format!(
            "  app      {} at {} (wasm-gw:gateway, {compiled})",
            config.name,
            shown(&config.mount),
        ));
    }
    for file in &options.files {
        lines.push(format!(
            "  files    {} at {}",
            file.file.display(),
            file.mount
        ));
    }
    if let Some(app) = apps.first() {
        let config = app.config();
        let limits = &config.limits;
        let size = |bytes: usize| Size(bytes as u64);
        lines.push(format!(
            "  limits   {} memory, {} to answer, {} of processor time, {} instances at once, \
             {} waiting up to {}",
            size(limits.memory),
            Span(limits.timeout),
            Span(limits.cpu),
            config.concurrency,
            config.queue,
            Span(config.queue_timeout),
        ));
        if let Isolation::App(reuse) = config.isolation {
            lines.push(format!(
                "  shared   by the requests of an app: an instance serves {} of them, for {}, up to {} memory",
                reuse.requests,
                Span(reuse.time),
                size(reuse.memory),
            ));
        }
        lines.push(format!("  grants   {}", granted(&config.grants)));
    }
    if options.no_cache {
        lines.push("  cache    none: each start compiles".to_owned());
    }
    let total = Size(runtime.memory_total() as u64);
    lines.push(format!(
        "  memory   {total} for all instances; {}",
        runtime.allocator()
    ));
    for address in &places.apps {
        lines.push(format!("  listens  {address}"));
    }
    if let Some(address) = &places.status {
        lines.push(format!("  status   {address}"));
    }
    lines
}

fn granted(grants: &Grants) -> String {
    let names = grants.env.iter().map(|(name, _)| format!("${name}"));
    let dirs = grants.dirs.iter().map(|dir| {
        let mode = if dir.read_only { " (read only)" } else { "" };
        format!("{} as {}{mode}", dir.host.display(), dir.guest)
    });
    let all: Vec<String> = names.chain(dirs).collect();
    if all.is_empty() {
        "none: no environment, no files, no network".to_owned()
    } else {
        format!("{}; no network", all.join(", "))
    }
}

fn shown(mount: &Mount) -> &str {
    match mount.as_str() {
        "" => "/",
        mount => mount,
    }
}

fn as_json(places: &Places, runtime: &Runtime, apps: &[App]) -> serde_json::Value {
    let apps: Vec<serde_json::Value> = apps
        .iter()
        .map(|app| {
            let config = app.config();
            serde_json::json!({
                "name": config.name,
                "mount": shown(&config.mount),
                "kind": "wasm-gw:gateway",
                "memory": config.limits.memory,
                "timeout_ms": config.limits.timeout.as_millis() as u64,
                "cpu_ms": config.limits.cpu.as_millis() as u64,
                "isolation": match config.isolation {
                    Isolation::Request => serde_json::json!({ "by": "request" }),
                    Isolation::App(reuse) => serde_json::json!({
                        "by": "app",
                        "requests": reuse.requests,
                        "time_ms": reuse.time.as_millis() as u64,
                        "memory": reuse.memory,
                    }),
                },
                "concurrency": config.concurrency,
                "queue": config.queue,
                "queue_timeout_ms": config.queue_timeout.as_millis() as u64,
                "compiled": match app.compiled() {
                    CacheUse::Hit => "from the cache",
                    CacheUse::Stored => "and kept",
                    CacheUse::None => "and not kept",
                },
                "env": config.grants.env.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                "dirs": config.grants.dirs.iter().map(|dir| serde_json::json!({
                    "host": dir.host,
                    "guest": dir.guest,
                    "read_only": dir.read_only,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    // Like the lines that follow it.
    let now = humantime::format_rfc3339_micros(std::time::SystemTime::now());
    serde_json::json!({
        "timestamp": now.to_string(),
        "level": "INFO",
        "target": "wasm_gw",
        "message": "serving",
        "version": SERVER_SOFTWARE,
        "listens": places.apps,
        "status": places.status,
        "allocator": runtime.allocator().to_string(),
        "memory_total": runtime.memory_total(),
        "apps": apps,
    })
}

/// The signals that there is an answer to, from the start on.
struct Signals {
    stop: Stop,
    hangup: Signal,
    /// What SIGHUP opens anew.
    log: Reopen,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            stop: Stop::listen()?,
            hangup: signal(SignalKind::hangup()).context("cannot listen for signals")?,
            log: Reopen::default(),
        })
    }
}

/// SIGTERM and SIGINT: the first asks for an orderly end, the second for the end.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn one(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Resolves at the first signal; the second ends the process at once.
    async fn requested(mut self) {
        self.one().await;
        tracing::info!("stopping: requests in flight may finish; a second signal ends at once");
        tokio::spawn(async move {
            self.one().await;
            tracing::warn!("ended by a second signal");
            crate::quit();
        });
    }
}
