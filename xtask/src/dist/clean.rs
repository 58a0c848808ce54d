//! The `.deb` on a Debian with nothing else on it, under its systemd: installed by apt, configured, started, reloaded,
//! killed, stopped, purged. What happens there is `clean.sh`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::debian::{COMPONENT, exists};
use super::{Release, name_of};
use crate::shell::{output, step};

const SCRIPT: &str = include_str!("clean.sh");

/// It runs the script once the system is up, and ends it.
const UNIT: &str = "\
[Unit]
Description=The package, tried
[Service]
Type=oneshot
ExecStart=/bin/bash /try/clean.sh
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
";

/// For all of it, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn try_out(release: &Release, package: &Path, app: &Path) -> Result<()> {
    for tool in ["mmdebstrap", "systemd-nspawn"] {
        ensure!(
            exists(tool),
            "--clean needs {tool}: apt-get install mmdebstrap systemd-container"
        );
    }
    ensure!(
        output(Command::new("id").arg("-u"))?.trim() == "0",
        "--clean needs to be root: it makes a system, and starts it"
    );
    let root = release.fresh("clean")?;
    let inside = format!("/{}", name_of(package));
    let release_file = fs::read_to_string("/etc/os-release")?;
    let suite = release_file
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    step(
        "a Debian with nothing on it, and the package installed there by apt",
        Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase", "--include=systemd-sysv"])
            .arg(format!("--customize-hook=copy-in {} /", package.display()))
            .arg(format!(
                "--customize-hook=chroot \"$1\" apt-get install --yes -qq --no-install-recommends {inside}"
            ))
            .arg(suite.context("/etc/os-release names no suite: this is no Debian")?)
            .arg(&root),
    )?;
    let folder = root.join("try");
    fs::create_dir(&folder)?;
    fs::copy(app, folder.join("app.wasm"))?;
    let script = SCRIPT.replace("{COMPONENT}", COMPONENT);
    fs::write(folder.join("clean.sh"), script)?;
    let units = root.join("etc/systemd/system");
    fs::write(units.join("try.service"), UNIT)?;
    let wanted = units.join("multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    std::os::unix::fs::symlink("../try.service", wanted.join("try.service"))?;
    boot(&root)?;

    let log = fs::read_to_string(folder.join("log")).context("it did not come so far")?;
    eprint!("{log}");
    ensure!(
        log.ends_with("all of it went well\n"),
        "it did not go well; the system is in {}",
        root.display()
    );
    fs::remove_dir_all(root)?;
    Ok(())
}

/// Starts the system, and waits for its end.
fn boot(root: &Path) -> Result<()> {
    eprintln!("\n== its systemd, started");
    let console = fs::File::create(root.join("try/console"))?;
    let mut nspawn = Command::new("systemd-nspawn");
    nspawn
        .args([
            "--quiet",
            "--boot",
            "--private-network",
            "--link-journal=no",
        ])
        .arg("--directory")
        .arg(root)
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console);
    if !Path::new("/run/systemd/system").exists() {
        // Nobody is there who would be told of it.
        nspawn.args(["--register=no", "--keep-unit"]);
    }
    let mut system = nspawn.spawn().context("cannot start systemd-nspawn")?;
    let begun = Instant::now();
    loop {
        if let Some(status) = system.try_wait()? {
            ensure!(status.success(), "systemd-nspawn: {status}");
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            system.kill()?;
            system.wait()?;
            bail!(
                "it did not come to its end; {}/try has what it said",
                root.display()
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
}
