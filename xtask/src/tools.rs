//! What a fresh machine lacks: the target that guests are built for, and cargo-deny.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{cargo, output, root, run};

/// What guests are compiled to.
pub(crate) const WASM: &str = "wasm32-wasip2";

/// The version of cargo-deny that `deny.toml` is written for.
const DENY: &str = "0.20.2";

/// Installs the target for guests if it is missing.
pub(crate) fn ensure_wasm_target() -> Result<()> {
    let installed = output(Command::new("rustup").args(["target", "list", "--installed"]))
        .context("rustup is needed to install the target for guests")?;
    if installed.lines().any(|target| target == WASM) {
        return Ok(());
    }
    eprintln!("== installing the Rust target {WASM}");
    run(Command::new("rustup").args(["target", "add", WASM]))
}

/// cargo-deny, built once into the target folder.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let tools = root().join("target/tools");
    let binary = tools.join("bin/cargo-deny");
    let is_current =
        binary.exists() && output(Command::new(&binary).arg("--version"))?.contains(DENY);
    if !is_current {
        eprintln!("== building cargo-deny {DENY}, once");
        let mut install = cargo(".", &["install", "--locked", "--quiet", "--version", DENY]);
        run(install.arg("--root").arg(&tools).arg("cargo-deny"))?;
    }
    Ok(binary)
}
