//! `wasm-gw check`: what a component is, whether it runs here, and what of its answers is against a rule
//! or unwise.

mod report;
mod requests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use wasm_gw_runtime::{
    App, AppConfig, CacheConfig, DirGrant, Grants, Interfaces, Runtime, RuntimeConfig, testing,
};

use self::report::{Answer, Report};
use self::requests::{Asked, Requests};
use crate::commands::serve::{bytes, default_cache_dir, environ, pairs};
use crate::printer;
use crate::telemetry;
use crate::usage::Usage;
use crate::values::{Pair, Size, Span};

/// Check an application: what it needs, and whether its answers keep the rules
///
/// It says what the component exports and imports and whether this host can run it. Then it sends it a
/// set of requests, each in a fresh instance, and says what is against a rule of the gateway or of HTTP,
/// with what to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wasm-gw check app.wasm
  wasm-gw check app.wasm --requests requests.toml --env TOKEN=test --json

Exit codes: 0 nothing was found, 1 something was, 2 it could not be checked.")]
pub(crate) struct Args {
    /// The application: a WebAssembly component that exports wasm-gw:gateway/app
    #[arg(value_name = "APP.WASM")]
    component: PathBuf,

    /// Send the requests of this file too (docs/checking.md has an example); repeat it
    #[arg(long, value_name = "FILE")]
    requests: Vec<PathBuf>,

    /// Send those of --requests only
    #[arg(long, requires = "requests")]
    only: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,

    /// An environment variable for the guest; repeat it. It gets no others
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Grants")]
    env: Vec<Pair>,

    /// A folder that the guest may use under another name; repeat it. It gets no others
    #[arg(long, value_name = "HOST::GUEST[:ro]", help_heading = "Grants")]
    dir: Vec<DirGrant>,

    /// Let instances have no /tmp. Else each has an empty one of its own, in memory and within --memory
    #[arg(long, help_heading = "Grants")]
    no_tmp: bool,

    /// A pair to add to each request's environ; repeat it
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Grants")]
    environ: Vec<Pair>,

    /// Time for the guest to answer, and then for each next block [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a request")]
    timeout: Option<Span>,

    /// Processor time of one request's guest [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = "Limits of a request")]
    cpu: Option<Span>,

    /// Memory of one instance, with its files in /tmp [default: 256MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Limits of a request")]
    memory: Option<Size>,
}

/// It could not be checked.
const IMPOSSIBLE: u8 = 2;

/// Checks, and prints what was found.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    telemetry::start_if_asked()?;
    let file = args.component.display().to_string();
    let requests = match Requests::of(&args.requests, args.only) {
        Ok(requests) => requests,
        Err(error) => return Err(Usage::of(format!("{error:#}")).into()),
    };
    let component = match std::fs::read(&args.component) {
        Ok(component) => component,
        Err(error) => return Err(Usage::of(format!("cannot read {file}: {error}")).into()),
    };
    let mut report = Report::of(&args.component, component.len());
    match Interfaces::of(&component) {
        Ok(interfaces) => report.interfaces = interfaces,
        Err(error) => report.cannot = Some(error.to_string()),
    }
    if report.cannot.is_none() {
        match load(&args, &component) {
            Ok(app) => answer_all(&app, &requests, &mut report)?,
            Err(error) => report.cannot = Some(format!("{error:#}")),
        }
    }
    if args.json {
        printer::document(&report.as_json())?;
    } else {
        printer::text(&report.as_text())?;
    }
    Ok(match (&report.cannot, report.findings()) {
        (Some(_), _) => ExitCode::from(IMPOSSIBLE),
        (None, 0) => ExitCode::SUCCESS,
        (None, _) => ExitCode::FAILURE,
    })
}

fn load(args: &Args, component: &[u8]) -> anyhow::Result<App> {
    let mut config = AppConfig::new("check");
    if let Some(name) = args.component.file_stem() {
        config.name = name.to_string_lossy().into_owned();
    }
    config.grants = Grants {
        env: pairs(&args.env),
        dirs: args.dir.clone(),
        tmp: !args.no_tmp,
    };
    config.environ = environ(&args.environ)?;
    if let Some(timeout) = args.timeout {
        config.limits.timeout = timeout.0;
    }
    // Each block starts the time anew, and a stream may have no end.
    config.limits.max_duration = Some(config.limits.timeout * 2);
    if let Some(cpu) = args.cpu {
        config.limits.cpu = cpu.0;
    }
    if let Some(memory) = args.memory {
        config.limits.memory = bytes(memory);
    }
    let runtime = Runtime::new(RuntimeConfig {
        instances: 1,
        max_memory: config.limits.memory,
        cache: default_cache_dir().map(CacheConfig::new),
        ..RuntimeConfig::default()
    })?;
    Ok(App::load(&runtime, config, component)?)
}

fn answer_all(app: &App, requests: &Requests, report: &mut Report) -> anyhow::Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    for asked in requests.iter() {
        let answer = tokio.block_on(ask(app, asked));
        report.answers.push(answer);
    }
    Ok(())
}

async fn ask(app: &App, asked: &Asked) -> Answer {
    let called = testing::call(app, asked.request()).await;
    let unexpected = asked.unexpected(&called);
    Answer::of(asked, called, unexpected)
}
