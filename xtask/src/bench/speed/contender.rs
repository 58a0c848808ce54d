//! The servers that are measured side by side. Each is a value of a list: how it is got, which
//! works it has, and how it is started. Another one is another value.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::get::{self, Got};
use super::work::{App, Work};
use crate::bench::options::{Options, Rival};
use crate::kit::http::Request;
use crate::suite::{BENCH_GUESTS, BENCH_HELLO, component};

pub(crate) const HYPER: &str = "hyper";
pub(crate) const WASM_GW: &str = "wasm-gw";
pub(crate) const WASMTIME_P2: &str = "wasmtime-p2";
pub(crate) const WASMTIME_P3: &str = "wasmtime-p3";
pub(crate) const WORKERD: &str = "workerd";

/// How a contender is come by and run.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// What the report says of it.
    pub(crate) what: &'static str,
    pub(crate) get: fn(&Options) -> Result<Got>,
    /// Whether it has a work.
    pub(crate) has: fn(&Work) -> bool,
    /// The words of its command line.
    pub(crate) words: fn(&Got, &Site) -> Vec<OsString>,
    /// What ends it. One that has processes of its own is told, and one that has none is killed.
    pub(crate) signal: &'static str,
}

/// What a server serves, and where.
pub(crate) struct Site<'a> {
    pub(crate) app: &'a App,
    pub(crate) address: SocketAddr,
    /// For its cache of compiled code.
    pub(crate) cache: &'a Path,
}

/// In the order in which they take turns. The first is the ceiling, the second is ours.
const KINDS: [Kind; 7] = [
    Kind {
        name: HYPER,
        what: "the same answers from plain hyper, the ceiling",
        get: |_| get::hyper(),
        has: |work| work.name != "pages" && work.app != App::Snapshot,
        words: |_, site| words(["--listen", &site.address.to_string()]),
        signal: "KILL",
    },
    Kind {
        name: WASM_GW,
        what: "with every default: a fresh instance a request, all limits, an access log in a file",
        get: get::measured,
        has: |work| gateway_app(&work.app).exists(),
        words: |_, site| {
            let mut all = words([
                "serve",
                "--listen",
                &site.address.to_string(),
                "--cache-dir",
            ]);
            all.extend([site.cache.into(), gateway_app(site.app).into()]);
            all
        },
        signal: "KILL",
    },
    Kind {
        name: WASMTIME_P2,
        what: "`wasmtime serve` with WASI 0.2: a fresh instance a request",
        get: get::wasmtime,
        has: |work| wasi_app(&work.app, "p2").exists(),
        words: |got, site| wasmtime(got, site, "p2"),
        signal: "KILL",
    },
    Kind {
        name: WASMTIME_P3,
        what: "`wasmtime serve` with WASI 0.3: it uses an instance 128 times, 16 at once",
        get: get::wasmtime,
        has: |work| wasi_app(&work.app, "p3").exists(),
        words: |got, site| wasmtime(got, site, "p3"),
        signal: "KILL",
    },
    Kind {
        name: WORKERD,
        what: "JavaScript; it uses its isolate for all requests",
        get: |_| get::workerd(),
        has: |work| work.name != "pages" && is_program(work),
        words: |_, site| {
            let socket = format!("http={}", site.address);
            words(["serve", "config.capnp", "--socket-addr", &socket])
        },
        signal: "TERM",
    },
    Kind {
        name: "gunicorn",
        what: "Flask, `-w 2`; it closes each connection",
        get: |_| get::python("gunicorn"),
        has: |work| !["pages", "cpu"].contains(&work.name) && is_program(work),
        words: |_, site| words(["-w", "2", "-b", &site.address.to_string(), "work:app"]),
        signal: "TERM",
    },
    Kind {
        name: "granian",
        what: "Flask, `--workers 2 --interface wsgi`",
        get: |_| get::python("granian"),
        has: |work| !["pages", "cpu"].contains(&work.name) && is_program(work),
        words: |_, site| {
            let host = site.address.ip().to_string();
            let port = site.address.port().to_string();
            let mut all = words(["--interface", "wsgi", "--workers", "2"]);
            all.extend(words(["--host", &host, "--port", &port, "work:app"]));
            all
        },
        signal: "TERM",
    },
];

/// A server that can be started.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) got: Got,
    /// What it is asked in place of what the work says.
    path: Option<String>,
}

impl Contender {
    pub(crate) fn new(name: String, kind: Kind, got: Got) -> Self {
        Self {
            name,
            kind,
            got,
            path: None,
        }
    }

    /// A build of wasm-gw that writes down what it did when it ends, for which it must be told to.
    pub(crate) fn that_watches(binary: &Path) -> Result<Self> {
        let kind = KINDS.into_iter().find(|kind| kind.name == WASM_GW);
        let kind = kind.context("wasm-gw is among them")?;
        Ok(Self {
            name: "watching".to_owned(),
            kind: Kind {
                signal: "TERM",
                ..kind
            },
            got: get::gateway(binary)?,
            path: None,
        })
    }

