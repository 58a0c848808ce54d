//! `wasm-gw build`: from a project as it is to a component that is ready to be served.

mod options;
mod warm;
mod watched;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use wasm_gw_build::python::{self, Target, WarmPath};
use wasm_gw_build::{Progress, Silent, Store};
use wasm_gw_runtime::CacheUse;

pub(crate) use self::options::{BuildOptions, OUTPUT};

use self::options::Language;
use self::watched::Watched;
use crate::commands::serve::{compile, default_cache_dir, pairs};
use crate::manifest::{MANIFEST, Manifest};
use crate::options::ServeOptions;
use crate::usage::Usage;
use crate::{printer, telemetry};

/// Build a component of an application as it is
///
/// The application is imported once, now, and what is in memory then is what each request begins with: what runs at
/// import runs here, not when it is served. The component is compiled too, so that `wasm-gw serve` starts at once.
/// In a folder with a wasm-gw.toml, what it says under "build" are the defaults.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wasm-gw build app:app
  wasm-gw build shop.wsgi:application -o shop.wasm --exclude tests
  wasm-gw build 'site:create_app()' && wasm-gw serve
  wasm-gw build app:app --warm / --warm /login")]
pub(crate) struct Args {
    #[command(flatten)]
    options: BuildOptions,

    /// The project: where the application is imported from [default: .]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// Look for packages anew, in the newest versions that are asked for
    #[arg(long)]
    refresh: bool,

    /// Leave the compilation to the first `wasm-gw serve`; what is warmed is compiled all the same, to be tried
    #[arg(long)]
    no_compile: bool,

    /// Print one JSON document on stdout, and nothing else
    #[arg(long)]
    json: bool,
}

/// Builds, and says what came of it.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    telemetry::start_if_asked()?;
    let folder = args.folder.unwrap_or_else(|| PathBuf::from("."));
    let path = folder.join(MANIFEST);
    let manifest = if path.exists() {
        Manifest::read(&path)?
    } else {
        Manifest::default()
    };
    let options = args.options.over(manifest.build);
    let output = options
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(OUTPUT));
    let Some(app) = &options.app else {
        return Err(Usage::of(format!(
            "nothing to build: name the application (wasm-gw build app:app), or set `app` under [build] in {MANIFEST}"
        ))
        .into());
    };
    let watched: Box<dyn Progress> = if args.json {
        Box::new(Silent)
    } else {
        Box::<Watched>::default()
    };
    let cache = default_cache_dir()
        .context("there is no folder to keep tools and packages in: set HOME or XDG_CACHE_HOME")?;
    let store = Store::new(cache.join("build"));
    let warm = (options.warm.iter())
        .map(|path| path.parse::<WarmPath>().map_err(Usage::of))
        .collect::<Result<_, _>>()?;
    let env = pairs(&options.env);
    let made = match options.lang.unwrap_or(Language::Python) {
        Language::Python => {
            let project = python::Project {
                folder,
                target: app.parse::<Target>().map_err(Usage::of)?,
                requirements: options.requirements.clone(),
                exclude: options.exclude.clone(),
                env: env.clone(),
                warm,
                refresh: args.refresh,
                python: options.python.clone(),
                optimize: !options.no_optimize,
            };
            python::build(&project, &output, &store, &*watched)?
        }
    };
    // Nothing is written unless all has gone well.
    if !args.no_compile || !made.warmed.is_empty() {
        compile_now(&manifest.serve, &made.component, &*watched)?;
    }
    if !made.warmed.is_empty() {
        warm::check(&made, &env, &*watched)?;
    }
    made.write(&output)?;
    if args.json {
        return printer::document(&json!({
            "component": output.display().to_string(),
            "bytes": std::fs::metadata(&output)?.len(),
            "printed": made.printed,
            "unchanged": made.was_there,
        }));
    }
    drop(watched);
    if !made.printed.is_empty() {
        printer::lines(&["  printed at the build:".to_owned()]);
        let lines: Vec<String> = made
            .printed
            .lines()
            .map(|line| format!("    {line}"))
            .collect();
        printer::lines(&lines);
    }
    let serve = if output == Path::new(OUTPUT) {
        "wasm-gw serve".to_owned()
    } else {
        format!("wasm-gw serve {}", output.display())
    };
    printer::lines(&[format!("  {:<11}{serve}", "next")]);
    Ok(())
}

/// With the settings that `serve` has here, so that it finds what was compiled.
fn compile_now(
    options: &ServeOptions,
    component: &Path,
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    progress.begin("compile", "for this machine");
    let compiled = compile(options, component)?;
    progress.end(match compiled {
        CacheUse::Hit => "there",
        _ => "kept in the cache",
    });
    Ok(())
}
