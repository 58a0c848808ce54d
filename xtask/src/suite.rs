//! `cargo xtask test`: everything that CI checks, cheapest first, the tests last.

use anyhow::Result;

use crate::advisories;
use crate::dist;
use crate::shell::{cargo, root, step};
use crate::tidy;
use crate::tools::{self, WASM};
use crate::torture;

/// The workspaces beside the main one. Their guests are checked for the target they are made for.
const GUEST_WORKSPACES: [(&str, &[&str]); 7] = [
    ("examples", &["--workspace"]),
    (BENCH_GUESTS, &["--workspace"]),
    (BENCH_HELLO, &["--workspace"]),
    ("tests/bare", &["--workspace"]),
    (SDK, &["--workspace", "--no-default-features"]),
    ("tests/guests", &["--examples"]),
    ("tests/conformance/rust", &["--examples"]),
];
/// The guests of `cargo xtask bench`. The tests lint them and run nothing of it.
pub(crate) const BENCH_GUESTS: &str = "benches/guests";
/// The one of them that does without the standard library.
pub(crate) const BENCH_HELLO: &str = "benches/hello";
/// Workspaces beside the main one that are for the host as well.
const HOST_WORKSPACES: [&str; 4] = [SDK, "tests/components", "tests/fuzz/smith", BENCH_HYPER];
const SDK: &str = "guest-sdk/rust";
/// The ceiling of `cargo xtask bench`.
pub(crate) const BENCH_HYPER: &str = "benches/rivals/hyper";

pub(crate) fn run() -> Result<()> {
    tools::ensure_wasm_target()?;
    tools::ensure_nginx()?;
    tools::ensure_python()?;
    tools::ensure_chromium()?;
    step("formatting", &mut cargo(".", &["fmt", "--all", "--check"]))?;
    for folder in guest_folders().chain(HOST_WORKSPACES) {
        step(
            &format!("formatting of {folder}"),
            &mut cargo(folder, &["fmt", "--all", "--check"]),
        )?;
    }
    eprintln!("\n== house rules");
    tidy::run()?;
    eprintln!("\n== advisories");
    advisories::run()?;
    step(
        "lints",
        cargo(".", &["clippy", "--workspace", "--all-targets", "--locked"])
            .args(["--features", "wasm-gw-runtime/measure"])
            .args(DENY_WARNINGS),
    )?;
    step(
        "lints with defences that can be switched off",
        cargo(".", &["clippy", "--package", "wasm-gw", "--locked"])
            .args(["--features", "weaken"])
            .args(DENY_WARNINGS),
    )?;
    for (folder, what) in GUEST_WORKSPACES {
        step(
            &format!("lints of {folder}"),
            cargo(
                folder,
                &["clippy", "--locked", "--release", "--target", WASM],
            )
            .args(what)
            .arg("--target-dir")
            .arg(guest_target(folder))
            .args(DENY_WARNINGS),
        )?;
    }
    for folder in HOST_WORKSPACES {
        step(
            &format!("lints of {folder}"),
            cargo(
                folder,
                &[
                    "clippy",
                    "--locked",
                    "--workspace",
                    "--all-targets",
                    "--all-features",
                ],
            )
            .arg("--target-dir")
            .arg(guest_target(folder))
            .args(DENY_WARNINGS),
        )?;
    }
    step(
        "docs",
        cargo(
            ".",
            &[
                "doc",
                "--workspace",
                "--no-deps",
                "--locked",
                "--document-private-items",
            ],
        )
        .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    let deny = tools::cargo_deny()?;
    step(
        "licences, bans and sources",
        std::process::Command::new(deny)
            .current_dir(root())
            .args([
                "--locked",
                "--log-level",
                "error",
                "check",
                "--hide-inclusion-graph",
            ])
            .args(["bans", "licenses", "sources"]),
    )?;
    build_examples()?;
    step(
        "tests of the Rust SDK",
        cargo(SDK, &["test", "--locked", "--workspace", "--all-features"])
            .arg("--target-dir")
            .arg(guest_target(SDK)),
    )?;
    step(
        // Those of `tests/fuzz` are among them, eight seconds each.
        "unit and documentation tests",
        &mut cargo(
            ".",
            &[
                "test",
                "--workspace",
                "--locked",
                "--exclude",
                "wasm-gw-tests",
            ],
        ),
    )?;
    step(
        "the demo",
        &mut cargo(
            ".",
            &[
                "run",
                "--quiet",
                "--package",
                "xtask",
                "--",
                "demo",
                "--once",
            ],
        ),
    )?;
    step(
        "conformance",
        &mut cargo(
            ".",
            &[
                "test",
                "--locked",
                "-p",
                "wasm-gw-tests",
                "--lib",
                "--test",
                "conformance",
            ],
        ),
    )?;
    dist::run(&["--quick"])?;
    eprintln!("\n== attacks, and each without the defence against it");
    torture::run(&["--quick", "--prove"])?;
    // Last, so that its summary is what is read first.
    step(
        "end to end",
        &mut cargo(
            ".",
            &["test", "--locked", "-p", "wasm-gw-tests", "--test", "it"],
        ),
    )
}

const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

fn guest_folders() -> impl Iterator<Item = &'static str> {
    GUEST_WORKSPACES.into_iter().map(|(folder, _)| folder)
}

/// One target folder a guest workspace, below the main one's.
pub(crate) fn guest_target(folder: &str) -> std::path::PathBuf {
    root().join("target/guests").join(folder.replace('/', "-"))
}

/// Builds the examples as a user would.
pub(crate) fn build_examples() -> Result<()> {
    build_guests("examples")
}

/// Builds the components of a workspace of guests, optimised.
pub(crate) fn build_guests(folder: &str) -> Result<()> {
    step(
        folder,
        cargo(
            folder,
            &["build", "--locked", "--release", "--target", WASM],
        )
        .arg("--target-dir")
        .arg(guest_target(folder)),
    )
}

/// Where [`build_guests`] put a component.
pub(crate) fn component(folder: &str, name: &str) -> std::path::PathBuf {
    let release = guest_target(folder).join(WASM).join("release");
    release.join(format!("{name}.wasm"))
}