    pub(crate) fn has(&self, work: &Work) -> bool {
        (self.kind.has)(work)
    }

    /// A command that starts it, given one that has its program.
    pub(crate) fn command(&self, mut command: Command, site: &Site) -> Command {
        command.args((self.kind.words)(&self.got, site));
        if let Some(folder) = &self.got.folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::null());
        command
    }

    /// What it is asked.
    pub(crate) fn request(&self, work: &Work) -> Request {
        let mut request = work.request.clone();
        if let Some(path) = &self.path {
            request.path.clone_from(path);
        }
        request
    }

    /// Whether only its own answers say what a right one is.
    pub(crate) fn is_of_the_user(&self) -> bool {
        self.kind.name == RIVAL
    }
}

/// Gets those that are asked for. Of the others it says why they cannot be had.
pub(crate) fn all(options: &Options, missing: &mut Vec<String>) -> Vec<Contender> {
    let is_wanted = |name: &str| is_asked_for(options, name);
    let mut all = Vec::new();
    let mut add = |name: String, kind: Kind, got: Result<Got>, path: Option<String>| match got {
        Ok(got) => all.push(Contender {
            name,
            kind,
            got,
            path,
        }),
        Err(error) => missing.push(format!("{name}: {error:#}")),
    };
    for kind in KINDS {
        let is_wasmtime = [WASMTIME_P2, WASMTIME_P3].contains(&kind.name);
        if is_wanted(kind.name) && !(is_wasmtime && options.no_wasmtime) {
            let path = (kind.name == HYPER && options.component.is_some()).then(|| "/".to_owned());
            add(kind.name.to_owned(), kind, (kind.get)(options), path);
        }
        if kind.name == WASM_GW {
            for (name, server) in more_servers(options) {
                if is_wanted(&name) {
                    add(name, kind, get::gateway(server), None);
                }
            }
        }
    }
    for Rival { name, command } in &options.rivals {
        if is_wanted(name) {
            add(
                name.clone(),
                rival(),
                get::rival(command),
                options.path.clone(),
            );
        }
    }
    all
}

/// The names that `--only` may pick from.
pub(crate) fn names(options: &Options) -> impl Iterator<Item = String> {
    let kinds = KINDS.iter().map(|kind| kind.name.to_owned());
    let servers = more_servers(options).map(|(name, _)| name);
    let rivals = options.rivals.iter().map(|rival| rival.name.clone());
    kinds.chain(servers).chain(rivals)
}

/// Whether a contender is asked for: by its name, or because none is.
fn is_asked_for(options: &Options, name: &str) -> bool {
    let mut names: Vec<String> = names(options).collect();
    names.retain(|name| options.only.contains(name));
    names.is_empty() || names.iter().any(|one| one == name)
}

/// Builds of wasm-gw beside the first: `wasm-gw-2` and so on.
fn more_servers(options: &Options) -> impl Iterator<Item = (String, &PathBuf)> {
    let numbered = options.servers.iter().enumerate().skip(1);
    numbered.map(|(index, server)| (format!("{WASM_GW}-{}", index + 1), server))
}

const RIVAL: &str = "rival";

/// What the user brings: a line for the shell.
fn rival() -> Kind {
    Kind {
        name: RIVAL,
        what: "as given",
        get: |_| unreachable!("a rival's command is given"),
        has: |work| matches!(work.app, App::Hello | App::Given(_)),
        words: |got, site| {
            let port = site.address.port().to_string();
            let line = got.options[0].replace("{port}", &port);
            words(["-c", &line])
        },
        signal: "TERM",
    }
}

/// Whether it is a work of the program that workerd and Flask have.
fn is_program(work: &Work) -> bool {
    matches!(work.app, App::Hello | App::Work)
}

fn gateway_app(app: &App) -> PathBuf {
    match app {
        App::Given(component) => component.clone(),
        App::Hello => component(BENCH_HELLO, "hello"),
        App::HelloStd => component(BENCH_GUESTS, "hello_std"),
        app => component(BENCH_GUESTS, app.name()),
    }
}

/// A component of WASI. There is none of what the user brings.
fn wasi_app(app: &App, version: &str) -> PathBuf {
    component(BENCH_GUESTS, &format!("{}_{version}", app.name()))
}

fn wasmtime(got: &Got, site: &Site, version: &str) -> Vec<OsString> {
    let mut all = words(["serve"]);
    all.extend(got.options.iter().map(OsString::from));
    all.extend(words(["--addr", &site.address.to_string()]));
    if let Some(config) = get::wasmtime_cache(got, site.cache) {
        all.extend(words(["-C", "cache=y", "-C"]));
        all.push(config);
    }
    all.push(wasi_app(site.app, version).into());
    all
}

pub(crate) fn words<const COUNT: usize>(all: [&str; COUNT]) -> Vec<OsString> {
    all.into_iter().map(OsString::from).collect()
}
