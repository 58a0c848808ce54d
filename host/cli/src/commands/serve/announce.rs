//! What is said at the start: where the server listens, what it serves, and what holds for it.

use wasm_gw_protocol::Mount;
use wasm_gw_runtime::{App, CacheUse, Grants, Isolation, Runtime, SERVER_SOFTWARE};

use super::Places;
use crate::options::{LogFormat, ServeOptions};
use crate::printer;
use crate::values::{Size, Span};

/// Says where the server listens, what it serves and what holds for it.
pub(super) fn announce(
    options: &ServeOptions,
    places: &Places,
    runtime: &Runtime,
    apps: &[App],
    format: LogFormat,
) {
    match format {
        LogFormat::Json => printer::json_line(&as_json(options, places, runtime, apps)),
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
    let trusted: Vec<String> = options
        .trusted_proxy
        .iter()
        .map(ToString::to_string)
        .collect();
    if !trusted.is_empty() {
        let header = if options.proxy_protocol {
            "; each connection begins with a PROXY header"
        } else {
            ""
        };
        lines.push(format!(
            "  proxies  {} may say who their clients are{header}",
            trusted.join(", ")
        ));
    }
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
    let tmp = if grants.has_tmp() {
        "; /tmp in memory"
    } else {
        ""
    };
    if all.is_empty() {
        format!("none: no environment, no files, no network{tmp}")
    } else {
        format!("{}; no network{tmp}", all.join(", "))
    }
}

fn shown(mount: &Mount) -> &str {
    match mount.as_str() {
        "" => "/",
        mount => mount,
    }
}

fn as_json(
    options: &ServeOptions,
    places: &Places,
    runtime: &Runtime,
    apps: &[App],
) -> serde_json::Value {
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
                "tmp": config.grants.has_tmp(),
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
        "trusted_proxies": options.trusted_proxy.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "proxy_protocol": options.proxy_protocol,
        "listens": places.apps,
        "status": places.status,
        "allocator": runtime.allocator().to_string(),
        "memory_total": runtime.memory_total(),
        "apps": apps,
    })
}
