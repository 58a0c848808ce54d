//! The components that the build script made, and compositions of them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The component of `tests/guests/guests/<name>.rs`.
pub fn guest(name: &str) -> Vec<u8> {
    read(Path::new(env!("GUESTS")), name)
}

/// The Rust component of `tests/conformance/cases/<name>/app.rs`.
pub fn conformance_guest(name: &str) -> Vec<u8> {
    read(Path::new(env!("CONFORMANCE_RUST")), name)
}

/// Where the component of an example lies.
pub fn example_path(name: &str) -> PathBuf {
    Path::new(env!("EXAMPLES")).join(format!("{name}.wasm"))
}

/// Where the component of a guest lies, for tests that give it to the command line.
pub fn guest_path(name: &str) -> PathBuf {
    Path::new(env!("GUESTS")).join(format!("{name}.wasm"))
}

/// Middleware around an application, the outermost first, in one component: what `wac plug` makes of them. Each is
/// a guest of this name, or an example.
pub fn composed(names: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (app, layers) = names.split_last().unwrap();
    let mut composed = path_of(app);
    for (number, middleware) in layers.iter().rev().enumerate() {
        let out = folder.path().join(format!("{number}.wasm"));
        let mut plug = Command::new(env!("PLUG"));
        plug.arg(path_of(middleware)).arg("--plug").arg(&composed);
        let status = plug.arg("-o").arg(&out).status().unwrap();
        assert!(status.success(), "{names:?} cannot be composed");
        composed = out;
    }
    std::fs::read(composed).unwrap()
}

fn path_of(name: &str) -> PathBuf {
    let guest = guest_path(name);
    if guest.exists() {
        guest
    } else {
        example_path(name)
    }
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
