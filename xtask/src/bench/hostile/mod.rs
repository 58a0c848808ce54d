//! `--fair` and `--bounded`: what hostile guests can do to their neighbours, of wasm-gw and of
//! `wasmtime serve`. benches/README.md says what each scenario is.
//!
//! | file | what |
//! |---|---|
//! | `fair.rs`, `bounded.rs` | the scenarios and their bounds |
//! | `order.rs` | which of them is run when |
//! | `servers.rs` | a server that runs for one scenario, and its memory |
//! | `load.rs` | load on the victim |
//! | `attack.rs` | the attackers |
//! | `report.rs` | tables and JSON |

mod attack;
mod bounded;
mod fair;
mod load;
mod order;
mod report;
mod servers;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::measured::measured;
use super::options::Options;
use crate::kit::machine::Machine;
use crate::kit::programs;
use crate::suite::{BENCH_GUESTS, build_examples, build_guests};
use report::Report;

/// The names that `--only` may pick from.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    fair::names().chain(bounded::names())
}

/// Measures, reports, and says which bounds hold.
pub(crate) fn run(options: &Options) -> Result<Vec<bool>> {
    ensure!(
        options.servers.len() < 2,
        "--fair and --bounded measure one server; only the speed is measured of several"
    );
    let wrk = programs::wrk()?;
    build_examples()?;
    build_guests(BENCH_GUESTS)?;
    let mut servers = vec![measured(options)?];
    if !options.no_wasmtime {
        servers.push(programs::wasmtime(&options.wasmtime_options)?);
    }
    for option in ["--cpu", "--memory-total"] {
        if !servers[0].knows(option) {
            eprintln!("== this server has no {option}; it is measured without");
        }
    }
    let mut versions: Vec<String> = servers.iter().map(|one| one.version.clone()).collect();
    versions.push(wrk);
    let machine = Machine::new(versions);
    let fair = if options.fair {
        fair::run(&servers, fair_extent(options), &options.only)?
    } else {
        Vec::new()
    };
    let bounded = if options.bounded {
        bounded::run(&servers, bounded_extent(options), &options.only)?
    } else {
        Vec::new()
    };
    let mut verdicts = fair::verdicts(&fair);
    verdicts.extend(bounded::verdicts(&bounded, bounded_extent(options)));
    let report = Report {
        machine,
        fair,
        bounded,
        verdicts,
    };
    std::io::stdout().write_all(report.text().as_bytes())?;
    if let Some(path) = &options.json {
        report
            .write_json(path)
            .with_context(|| path.display().to_string())?;
    }
    Ok(report.verdicts.iter().map(|one| one.passed).collect())
}

fn fair_extent(options: &Options) -> fair::Extent {
    fair::Extent {
        rounds: options.rounds.unwrap_or(if options.quick { 1 } else { 3 }),
        time: Duration::from_secs(if options.quick { 1 } else { 3 }),
    }
}

fn bounded_extent(options: &Options) -> bounded::Extent {
    let seconds = |quick, full| Duration::from_secs(if options.quick { quick } else { full });
    bounded::Extent {
        rounds: options.rounds.unwrap_or(1),
        attack: seconds(5, 20),
        time: seconds(1, 3),
        rest: seconds(10, 60),
    }
}
