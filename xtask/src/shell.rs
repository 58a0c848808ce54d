//! Running other programs, and saying so.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// cargo in a folder of the checkout.
pub(crate) fn cargo(folder: &str, arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root().join(folder)).args(arguments);
    command
}

/// Runs it, and fails if it does. The step is announced, so that long work is seen to go on.
pub(crate) fn step(title: &str, command: &mut Command) -> Result<()> {
    eprintln!("\n== {title}");
    run(command)
}

/// Runs it without a word.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

/// What it prints on stdout.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where cargo builds the main workspace to.
pub(crate) fn target_folder() -> PathBuf {
    let metadata = output(&mut cargo(
        ".",
        &["metadata", "--no-deps", "--format-version", "1"],
    ));
    let said = metadata.ok().and_then(|metadata| {
        let rest = metadata.split_once("\"target_directory\":\"")?.1;
        Some(rest.split_once('"')?.0.into())
    });
    said.unwrap_or_else(|| root().join("target"))
}

/// The compiler, as it tells of itself.
pub(crate) fn rustc() -> Result<Rustc> {
    let told = output(Command::new("rustc").arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc says no host")?.to_owned();
    Ok(Rustc { host, told })
}

/// See [`rustc`].
pub(crate) struct Rustc {
    /// The target that it builds for by itself, as Rust names it.
    pub(crate) host: String,
    /// All of it, its version among it.
    pub(crate) told: String,
}
