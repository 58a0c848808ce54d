//! Builds the program that makes modules with wasm-smith, in its own workspace.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for watched in ["smith/src", "smith/Cargo.toml", "smith/Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", here.join(watched).display());
    }
    // One folder for all profiles and features of this crate.
    let target = out
        .ancestors()
        .find(|folder| folder.ends_with("build"))
        .and_then(Path::parent)
        .and_then(Path::parent)
        .map_or_else(|| out.clone(), |target| target.join("guests/smith"));
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .current_dir(here.join("smith"))
        .args(["build", "--quiet", "--locked", "--target-dir"])
        .arg(&target);
    // What cargo tells a build script about the build, sanitizers and all, is not meant for this one.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name == "RUSTFLAGS"
            || name == "CARGO_ENCODED_RUSTFLAGS"
            || name.starts_with("CARGO_CFG_")
        {
            build.env_remove(name);
        }
    }
    let status = build.status().expect("cargo can be started");
    assert!(
        status.success(),
        "the program that makes modules does not build"
    );
    let built = target.join("debug/wasm-gw-fuzz-smith");
    println!("cargo::rustc-env=SMITH={}", built.display());
}
