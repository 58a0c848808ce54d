//! The server as it is shipped: built for release twice, the second time by what the first one saw while it
//! answered requests (profile-guided optimisation). It is the same source and the same compiler; what is often
//! run is laid out for that.
//!
//! What is asked for is some of the works of the bench. What they have in common with others is nearly all
//! there is: HTTP, the scheduler, memories made new, wasmtime's calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::contender::Contender;
use super::load::{Agreed, Right};
use super::server::Server;
use super::work::{self, App, Work};
use crate::bench::options::Load;
use crate::kit::programs;
use crate::shell::{cargo, output, root, run, rustc, step, target_folder};
use crate::suite::{BENCH_GUESTS, BENCH_HELLO, build_guests};
use crate::tools::ensure_wasm_target;

/// What the server is made from.
const SOURCES: [&str; 4] = ["Cargo.lock", "Cargo.toml", "host", "wit"];

/// How long each work is asked for, at each number of connections.
const TIME: Duration = Duration::from_secs(3);

/// The binary, made if there is none of these sources.
///
/// # Errors
///
/// The compiler has no tools for profiles here, a build fails, or a server gives wrong answers.
pub(crate) fn server() -> Result<PathBuf> {
    let compiler = rustc()?;
    let host = &*compiler.host;
    let folder = target_folder().join("guided");
    let made = folder.join(format!("{:016x}", fingerprint(&compiler.told)?));
    let binary = made.join("wasm-gw");
    if binary.exists() {
        return Ok(binary);
    }
    let profdata = profdata(host)?;
    ensure_wasm_target()?;
    programs::wrk()?;
    build_guests(BENCH_GUESTS)?;
    build_guests(BENCH_HELLO)?;

    // Always the same folder: it is a part of the flags, and with others all would be built again.
    let seen = folder.join("seen");
    for folder in [&made, &seen] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    let flag = format!("-Cprofile-generate={}", seen.display());
    let watching = build(
        "one that watches itself",
        &folder.join("watching"),
        host,
        &flag,
    )?;
    watch(&watching).context("the server that watches itself")?;
    let profile = made.join("profile");
    run(Command::new(profdata)
        .arg("merge")
        .arg("-o")
        .arg(&profile)
        .arg(&seen))?;
    fs::remove_dir_all(&seen)?;

    let flag = format!("-Cprofile-use={}", profile.display());
    let guided = build(
        "one that is laid out by it",
        &folder.join("built"),
        host,
        &flag,
    )?;
    // Whole or not at all.
    let copy = made.join("copy");
    fs::copy(guided, &copy)?;
    fs::rename(copy, &binary)?;
    Ok(binary)
}

/// Builds for release, in a folder of its own since the flags are others. With a target named the flags are not
/// those of build scripts.
fn build(what: &str, folder: &Path, host: &str, flag: &str) -> Result<PathBuf> {
    let given = std::env::var("RUSTFLAGS").unwrap_or_default();
    step(
        &format!("the server as it is shipped: {what} (some minutes: wasmtime is large)"),
        cargo(
            ".",
            &["build", "--release", "--locked", "--package", "wasm-gw"],
        )
        .args(["--target", host, "--target-dir"])
        .arg(folder)
        .env("RUSTFLAGS", format!("{given} {flag}").trim()),
    )?;
    Ok(folder.join(host).join("release/wasm-gw"))
}

/// Asks the server for what servers are asked for.
fn watch(binary: &Path) -> Result<()> {
    let contender = Contender::that_watches(binary)?;
    let works = work::all();
    for app in [App::Hello, App::HelloStd, App::Work] {
        let of_app = |work: &&Work| work.app == app && work.name != "cpu";
        let works: Vec<&Work> = works.iter().filter(of_app).collect();
        let first = works.first().context("an app without a work")?;
        let server = Server::start(&contender, &app, &contender.request(first))?;
        for work in works {
            let right = Right::find(&contender, &server, work, &mut Agreed::default())?;
            for &connections in work.connections {
                eprintln!("== {}, {connections} at once", work.name);
                let run = right.load(Load::Wrk, &contender, &server, work, connections, TIME)?;
                ensure!(run.problem.is_none(), "{}: {:?}", work.name, run.problem);
            }
            server.empty_logs();
        }
    }
    Ok(())
}

/// LLVM's tool for profiles, of this compiler.
fn profdata(host: &str) -> Result<PathBuf> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let tool = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin/llvm-profdata");
    if !tool.exists() {
        eprintln!("== installing llvm-tools, of the compiler, by rustup");
        run(Command::new("rustup").args(["component", "add", "llvm-tools"]))?;
    }
    ensure!(tool.exists(), "{} is missing", tool.display());
    Ok(tool)
}

/// Tells these sources and this compiler from others (FNV-1a).
fn fingerprint(rustc: &str) -> Result<u64> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root().join(source), &mut files)?;
    }
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    add(rustc.as_bytes());
    add(std::env::var("RUSTFLAGS").unwrap_or_default().as_bytes());
    for file in files {
        add(file.as_os_str().as_encoded_bytes());
        add(&fs::read(&file).with_context(|| file.display().to_string())?);
    }
    Ok(hash)
}

/// All files below a path.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
        let path = entry?.path();
        // These are no part of the server.
        if !["tests", "tests.rs", "benches"]
            .iter()
            .any(|name| path.ends_with(name))
        {
            collect(&path, files)?;
        }
    }
    Ok(())
}
