//! What the bench runs and where it comes from: the server that is measured, the guests, wrk, and
//! `wasmtime` to compare with. What is missing is made here, and announced.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{cargo, output, root, run, step, target_folder};

/// The series that is compared with: the one that the host itself is built on.
const WASMTIME: &str = "48";

/// What `wasmtime serve` needs and no more, but for the pool of instances, which it uses by default
/// where it can, and the cache of compiled code. Without `run` and `component-model-async` it does
/// not compile.
const WASMTIME_FEATURES: &str =
    "serve,run,cranelift,parallel-compilation,pooling-allocator,component-model-async,cache";

/// Which server a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Gateway,
    Wasmtime,
}

impl Family {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::Gateway => "wasm-gw",
            Family::Wasmtime => "wasmtime",
        }
    }
}

/// A server that can be started.
pub(crate) struct Program {
    pub(crate) family: Family,
    pub(crate) binary: PathBuf,
    pub(crate) version: String,
    /// Options that it gets in any case.
    pub(crate) options: Vec<String>,
    help: String,
}

impl Program {
    fn new(family: Family, binary: PathBuf, options: Vec<String>) -> Result<Self> {
        let version = output(Command::new(&binary).arg("--version"))?;
        // A wasmtime of so few features has none.
        let help = match family {
            Family::Gateway => output(Command::new(&binary).args(["serve", "--help"]))?,
            Family::Wasmtime => String::new(),
        };
        Ok(Self {
            family,
            binary,
            version: version.trim().to_owned(),
            options,
            help,
        })
    }

    /// Whether it has an option. An older server is measured without those it lacks.
    pub(crate) fn knows(&self, option: &str) -> bool {
        self.help
            .split(|letter: char| letter.is_whitespace() || letter == ',')
            .any(|word| word == option)
    }
}

/// A build of wasm-gw.
pub(crate) fn gateway(binary: PathBuf) -> Result<Program> {
    Program::new(Family::Gateway, binary, Vec::new())
}

/// The server of this checkout as `cargo build --release` makes it.
pub(crate) fn plain() -> Result<PathBuf> {
    step(
        "the server, for release (the first time takes some minutes: wasmtime is large)",
        &mut cargo(
            ".",
            &["build", "--release", "--locked", "--package", "wasm-gw"],
        ),
    )?;
    Ok(target_folder().join("release/wasm-gw"))
}

/// `wasmtime`, from target/tools or PATH, or built.
pub(crate) fn wasmtime(options: &str) -> Result<Program> {
    let tools = root().join("target/tools");
    let ours = tools.join("bin/wasmtime");
    let binary = if is_wasmtime(&ours) {
        ours
    } else if is_wasmtime(Path::new("wasmtime")) {
        "wasmtime".into()
    } else {
        eprintln!(
            "\n== building wasmtime {WASMTIME} to compare with, once; it takes ten minutes or so \
             (--no-wasmtime leaves it out)"
        );
        let mut install = cargo(".", &["install", "wasmtime-cli", "--locked", "--quiet"]);
        install.args(["--version", &format!("~{WASMTIME}")]);
        install.args(["--no-default-features", "--features", WASMTIME_FEATURES]);
        run(install.arg("--root").arg(&tools))?;
        ours
    };
    // The library of Rust imports `wasi:cli`, which `serve` offers only when it is told to.
    let mut all = vec!["-S".to_owned(), "cli".to_owned()];
    all.extend(options.split_whitespace().map(str::to_owned));
    Program::new(Family::Wasmtime, binary, all)
}

fn is_wasmtime(binary: &Path) -> bool {
    let version = output(Command::new(binary).arg("--version"));
    version.is_ok_and(|version| version.starts_with(&format!("wasmtime {WASMTIME}.")))
}

/// Whether a `wasmtime` was built with its cache of compiled code.
pub(crate) fn has_cache(binary: &Path) -> bool {
    // There is no such component, so it ends at once, and says why.
    let tried = Command::new(binary)
        .args(["serve", "-C", "cache=y", "no-such-component"])
        .output();
    tried.is_ok_and(|tried| {
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        !said.contains("disabled at compile time")
    })
}

/// Makes sure that there is wrk, and says which.
pub(crate) fn wrk() -> Result<String> {
    if let Some(version) = wrk_version() {
        return Ok(version);
    }
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if is_root {
        eprintln!("== installing wrk by apt-get");
        let _ = run(Command::new("apt-get").args(["install", "-y", "wrk"]));
    }
    wrk_version().context(
        "wrk is needed, which makes the load. It is the package `wrk` of Debian, Ubuntu, Homebrew \
         and others: sudo apt-get install wrk",
    )
}

/// Out of `wrk -v`, which ends with a failure.
fn wrk_version() -> Option<String> {
    let output = Command::new("wrk").arg("-v").output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&said).into_owned();
    let line = text.lines().find(|line| line.starts_with("wrk "))?;
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    Some(words.join(" "))
}
