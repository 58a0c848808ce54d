//! How each contender is come by: built or installed from public packages into the target folder,
//! once, with its versions locked by files of `benches/rivals`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::bench::measured;
use crate::bench::options::Options;
use crate::kit::process::work_folder;
use crate::kit::programs;
use crate::shell::{cargo, output, root, run, step};
use crate::suite::BENCH_HYPER;

const RIVALS: &str = "benches/rivals";

/// A program that is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Got {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
    /// Options that it gets in any case.
    pub(crate) options: Vec<String>,
    /// Where it runs, if it matters.
    pub(crate) folder: Option<PathBuf>,
}

pub(crate) fn hyper() -> Result<Got> {
    let target = work_folder()?.join("hyper");
    step(
        BENCH_HYPER,
        cargo(BENCH_HYPER, &["build", "--release", "--locked"])
            .arg("--target-dir")
            .arg(&target),
    )?;
    let lock = fs::read_to_string(root().join(BENCH_HYPER).join("Cargo.lock"))?;
    let version = locked(&lock, "hyper").context("no hyper in its Cargo.lock")?;
    Ok(Got {
        program: target.join("release/bare-hyper"),
        version: format!("hyper {version}"),
        ..Got::default()
    })
}

/// The server that is measured.
pub(crate) fn measured(options: &Options) -> Result<Got> {
    measured::measured(options).and_then(ours)
}

/// A build of the server.
pub(crate) fn gateway(binary: &Path) -> Result<Got> {
    programs::gateway(binary.to_owned()).and_then(ours)
}

fn ours(program: programs::Program) -> Result<Got> {
    Ok(Got {
        program: program.binary.canonicalize()?,
        version: program.version,
        options: Vec::new(),
        // Where there is no wasm-gw.toml of the user's.
        folder: Some(work_folder()?),
    })
}

pub(crate) fn wasmtime(options: &Options) -> Result<Got> {
    let program = programs::wasmtime(&options.wasmtime_options)?;
    Ok(Got {
        program: program.binary,
        version: program.version,
        options: program.options,
        folder: None,
    })
}

/// The option that gives a `wasmtime` its cache of compiled code, in a file of our own, so that the
/// user's cache is neither used nor filled. Nothing where this build of it has no cache.
pub(crate) fn wasmtime_cache(got: &Got, folder: &Path) -> Option<OsString> {
    if !programs::has_cache(&got.program) {
        return None;
    }
    let file = folder.with_extension("toml");
    let text = format!("[cache]\ndirectory = {:?}\n", folder.display().to_string());
    fs::write(&file, text).ok()?;
    let mut option = OsString::from("cache-config=");
    option.push(file);
    Some(option)
}

/// Installs workerd by npm.
pub(crate) fn workerd() -> Result<Got> {
    let folder = copy_of("workerd", "package-lock.json", |folder| {
        let npm = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .status();
        let status =
            npm.context("npm is needed to install it (the package `npm` of most systems)")?;
        ensure!(status.success(), "npm could not install it: {status}");
        Ok(())
    })?;
    let program = folder.join("node_modules/.bin/workerd");
    let version = output(Command::new(&program).arg("--version"))?;
    Ok(Got {
        program,
        version: version.trim().to_owned(),
        folder: Some(folder),
        ..Got::default()
    })
}

/// Installs a Python server, and all that belongs to it, into an environment of its own.
pub(crate) fn python(server: &str) -> Result<Got> {
    let folder = copy_of("python", "requirements.txt", |folder| {
        let requirements = folder.join("requirements.txt");
        python_environment(&folder.join("venv"), &[], &[requirements])
    })?;
    python_server(&folder.join("venv"), server, folder)
}

/// Makes an environment of Python's with what these files ask for. The options are pip's.
pub(crate) fn python_environment(
    environment: &Path,
    options: &[&str],
    requirements: &[PathBuf],
) -> Result<()> {
    let python = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(environment)
        .stdout(Stdio::null())
        .status();
    let status = python.context("python3 is needed to run it")?;
    ensure!(
        status.success(),
        "python3 has no venv (the package `python3-venv` of Debian and Ubuntu)"
    );
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"])
        .args(options);
    for file in requirements {
        pip.arg("-r").arg(file);
    }
    run(&mut pip).context("pip could not install it")
}

/// A server of such an environment, which runs in this folder.
pub(crate) fn python_server(environment: &Path, server: &str, folder: PathBuf) -> Result<Got> {
    let bin = environment.join("bin");
    let version = output(Command::new(bin.join(server)).arg("--version"))?;
    let python = output(Command::new(bin.join("python")).arg("--version"))?;
    let number = version.split_whitespace().last().unwrap_or_default();
    Ok(Got {
        program: bin.join(server),
        version: format!(
            "{server} {} ({})",
            number.trim_end_matches(')'),
            python.trim()
        ),
        folder: Some(folder),
        ..Got::default()
    })
}

/// A line for the shell.
pub(crate) fn rival(command: &str) -> Result<Got> {
    Ok(Got {
        program: "sh".into(),
        version: format!("`{command}`"),
        // Without `exec` the shell would be what is ended, and not the server.
        options: vec![format!("exec {command}")],
        folder: None,
    })
}

/// A copy of a folder of rivals below the target folder, where packages were installed that a file
/// of it locks. It is made anew when that file has changed, and the rest of it is always current.
fn copy_of(name: &str, locks: &str, install: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let source = root().join(RIVALS).join(name);
    let folder = work_folder()?.join(name);
    fs::create_dir_all(&folder)?;
    let files = fs::read_dir(&source).with_context(|| source.display().to_string())?;
    for file in files {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
    }
    let wanted = fs::read(folder.join(locks)).with_context(|| locks.to_owned())?;
    let installed = folder.join("installed");
    if fs::read(&installed).is_ok_and(|have| have == wanted) {
        return Ok(folder);
    }
    eprintln!("\n== installing what {RIVALS}/{name} needs, once");
    install(&folder)?;
    fs::write(&installed, wanted)?;
    Ok(folder)
}

/// The version of a package in the text of a Cargo.lock.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let mut lines = lock.lines();
    let name = format!("name = \"{package}\"");
    lines.find(|line| *line == name)?;
    lines
        .next()?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_is_found() {
        let lock = "[[package]]\nname = \"hyper-util\"\nversion = \"0.1.2\"\n\n\
                    [[package]]\nname = \"hyper\"\nversion = \"1.12.0\"\n";
        assert_eq!(locked(lock, "hyper"), Some("1.12.0"));
        assert_eq!(locked(lock, "tokio"), None);
    }
}
