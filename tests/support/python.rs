//! Components of applications in Python, as `wasm-gw build` makes them. What has not changed is not made again.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasm_gw_build::python::{Project, build};
use wasm_gw_build::{Silent, Store};

/// The component of `package.module:app` in a folder of the checkout, made once for all tests of a process.
///
/// # Errors
///
/// What whoever builds it would be told.
pub fn python_component(folder: &str, target: &str) -> Result<Vec<u8>, String> {
    component(folder, target, true)
}

/// The same without the step that makes one module of it.
///
/// # Errors
///
/// What whoever builds it would be told.
pub fn plain_python_component(folder: &str, target: &str) -> Result<Vec<u8>, String> {
    component(folder, target, false)
}

fn component(folder: &str, target: &str, optimize: bool) -> Result<Vec<u8>, String> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let one = made.get_or_insert_default();
    let one = Arc::clone(
        one.entry(format!("{folder} {target} {optimize}"))
            .or_default(),
    );
    drop(made);
    one.get_or_init(|| make(folder, target, optimize)).clone()
}

type Made = Arc<OnceLock<Result<Vec<u8>, String>>>;

static MADE: Mutex<Option<HashMap<String, Made>>> = Mutex::new(None);

fn make(folder: &str, target: &str, optimize: bool) -> Result<Vec<u8>, String> {
    let project = Project {
        folder: Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder),
        target: target.parse().map_err(|error| format!("{error}"))?,
        requirements: None,
        exclude: Vec::new(),
        env: Vec::new(),
        warm: Vec::new(),
        refresh: false,
        python: None,
        optimize,
    };
    // That of the command, whose tests need the same tools.
    let store = Store::new(Path::new(env!("GUESTS")).join("cli-cache/wasm-gw/build"));
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let made = build(&project, file.path(), &store, &Silent).map_err(|error| error.to_string())?;
    made.write(file.path()).map_err(|error| error.to_string())?;
    fs::read(file.path()).map_err(|error| error.to_string())
}
