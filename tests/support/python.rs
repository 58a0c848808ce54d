//! Components of applications in Python: made by componentize-py, in a virtual environment of its own,
//! with the modules of `guest-sdk/python`. Kept until one of their files is newer.
//!
//! `wasm-gw build` will take the place of this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

const COMPONENTIZE: &str = "componentize-py==0.25.1";

/// The component of `package.module:app` in one of these folders below `tests`.
///
/// # Errors
///
/// There is no Python, nothing can be installed, or the application cannot be imported.
pub fn python_component(target: &str, folders: &[&str]) -> Result<Vec<u8>, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sdk = tests.join("../guest-sdk/python/shim");
    let wit = tests.join("../wit");
    let letterbox = kept().join("letterbox");
    let sources: Vec<PathBuf> = [sdk, wit.clone()]
        .into_iter()
        .chain(folders.iter().map(|folder| tests.join(folder)))
        .collect();

    let component = kept().join(format!("{}.wasm", target.replace(':', "-")));
    let made = modified(&component);
    let newest = sources.iter().filter_map(|folder| newest(folder)).max();
    if made.is_none() || newest > made {
        let componentize = componentize()?;
        renew(&letterbox, target).map_err(|error| error.to_string())?;
        let mut command = Command::new(componentize);
        // Else it takes the modules of whatever Python is around.
        command.env("VIRTUAL_ENV", kept().join("nothing"));
        command.arg("-d").arg(&wit).args(["-w", "application"]);
        command.args(["componentize", "_wasm_gw.entry"]);
        for folder in [&sources[0], &letterbox].into_iter().chain(&sources[2..]) {
            command.arg("-p").arg(folder);
        }
        let done = run(command.arg("-o").arg(&component));
        let failure = fs::read_to_string(letterbox.join("failure.txt"));
        done.map_err(|said| failure.unwrap_or(said))?;
    }
    fs::read(&component).map_err(|error| format!("{}: {error}", component.display()))
}

/// Beside the guests in Rust.
fn kept() -> PathBuf {
    // guests/guests/wasm32-wasip2/release/examples
    let guests = Path::new(env!("GUESTS")).ancestors().nth(4);
    guests.expect("it is a folder of cargo's").join("python")
}

fn componentize() -> Result<PathBuf, String> {
    let environment = kept().join(COMPONENTIZE);
    let command = environment.join("bin/componentize-py");
    if !command.exists() {
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment))
        .map_err(|error| format!("python3 -m venv (apt-get install python3-venv): {error}"))?;
        let mut pip = Command::new(environment.join("bin/pip"));
        run(pip.args(["install", "--quiet", COMPONENTIZE]))?;
    }
    Ok(command)
}

/// A new one, as `_wasm_gw/entry.py` wants it.
fn renew(folder: &Path, target: &str) -> std::io::Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    fs::create_dir_all(kept().join("nothing/lib/site-packages"))?;
    let module = format!("TARGET = \"{target}\"\n");
    fs::write(folder.join("_wasm_gw_target.py"), module)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {said}", output.status))
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path()).filter(|path| {
        path.is_dir()
            || path
                .extension()
                .is_some_and(|end| end == "py" || end == "wit")
    });
    let times = paths.map(|path| {
        if path.is_dir() {
            newest(&path)
        } else {
            modified(&path)
        }
    });
    times.max()?
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}
