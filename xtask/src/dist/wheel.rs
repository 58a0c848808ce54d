//! The package for pip: the program, and a module that runs it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::binary::Binary;
use super::tree::Tree;
use super::{Release, name_of};
use crate::kit::process::free_address;
use crate::shell::{output, root, run, target_folder};

const SOURCE: &str = "guest-sdk/python/package";

/// Whose commands are tried.
const GUIDE: &str = "docs/guests/python.md";

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

/// Does in a new environment what the guide for Python tells a reader to do, as it is printed there, but for the port.
pub(crate) fn try_out(release: &Release, wheel: &Path) -> Result<()> {
    let folder = release.fresh("wheel-installed")?;
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(folder.join("venv")))?;
    let guide = std::fs::read_to_string(root().join(GUIDE))?;
    let mut blocks = guide.split("```").skip(1).step_by(2);
    let mut block = |language: &str| {
        let block = blocks.next().and_then(|block| block.strip_prefix(language));
        block.with_context(|| format!("{GUIDE} does not begin with a block of {language}"))
    };
    std::fs::write(folder.join("app.py"), block("python\n")?)?;
    let (to_serve, to_ask) = (block("console\n")?, block("console\n")?);

    let asked = commands(to_ask).next().context("no question")?;
    let address = free_address()?.to_string();
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        let line = line.replace("127.0.0.1:8080", &address);
        shell
            .current_dir(&folder)
            .args(["-ec", &format!(". venv/bin/activate; exec {line}")])
            // The package that is not published yet.
            .env("PIP_FIND_LINKS", wheel.parent().unwrap_or(wheel))
            .env("PIP_QUIET", "1")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        shell
    };
    let mut server = None;
    for line in commands(to_serve) {
        if line == "wasm-gw serve" {
            let mut serve = shell(&format!("{line} --listen {address}"));
            server = Some(serve.spawn()?);
        } else {
            run(&mut shell(line))?;
        }
    }
    let mut server = server.with_context(|| format!("{GUIDE} serves nothing"))?;
    let expected: String = (to_ask.lines().skip(1))
        .map(|line| format!("{line}\n"))
        .collect();
    let is_up = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        TcpStream::connect(&address).is_ok()
    });
    let answer = output(&mut shell(asked));
    let module = output(&mut shell("python -m wasm_gw --version"));
    server.kill()?;
    server.wait()?;
    ensure!(is_up, "`wasm-gw serve` does not listen");
    let (answer, module) = (answer?, module?);
    ensure!(
        answer == expected,
        "{asked}: `{answer}` is not `{expected}`"
    );
    ensure!(
        module.contains(release.version),
        "it says that it is `{module}`"
    );
    eprintln!("   {GUIDE}: done as printed");
    Ok(())
}

/// The lines of a block that are commands.
fn commands(block: &str) -> impl Iterator<Item = &str> {
    block.lines().filter_map(|line| line.strip_prefix("$ "))
}
