//! The packages of the crates: what a registry would get, and `cargo install` from exactly that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Release, name_of};
use crate::shell::{cargo, output, root, run, step, target_folder};

/// In the order in which they are published. The last is the command.
const CRATES: [&str; 7] = [
    "wasm-gw-protocol",
    "wasm-gw-http",
    "wasm-gw-runtime",
    "wasm-gw-optimize",
    "wasm-gw-build",
    "wasm-gw-registry",
    "wasm-gw",
];
/// It has a workspace of its own.
const SDK: &str = "wasm-gw-guest";
const SDK_FOLDER: &str = "guest-sdk/rust";

/// Packages all that are published, and looks into them.
pub(crate) fn package(release: &Release) -> Result<Vec<PathBuf>> {
    let target = release.folder.join("crates");
    // Not built here: that is for `install`.
    let options = [
        "package",
        "--locked",
        "--no-verify",
        "--allow-dirty",
        "--quiet",
    ];
    let mut host = cargo(".", &options);
    host.arg("--target-dir").arg(&target);
    run(host.args(CRATES.iter().flat_map(|name| ["--package", name])))?;
    let mut sdk = cargo(SDK_FOLDER, &options);
    run(sdk.arg("--target-dir").arg(&target))?;

    let mut made = Vec::new();
    for name in CRATES.into_iter().chain([SDK]) {
        let file = format!("{name}-{}.crate", release.version);
        let from = target.join("package").join(&file);
        check(&from, name, release.version)?;
        let to = release.folder.join(&file);
        fs::copy(from, &to)?;
        made.push(to);
    }
    Ok(made)
}

/// What a package must have to be of use alone.
fn check(file: &Path, name: &str, version: &str) -> Result<()> {
    let tar = |what: &str| {
        let mut tar = Command::new("tar");
        tar.arg(what).arg("--gzip").arg("--file").arg(file);
        tar
    };
    let files = output(&mut tar("--list"))?;
    let mut needed = vec!["LICENSE-APACHE", "LICENSE-MIT", "README.md", "Cargo.lock"];
    if ["wasm-gw-runtime", "wasm-gw-build", SDK].contains(&name) {
        needed.push("wit/gateway.wit");
    }
    if name == "wasm-gw-build" {
        needed.push("shim/_wasm_gw/entry.py");
    }
    for path in needed {
        let path = format!("{name}-{version}/{path}");
        ensure!(
            files.lines().any(|file| file == path),
            "{}: {path} is missing",
            name_of(file)
        );
    }
    let manifest = format!("{name}-{version}/Cargo.toml");
    let manifest = output(tar("--extract").arg("--to-stdout").arg(manifest))?;
    for key in ["description", "license", "readme", "rust-version"] {
        let has = manifest
            .lines()
            .any(|line| line.starts_with(&format!("{key} = ")));
        ensure!(has, "{name}: its package says no {key}");
    }
    Ok(())
}

/// `cargo install wasm-gw`, as if the crates were published: from a folder in place of the registry, which has them
/// and all that they depend on.
pub(crate) fn install(release: &Release, crates: &[PathBuf]) -> Result<()> {
    let sources = release.fresh("sources")?;
    step(
        "what the crates depend on, into a folder",
        cargo(".", &["vendor", "--locked", "--quiet", "--versioned-dirs"]).arg(&sources),
    )?;
    for file in crates {
        run(Command::new("tar")
            .arg("--extract")
            .arg("--gzip")
            .arg("--file")
            .arg(file)
            .arg("--directory")
            .arg(&sources))?;
        let sum = output(Command::new("sha256sum").arg(file))?;
        let sum = sum.split_whitespace().next().context("a sum is a word")?;
        let folder = sources.join(name_of(file).replace(".crate", ""));
        let said = format!("{{\"files\":{{}},\"package\":\"{sum}\"}}");
        fs::write(folder.join(".cargo-checksum.json"), said)?;
    }
    let installed = release.fresh("cargo-install")?;
    // Away from the checkout, whose settings are not those of who installs it.
    let mut install = cargo(".", &["install", "--locked", "--offline"]);
    install
        .current_dir(std::env::temp_dir())
        .args(["--config", "source.crates-io.replace-with='sources'"])
        .arg("--config")
        .arg(format!("source.sources.directory='{}'", sources.display()))
        .arg("--target-dir")
        .arg(target_folder().join("cargo-install"))
        .arg("--root")
        .arg(&installed)
        .args(["wasm-gw", "--version", release.version]);
    step("cargo install wasm-gw (some minutes)", &mut install)?;
    let said = output(Command::new(installed.join("bin/wasm-gw")).arg("--version"))?;
    let locked = fs::read_to_string(root().join("Cargo.lock"))?;
    let (_, wasmtime) = locked
        .split_once("name = \"wasmtime\"\nversion = \"")
        .context("Cargo.lock names wasmtime")?;
    let wasmtime = wasmtime.split('"').next().unwrap_or_default();
    let expected = format!("wasm-gw {} (wasmtime {wasmtime})\n", release.version);
    ensure!(said == expected, "it says {said:?}, not {expected:?}");
    eprintln!("   it says: {}", said.trim());
    Ok(())
}
