//! The servers: wasm-gw in two ways, and two of Python's own, which run the same applications.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::apps::{self, APPS, SOURCE};
use crate::bench::options::Options;
use crate::bench::speed::contender::{Contender, Kind, Site, WASM_GW, words};
use crate::bench::speed::get::{self, Got};
use crate::bench::speed::work::Work;
use crate::kit::process::work_folder;
use crate::shell::root;

/// wasm-gw as gunicorn does it: what a request leaves behind, the next one finds.
pub(super) const ISOLATED_BY_APP: &str = "wasm-gw-app";
pub(super) const GUNICORN: &str = "gunicorn";
const GRANIAN: &str = "granian";

/// In the order in which they take turns.
const KINDS: [Kind; 4] = [
    Kind {
        name: WASM_GW,
        what: "with every default: a fresh instance a request, all limits, an access log in a file",
        get: get::measured,
        has: is_built,
        words: |_, site| gateway(site, &[]),
        signal: "KILL",
    },
    Kind {
        name: ISOLATED_BY_APP,
        what: "the same with `--isolation app`: an instance answers many requests, one after the other",
        get: get::measured,
        has: is_built,
        words: |_, site| gateway(site, &["--isolation", "app"]),
        signal: "KILL",
    },
    Kind {
        name: GUNICORN,
        what: "`-w 2`, its sync workers; it closes each connection",
        get: |_| installed(GUNICORN),
        has: |_| true,
        words: |_, site| {
            let address = site.address.to_string();
            let app = site.app.name();
            // Else all that run share a socket for commands in the user's home.
            let mut all = words(["-w", "2", "--no-control-socket", "-b", &address]);
            all.extend(words(["--chdir", app, apps::target(app)]));
            all
        },
        signal: "TERM",
    },
    Kind {
        name: GRANIAN,
        what: "`--workers 2 --interface wsgi`",
        get: |_| installed(GRANIAN),
        has: |_| true,
        words: |_, site| {
            let host = site.address.ip().to_string();
            let port = site.address.port().to_string();
            let app = site.app.name();
            let mut all = words(["--interface", "wsgi", "--workers", "2"]);
            all.extend(words(["--host", &host, "--port", &port]));
            all.extend(words(["--working-dir", app, apps::target(app)]));
            all
        },
        signal: "TERM",
    },
];

fn gateway(site: &Site, more: &[&str]) -> Vec<std::ffi::OsString> {
    let mut all = words(["serve", "--listen", &site.address.to_string()]);
    all.extend(more.iter().map(Into::into));
    all.push("--cache-dir".into());
    all.push(apps::compiled().into());
    all.push(apps::component(site.app.name()).into());
    all
}

fn is_built(work: &Work) -> bool {
    let component = work_folder().map(|folder| folder.join(apps::component(work.app.name())));
    component.is_ok_and(|component| component.exists())
}

impl Contender {
    /// Whether it is a wasm-gw, in one way or the other.
    pub(super) fn is_gateway(&self) -> bool {
        [WASM_GW, ISOLATED_BY_APP].contains(&self.kind.name)
    }
}

/// Gets those that are asked for. Of the others it says why they cannot be had.
pub(super) fn all(options: &Options, missing: &mut Vec<String>) -> Vec<Contender> {
    let mut all = Vec::new();
    for (name, kind, server) in listed(options) {
        if !is_asked_for(options, &name) {
            continue;
        }
        let got = match server {
            Some(server) => get::gateway(server),
            None => (kind.get)(options),
        };
        match got {
            Ok(got) => all.push(Contender::new(name, kind, got)),
            Err(error) => missing.push(format!("{name}: {error:#}")),
        }
    }
    all
}

/// The names that `--only` may pick from.
pub(super) fn names(options: &Options) -> impl Iterator<Item = String> {
    listed(options).into_iter().map(|(name, _, _)| name)
}

/// All, with the build of wasm-gw where it is not the first: `wasm-gw-2`, `wasm-gw-app-2` and so on.
fn listed(options: &Options) -> Vec<(String, Kind, Option<&PathBuf>)> {
    let mut all = Vec::new();
    for kind in KINDS {
        all.push((kind.name.to_owned(), kind, None));
        if [WASM_GW, ISOLATED_BY_APP].contains(&kind.name) {
            for (index, server) in options.servers.iter().enumerate().skip(1) {
                all.push((format!("{}-{}", kind.name, index + 1), kind, Some(server)));
            }
        }
    }
    all
}

/// Whether a contender is asked for: by its name, or because none is.
fn is_asked_for(options: &Options, name: &str) -> bool {
    let mut names: Vec<String> = names(options).collect();
    names.retain(|name| options.only.contains(name));
    names.is_empty() || names.iter().any(|one| one == name)
}

/// A server of Python's, in an environment with what all applications need, made once from the lock files.
fn installed(server: &str) -> Result<Got> {
    let folder = apps::place()?;
    fs::create_dir_all(&folder)?;
    let environment = folder.join("venv");
    let locks = locks();
    let mut wanted = Vec::new();
    for lock in &locks {
        wanted.extend(fs::read(lock).with_context(|| lock.display().to_string())?);
    }
    let note = folder.join("installed");
    if !fs::read(&note).is_ok_and(|have| have == wanted) {
        eprintln!("\n== installing what {SOURCE} needs, once");
        get::python_environment(&environment, &["--require-hashes"], &locks)?;
        fs::write(&note, &wanted)?;
    }
    get::python_server(&environment, server, folder.join("apps"))
}

fn locks() -> Vec<PathBuf> {
    let apps = APPS.iter().map(|app| app.name);
    let folders = std::iter::once("servers").chain(apps);
    let lock = |folder| root().join(SOURCE).join(folder).join("requirements.txt");
    folders.map(lock).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bench::speed::work::App;

    fn names_of(words: &[&str]) -> Vec<String> {
        let options = Options::of(words).unwrap();
        let all = listed(&options).into_iter().map(|(name, _, _)| name);
        all.filter(|name| is_asked_for(&options, name)).collect()
    }

    #[test]
    fn each_further_build_is_measured_in_both_ways() {
        let names = names_of(&["--python", "--server", "old", "--server", "new"]);
        let wanted = [
            "wasm-gw",
            "wasm-gw-2",
            "wasm-gw-app",
            "wasm-gw-app-2",
            "gunicorn",
            "granian",
        ];
        assert_eq!(names, wanted);
    }

    #[test]
    fn contenders_are_picked_by_name() {
        assert_eq!(
            names_of(&["--python", "--only", "flask,gunicorn"]),
            ["gunicorn"]
        );
        assert_eq!(names_of(&["--python", "--only", "flask"]).len(), 4);
    }

    #[test]
    fn all_are_told_the_same_application_and_their_address() {
        let app = App::Python("django");
        let site = Site {
            app: &app,
            address: "127.0.0.1:8123".parse().unwrap(),
            cache: Path::new("cache"),
        };
        for kind in KINDS {
            let words = (kind.words)(&Got::default(), &site);
            let line = words.join(" ".as_ref()).into_string().unwrap();
            let has = |text: &str| line.contains(text);
            assert!(has("127.0.0.1:8123") || has("--port 8123"), "{line}");
            assert!(
                has("django.wasm") || has("mysite.wsgi:application"),
                "{line}"
            );
        }
    }
}
