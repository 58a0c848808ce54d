//! From options to applications: components, folders, limits and grants.

use std::path::{Path, PathBuf};

use anyhow::Context;
use http::HeaderValue;
use wasm_gw_protocol::{Environ, Mount};
use wasm_gw_runtime::{
    AllocatorChoice, App, AppConfig, CacheConfig, CacheUse, Grants, InstanceLimits, Isolation,
    ResetChoice, Reuse, Runtime, RuntimeConfig, SERVER_SOFTWARE,
};

use crate::files::Files;
use crate::manifest::MANIFEST;
use crate::options::{self, Allocator, MOST_INSTANCES, Reset, ServeOptions};
use crate::status::Status;
use crate::usage::Usage;
use crate::values::{AppFile, Pair, Size};

/// The components and their mounts.
pub(super) fn files(options: &ServeOptions) -> Result<Vec<AppFile>, Usage> {
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
            "nothing to serve: name a component (wasm-gw serve app.wasm), set `component` under [serve] in \
             {MANIFEST}, or build one (wasm-gw build)"
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
pub(super) fn folders(options: &ServeOptions, apps: &[App]) -> anyhow::Result<Vec<Files>> {
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

pub(super) fn mount_of(app: &App) -> Mount {
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
    // A relative one counts as none (XDG Base Directory Specification).
    let caches = match set("XDG_CACHE_HOME").filter(|dir| Path::new(dir).is_absolute()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(set("HOME")?).join(".cache"),
    };
    Some(caches.join("wasm-gw"))
}

/// Makes the runtime and compiles the components, which may take a while.
pub(super) fn load(
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

/// Compiles a component into the cache, with the settings that it would be served with.
pub(crate) fn compile(options: &ServeOptions, component: &Path) -> anyhow::Result<CacheUse> {
    let limits = limits(options);
    let runtime = runtime(options, &limits, 1)?;
    let file = AppFile {
        mount: "/".to_owned(),
        file: component.to_owned(),
    };
    Ok(load_one(&runtime, options, &limits, &file)?.compiled())
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
        tmp: !options.no_tmp,
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
