//! `wasm-gw serve`: from options to a running server, and to its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::Signal;
use tokio::task::JoinSet;
use wasm_gw_http::{AccessLog, AccessLogFormat, Address, Ending, HttpConfig, Server};
use wasm_gw_protocol::HeadLimits;
use wasm_gw_runtime::{InstanceLimits, Site};

mod announce;
mod apps;

pub(crate) use apps::{bytes, compile, default_cache_dir, environ, pairs};

use crate::commands::build::OUTPUT;
use crate::files::Front;
use crate::log_file::{LogFile, Reopen};
use crate::manifest::{MANIFEST, Manifest};
use crate::options::{LogFormat, ServeOptions};
use crate::reload::{Reload, Seen};
use crate::signals::{Signals, Stop};
use crate::status::{self, Status, Watched};
use crate::takeover::{Handed, Program, Sockets, Successor};
use crate::usage::Usage;
use crate::values::{AppFile, Span};
use crate::{notify, telemetry, wall_clock};

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
    let manifest = match &args.config {
        Some(path) => Manifest::read(path)?,
        None if Path::new(MANIFEST).exists() => Manifest::read(Path::new(MANIFEST))?,
        None => Manifest::default(),
    };
    let mut options = args.options.over(manifest.serve);
    if options.component.is_none() && options.app.is_empty() {
        let built = manifest
            .build
            .output
            .unwrap_or_else(|| PathBuf::from(OUTPUT));
        options.component = Some(built).filter(|path| path.exists());
    }
    let handed = Handed::take()?;
    options.check(!handed.apps.is_empty())?;
    let files = apps::files(&options)?;
    let addresses = Addresses::of(&options)?;
    let program = Program::of_this_process().context("cannot find this program's file")?;
    let format = options.log_format.unwrap_or_default();
    telemetry::start(format)?;

    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("wasm-gw")
        .build()
        .context("cannot start threads")?;
    let asked = Asked {
        options,
        files,
        format,
        program,
    };
    let served = tokio.block_on(serve(asked, addresses, handed));
    // A compilation that a signal came before is not waited for.
    tokio.shutdown_background();
    served
}

/// What was asked for, and how.
struct Asked {
    options: ServeOptions,
    files: Vec<AppFile>,
    format: LogFormat,
    program: Program,
}

async fn serve(asked: Asked, addresses: Addresses, mut handed: Handed) -> anyhow::Result<()> {
    raise_open_files();
    let signals = Signals::listen()?;
    // An address that is taken is found out before minutes are spent on a large component.
    let config = http(&asked.options, &signals.log)?;
    let server = match std::mem::take(&mut handed.apps) {
        none if none.is_empty() => Server::bind(&addresses.listen, config)?,
        given => Server::on(given, config).context("what was handed over to listen on")?,
    };
    let watched_server = match (handed.status.take(), &addresses.status) {
        (Some(given), _) => Some(status::on(given).context("what was handed over for the status")?),
        (None, Some(address)) => Some(status::bind(address)?),
        (None, None) => None,
    };
    let sockets = Sockets {
        apps: server.sockets()?,
        status: (watched_server.as_ref()).map_or(Ok(Vec::new()), Server::sockets)?,
    };
    let places = Places {
        apps: urls(&server),
        status: watched_server
            .as_ref()
            .and_then(|server| urls(server).pop()),
    };
    notify::loading();
    // To the end of it all.
    let mut alive = JoinSet::new();
    alive.spawn(notify::alive());
    alive.spawn(wall_clock::watch());
    let status = Status::default();
    let (mut watched, mut later) = (None, None);
    match watched_server {
        // Until this process serves, the one whose place it takes answers.
        Some(server) if handed.replaces() => later = Some(server),
        Some(server) => watched = Some(Watched::begin(server, status.clone())),
        None => {}
    }
    let whole = Whole {
        watched_later: later,
        server,
        sockets,
        places,
        status,
        watched: &mut watched,
        handed,
    };
    let served = serve_apps(asked, whole, signals).await;
    // It goes last: it says that the server drains, and that it is alive.
    if let Some(watched) = watched {
        watched.end(Ending::Stop).await;
    }
    served
}

