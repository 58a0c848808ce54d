//! The micro-benchmarks of the runtime, which this runs and reads: what a request costs before
//! there is a server around it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::kit::process::work_folder;
use crate::shell::{cargo, root};

/// Where they are.
const SOURCE: &str = "host/runtime/benches/request.rs";

pub(crate) const CALL: &str = "instantiate_and_call";
pub(crate) const SNAPSHOT: &str = "snapshot_instantiate_and_call";
const NAMES: [&str; 7] = [
    "environ",
    "start_response",
    "instantiate",
    CALL,
    SNAPSHOT,
    "ceiling_hello",
    "ceiling_wasmtime",
];

/// Medians in nanoseconds, by name.
pub(crate) type Micro = BTreeMap<&'static str, f64>;

/// What criterion writes, as far as it matters.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// Runs all of them, for so many seconds each.
pub(crate) fn run(seconds: u32, missing: &mut Vec<String>) -> Result<Micro> {
    ensure!(
        root().join(SOURCE).exists(),
        "this checkout has no {SOURCE}"
    );
    let folder = work_folder()?.join("criterion");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    eprintln!("\n== micro-benchmarks (the first time the runtime is built for them)");
    let status = cargo(".", &["bench", "--locked", "-p", "wasm-gw-runtime"])
        .args([
            "--features",
            "measure",
            "--bench",
            "request",
            "--",
            "--noplot",
        ])
        .args(["--warm-up-time", "0.5", "--measurement-time"])
        .arg(seconds.to_string())
        .env("CRITERION_HOME", &folder)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("cargo bench -p wasm-gw-runtime --bench request: {status}");
    }
    let mut micro = Micro::new();
    for name in NAMES {
        match read(&folder, name) {
            Ok(nanoseconds) => {
                micro.insert(name, nanoseconds);
            }
            Err(error) => missing.push(format!("micro: {name}: {error:#}")),
        }
    }
    Ok(micro)
}

fn read(folder: &Path, name: &str) -> Result<f64> {
    let file = folder.join(name).join("new/estimates.json");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    median(&text).with_context(|| file.display().to_string())
}

fn median(text: &str) -> Result<f64> {
    let estimates: Estimates = serde_json::from_str(text)?;
    Ok(estimates.median.point_estimate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_read() {
        let text = r#"{"mean": {"point_estimate": 9.0, "standard_error": 1.0},
                       "median": {"confidence_interval": {}, "point_estimate": 7.5}, "slope": null}"#;
        assert_eq!(median(text).unwrap().to_bits(), 7.5_f64.to_bits());
        assert!(median("{}").is_err());
    }
}
