//! The components that the build script made.

use std::path::{Path, PathBuf};

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

fn read(folder: &Path, name: &str) -> Vec<u8> {
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
