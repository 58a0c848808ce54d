//! What a fresh machine lacks: the target that guests are built for, cargo-deny, the nginx that the tests put in
//! front of the server, and the browser that they open its pages with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

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

/// nginx and its module for streams, for the tests that have a real proxy in front (`tests/it/nginx.rs`).
/// Those are for Linux.
pub(crate) fn ensure_nginx() -> Result<()> {
    if cfg!(not(target_os = "linux")) {
        return Ok(());
    }
    // As the tests find it. Elsewhere than on Debian it may be there in another way.
    let is_there = Path::new("/usr/sbin/nginx").exists() || is_command("nginx");
    if is_there && (!is_debian() || has_packages(NGINX)) {
        return Ok(());
    }
    ensure_debian(NGINX)
}

/// The interpreter that builds applications in Python, and makes environments for it.
pub(crate) fn ensure_python() -> Result<()> {
    // What cannot be had is said by what needs it.
    let is_there = output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok();
    if is_there {
        return Ok(());
    }
    ensure_debian(&["python3", "python3-venv"])
}

/// The browser that opens pages of applications (`tests/it/frameworks/in_a_browser.rs`), a test for Linux.
pub(crate) fn ensure_chromium() -> Result<()> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    if cfg!(not(target_os = "linux")) || names.into_iter().any(is_command) {
        return Ok(());
    }
    ensure_debian(&["chromium"])
}

const NGINX: &[&str] = &["nginx", "libnginx-mod-stream"];

/// Installs packages of Debian that are missing: as root, or by a sudo that asks for no password. What
/// they would start as a service is neither started nor left to be started with the machine.
pub(crate) fn ensure_debian(packages: &[&str]) -> Result<()> {
    if is_debian() && has_packages(packages) {
        return Ok(());
    }
    let names = packages.join(" ");
    let by_hand = format!("install it by hand, as with: sudo apt-get install {names}");
    if !is_debian() {
        bail!("{names} is missing, and this is no Debian: {by_hand}");
    }
    let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut install = if is_root {
        Command::new("sh")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    };
    eprintln!("== installing {names}");
    install.args(["-c", INSTALL, "install"]).args(packages);
    run(&mut install).with_context(|| format!("{names} is missing: {by_hand}"))
}

/// Debian starts what it installs, unless a policy says otherwise, and starts it with the machine.
const INSTALL: &str = r#"
set -e
units() { ls /lib/systemd/system /usr/lib/systemd/system 2> /dev/null | grep '\.service$' | sort -u; }
before=$(units || true)
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@"
if command -v systemctl > /dev/null; then
    for unit in $(units || true); do
        printf '%s\n' "$before" | grep -qxF "$unit" || systemctl --quiet disable "$unit" || true
    done
fi
"#;

pub(crate) fn is_debian() -> bool {
    is_command("dpkg-query") && is_command("apt-get")
}

fn has_packages(packages: &[&str]) -> bool {
    let mut query = Command::new("dpkg-query");
    query
        .args(["-W", "-f", "${db:Status-Status}\n"])
        .args(packages);
    // It fails for a package that it has never heard of.
    output(&mut query).is_ok_and(|states| states.lines().all(|state| state == "installed"))
}

fn is_command(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
