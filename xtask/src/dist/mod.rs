//! `cargo xtask dist`: what people install, made and then tried. This file puts the parts together:
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the command line |
//! | `binary.rs` | the program, and what it says of itself: manuals, completions |
//! | `tree.rs` | files on their way into a package |
//! | `tarball.rs` | for any Linux, to be unpacked anywhere |
//! | `debian.rs` | the `.deb` |
//! | `wheel.rs` | the package for pip |
//! | `third_party.rs` | the licences of what is in the program |
//! | `crates.rs` | the packages of the crates, and `cargo install` from them |
//! | `service.rs` | an installed service, run as its unit says, without systemd |
//! | `clean.rs` | a Debian with nothing on it, the `.deb` installed there, and systemd |
//! | `containerfile.rs` | the Containerfile, which is read only |

mod binary;
mod clean;
#[cfg(test)]
mod containerfile;
mod crates;
mod debian;
mod options;
mod service;
mod tarball;
mod third_party;
mod tree;
mod wheel;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{output, root, rustc, target_folder};
use crate::{suite, tools};
use binary::Binary;
use options::Options;

/// What everything that is made has in common.
pub(crate) struct Release {
    /// Where it is put: `target/dist`.
    pub(crate) folder: PathBuf,
    pub(crate) version: &'static str,
    /// The target that the program is for, as Rust names it.
    pub(crate) target: String,
    /// The time of all files, in seconds since 1970: the same source makes the same bytes.
    pub(crate) time: String,
    /// Whether somebody waits for it: then it is not compressed.
    pub(crate) quick: bool,
}

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::of(words)?;
    let release = Release::new(&options)?;
    eprintln!("\n== crates, as they would be published");
    let crates = crates::package(&release)?;
    if options.install {
        crates::install(&release, &crates)?;
    }

    // What is served to try it.
    tools::ensure_wasm_target()?;
    suite::build_examples()?;
    let app = suite::component("examples", "hello");
    let binary = Binary::of(&release, &options)?;

    eprintln!("\n== tarball");
    let tarball = tarball::make(&release, &binary)?;
    tarball::try_out(&release, &tarball, &app)?;
    let mut made = crates;
    made.push(tarball);
    eprintln!("\n== wheel");
    tools::ensure_python()?;
    let wheel = wheel::make(&release, &binary)?;
    wheel::try_out(&release, &wheel)?;
    made.push(wheel);
    if debian::is_possible()? {
        eprintln!("\n== Debian package");
        let package = debian::make(&release, &binary)?;
        debian::try_out(&release, &package, &app)?;
        if options.clean {
            clean::try_out(&release, &package, &app)?;
        }
        made.push(package);
    }
    sum(&release, &made)?;
    eprintln!("\nIn {}:", release.folder.display());
    for file in &made {
        let size = fs::metadata(file)?.len() as f64 / f64::from(1 << 20);
        eprintln!("  {size:6.1} MiB  {}", name_of(file));
    }
    Ok(())
}

impl Release {
    fn new(options: &Options) -> Result<Self> {
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => {
                let mut last = Command::new("git");
                last.current_dir(root()).args(["log", "-1", "--format=%ct"]);
                output(&mut last).context("set SOURCE_DATE_EPOCH where there is no git")?
            }
        };
        let folder = target_folder().join("dist");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            version: env!("CARGO_PKG_VERSION"),
            target: rustc()?.host,
            time: time.trim().to_owned(),
            quick: options.quick,
        })
    }

    /// A folder of this name with nothing in it.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// `SHA256SUMS`, by which a download is checked: `sha256sum --check SHA256SUMS`.
fn sum(release: &Release, files: &[PathBuf]) -> Result<()> {
    let mut sum = Command::new("sha256sum");
    sum.current_dir(&release.folder)
        .args(files.iter().map(|file| name_of(file)));
    fs::write(release.folder.join("SHA256SUMS"), output(&mut sum)?)?;
    crate::shell::run(
        Command::new("sha256sum")
            .current_dir(&release.folder)
            .args(["--check", "--quiet", "SHA256SUMS"]),
    )
}

pub(crate) fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
