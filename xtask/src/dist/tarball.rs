//! The tarball: the program and all that belongs to it, in one folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::binary::Binary;
use super::service::Service;
use super::third_party;
use super::tree::Tree;
use super::{Release, name_of};
use crate::shell::run;

/// Files of the checkout, and where they are in the tarball.
const FILES: [(&str, &str); 13] = [
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("docs/operating.md", "docs/operating.md"),
    ("docs/checking.md", "docs/checking.md"),
    ("docs/guests/python.md", "docs/guests/python.md"),
    ("docs/protocol.md", "docs/protocol.md"),
    ("docs/security.md", "docs/security.md"),
    ("docs/wasm-gw.schema.json", "docs/wasm-gw.schema.json"),
    ("packaging/wasm-gw.service", "systemd/wasm-gw.service"),
    ("packaging/wasm-gw.sysusers", "systemd/wasm-gw.sysusers"),
    ("packaging/wasm-gw.toml", "wasm-gw.toml"),
];

pub(crate) fn make(release: &Release, binary: &Binary) -> Result<PathBuf> {
    let name = format!("wasm-gw-{}-{}", release.version, release.target);
    let above = release.fresh("tarball")?;
    let tree = Tree(above.join(&name));
    tree.program(&binary.path, "wasm-gw")?;
    for (from, to) in FILES {
        tree.copy(from, to)?;
    }
    tree.write("THIRD-PARTY-LICENCES", third_party::licences()?)?;
    for (page, text) in &binary.manuals {
        tree.write(&format!("man/{page}"), text)?;
    }
    let completions = &binary.completions;
    tree.write("completions/wasm-gw.bash", &completions.bash)?;
    tree.write("completions/wasm-gw.fish", &completions.fish)?;
    tree.write("completions/_wasm-gw", &completions.zsh)?;

    let tarball = release.folder.join(format!("{name}.tar.gz"));
    // The same bytes from the same files: in one order, of one time, of nobody.
    run(Command::new("tar")
        .args(["--sort=name", "--format=gnu", "--numeric-owner"])
        .args(["--owner=0", "--group=0"])
        .arg(format!("--mtime=@{}", release.time))
        .arg(if release.quick {
            "--use-compress-program=gzip --fast --no-name"
        } else {
            "--use-compress-program=gzip --best --no-name"
        })
        .arg("--create")
        .arg("--file")
        .arg(&tarball)
        .arg("--directory")
        .arg(&above)
        .arg(&name))
    .context("GNU tar is needed")?;
    Ok(tarball)
}

/// Unpacks it somewhere, and serves an app with what is in it.
pub(crate) fn try_out(release: &Release, tarball: &Path, app: &Path) -> Result<()> {
    let folder = release.fresh("unpacked")?;
    run(Command::new("tar")
        .arg("--extract")
        .arg("--file")
        .arg(tarball)
        .arg("--directory")
        .arg(&folder))?;
    let unpacked = folder.join(name_of(tarball).replace(".tar.gz", ""));
    let mut serve = Command::new(unpacked.join("wasm-gw"));
    serve
        .current_dir(&unpacked)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .arg("serve")
        .arg(app)
        .args(["--config", "wasm-gw.toml"])
        .args(["--listen", "127.0.0.1:0"]);
    Service::start(serve)?.answers_reloads_and_stops()
}
