//! The package for pip: the program, and a module that runs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::binary::Binary;
use super::tree::Tree;
use super::{Release, name_of};
use crate::shell::{output, root, run, target_folder};

const SOURCE: &str = "guest-sdk/python/package";

/// Makes the wheel of the package.
const BUILD: &str = "build==1.3.0";

/// The wheel, in `target/dist`.
pub(crate) fn make(release: &Release, binary: &Binary) -> Result<PathBuf> {
    let tree = Tree(release.fresh("wheel")?.join("source"));
    for path in [
        "pyproject.toml",
        "hatch_build.py",
        "README.md",
        "src/wasm_gw/__init__.py",
        "src/wasm_gw/__main__.py",
    ] {
        tree.copy(&format!("{SOURCE}/{path}"), path)?;
    }
    tree.program(&binary.path, "bin/wasm-gw")?;
    let python = environment()?;
    let made = tree.0.with_file_name("made");
    run(Command::new(&python)
        .current_dir(&tree.0)
        .args(["-m", "build", "--wheel", "--outdir"])
        .arg(&made)
        .env("WASM_GW_VERSION", release.version)
        .env("WASM_GW_PLATFORM", platform(&release.target)?)
        .env("SOURCE_DATE_EPOCH", &release.time))?;
    let wheel = std::fs::read_dir(&made)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|it| it == "whl"))
        .context("no wheel was made")?;
    let to = release.folder.join(name_of(&wheel));
    std::fs::copy(wheel, &to)?;
    Ok(to)
}

/// What pip calls the platform that the program was built for.
fn platform(target: &str) -> Result<String> {
    let glibc = "2_34";
    let (architecture, rest) = target.split_once('-').context("no target")?;
    Ok(match rest {
        "unknown-linux-gnu" => format!("manylinux_{glibc}_{architecture}"),
        "apple-darwin" => format!("macosx_11_0_{}", architecture.replace("aarch64", "arm64")),
        _ => anyhow::bail!("no name for {target} is known to pip"),
    })
}

/// An environment with the tool, made once.
fn environment() -> Result<PathBuf> {
    let folder = target_folder().join("tools").join(BUILD);
    let python = folder.join("bin/python");
    if !folder.join("bin/pyproject-build").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", BUILD]))?;
    }
    Ok(python)
}

/// Installs it by pip, and asks for its version in both ways.
pub(crate) fn try_out(release: &Release, wheel: &Path) -> Result<()> {
    let folder = release.fresh("wheel-installed")?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let python = folder.join("bin/python");
    run(Command::new(&python)
        .current_dir(root())
        .args(["-m", "pip", "install", "--quiet", "--no-index", "--no-deps"])
        .arg(wheel))?;
    let program = output(Command::new(folder.join("bin/wasm-gw")).arg("--version"))?;
    let module = output(Command::new(&python).args(["-m", "wasm_gw", "--version"]))?;
    ensure!(
        program == module && program.contains(release.version),
        "`{program}` and `{module}` are not what was packed"
    );
    Ok(())
}
