//! Builds the test guests, and components by hand beside them, so that plain `cargo test` works. A guest that does not compile stops the
//! build; a missing target is reported by the tests that need it, with the command that mends it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    // One folder for all profiles and features of the tests; guests depend on neither.
    let target = out
        .ancestors()
        .find(|folder| folder.ends_with("build"))
        .and_then(Path::parent)
        .and_then(Path::parent)
        .map_or_else(|| out.clone(), |target| target.join("guests"));

    for watched in [
        "guests/guests",
        "guests/Cargo.toml",
        "bare/bare.rs",
        "bare/Cargo.toml",
        "components/src",
        "components/Cargo.toml",
        "conformance/cases",
        "conformance/rust",
        "../examples",
        "../guest-sdk/rust/src",
        "../guest-sdk/rust/Cargo.toml",
        "../guest-sdk/rust/middleware/src",
        "../guest-sdk/rust/middleware/Cargo.toml",
        "../wit",
    ] {
        println!("cargo::rerun-if-changed={}", here.join(watched).display());
    }
    let examples = target.join("examples");
    let built = examples.join("wasm32-wasip2/release");
    println!("cargo::rustc-env=EXAMPLES={}", built.display());
    build(&here.join("../examples"), &["--workspace"], &examples);
    for (package, variable) in [
        ("guests", "GUESTS"),
        ("conformance/rust", "CONFORMANCE_RUST"),
    ] {
        let target = target.join(package.replace('/', "-"));
        let built = target.join("wasm32-wasip2/release/examples");
        println!("cargo::rustc-env={variable}={}", built.display());
        build(&here.join(package), &["--examples"], &target);
        if package == "guests" {
            let bare = target.with_file_name("bare");
            build(&here.join("bare"), &[], &bare);
            let made = bare.join("wasm32-wasip2/release/bare.wasm");
            std::fs::copy(made, built.join("bare.wasm")).expect("bare.wasm was built");
            let components = here.join("components");
            by_hand(&components, &target.with_file_name("components"), &built);
        }
    }
}

/// Builds the package that writes components to a folder, and that composes them (`PLUG`); runs the former.
fn by_hand(package: &Path, target: &Path, folder: &Path) {
    let mut build = cargo(package);
    build
        .args(["build", "--quiet", "--locked", "--target-dir"])
        .arg(target);
    let status = build.status().expect("cargo can be started");
    assert!(status.success(), "{} does not build", package.display());
    let built = target.join("debug");
    println!("cargo::rustc-env=PLUG={}", built.join("plug").display());
    let mut write = Command::new(built.join("wasm-gw-test-components"));
    let status = write.arg(folder).status().expect("it was built");
    assert!(status.success(), "{} does not run", package.display());
}

fn build(package: &Path, what: &[&str], target: &Path) {
    if !package.join("Cargo.toml").exists() {
        return;
    }
    let mut command = cargo(package);
    command
        .args(["build", "--release", "--locked"])
        .args(what)
        .args(["--target", "wasm32-wasip2", "--target-dir"])
        .arg(target);
    let status = command.status().expect("cargo can be started");
    assert!(
        status.success(),
        "the guests in {} do not build; if the target is missing: rustup target add wasm32-wasip2",
        package.display()
    );
}

fn cargo(package: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(package);
    // What cargo tells a build script about the host's build is not meant for the guests'.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name == "RUSTFLAGS"
            || name == "CARGO_ENCODED_RUSTFLAGS"
            || name.starts_with("CARGO_CFG_")
        {
            command.env_remove(name);
        }
    }
    command
}