/// The server, and what it is seen by.
struct Whole<'a> {
    server: Server,
    sockets: Sockets,
    places: Places,
    status: Status,
    watched: &'a mut Option<Watched>,
    /// Where the status is to be answered once the process serves.
    watched_later: Option<Server>,
    handed: Handed,
}

/// From the components to the end of their last instance.
async fn serve_apps(asked: Asked, whole: Whole<'_>, signals: Signals) -> anyhow::Result<()> {
    let Asked {
        options,
        files,
        format,
        program,
    } = asked;
    let Whole {
        server,
        sockets,
        places,
        status,
        watched,
        watched_later,
        mut handed,
    } = whole;
    let options = Arc::new(options);
    let Signals {
        mut stop,
        hangup,
        hand_over,
        log,
    } = signals;
    // What is put there while the first version is compiled is a new one.
    let seen = files.iter().map(Seen::of).collect();
    let loading = tokio::task::spawn_blocking({
        let (options, files, status) = (Arc::clone(&options), files.clone(), status.clone());
        move || apps::load(&options, &files, &status)
    });
    let (runtime, apps) = tokio::select! {
        loaded = loading => loaded??,
        () = stop.one() => return Ok(()),
    };
    let site = Site::new(apps.clone()).map_err(Usage::of)?;
    let folders = apps::folders(&options, &apps)?;
    let mounts = apps.iter().map(apps::mount_of).collect();
    let front = Front::new(folders, site.clone(), mounts);
    let reload = Reload::new(files, apps.clone(), site);
    let mut reloading = JoinSet::new();
    reloading.spawn(Arc::clone(&reload).at_signals(hangup, log, status.clone()));
    if options.watch {
        reloading.spawn(reload.at_changes(seen));
    }
    announce::announce(&options, &places, &runtime, &apps, format);
    // Whoever kept the first version would keep its code, and what it has in memory, for ever.
    drop(apps);
    let stopped = async {
        // The server listens to this from the moment that it accepts.
        status.serving();
        notify::ready();
        handed.ready();
        if let Some(server) = watched_later {
            *watched = Some(Watched::begin(server, status.clone()));
        }
        let ending = end(stop, hand_over, &program, sockets).await;
        status.draining();
        match ending {
            Ending::Stop => notify::stopping(longest_end(&options)),
            // The other process answers for both.
            Ending::HandOver => {
                if let Some(watched) = watched.take() {
                    watched.end(ending).await;
                }
            }
        }
        ending
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

/// Resolves when this process is to end, and says in whose favour.
async fn end(mut stop: Stop, mut hand_over: Signal, program: &Program, sockets: Sockets) -> Ending {
    let goes_on = |error: anyhow::Error| {
        tracing::error!("nobody takes over, and this process goes on: {error:#}");
    };
    let mut successor: Option<Successor> = None;
    loop {
        let is_alone = successor.is_none();
        let serves = async {
            match &mut successor {
                Some(successor) => successor.serves().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.one() => {
                if let Some(successor) = successor {
                    successor.end();
                }
                tracing::info!("stopping: requests in flight may finish; a second signal ends at once");
                stop.quit_after(1);
                return Ending::Stop;
            }
            served = serves => match served {
                Ok(pid) => {
                    tracing::info!("process {pid} has taken over; requests in flight may finish");
                    notify::replaced_by(pid);
                    // The first signal, to all processes of a service, finds this one at its end.
                    stop.quit_after(2);
                    return Ending::HandOver;
                }
                Err(error) => {
                    goes_on(error);
                    successor = None;
                }
            },
            _ = hand_over.recv(), if is_alone => {
                tracing::info!("another process is started to take over");
                match Successor::start(program, &sockets) {
                    Ok(started) => successor = Some(started),
                    Err(error) => goes_on(error),
                }
            }
        }
    }
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
        min_rate: options.min_rate.map_or(default.min_rate, |size| size.0),
        graceful_timeout: time(options.graceful_timeout, default.graceful_timeout),
        max_connections: options.max_connections,
        max_connections_per_address: options.max_connections_per_address,
        trusted_proxies: options.trusted_proxy.iter().copied().collect(),
        proxy_protocol: options.proxy_protocol,
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
