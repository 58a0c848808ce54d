//! `cargo xtask bench`: hostile guests against a release build of the server, and against
//! `wasmtime serve` in the same run, since only figures of one machine and one hour can be compared.
//! benches/README.md says what each scenario is. This file reads the options and puts the parts
//! together:
//!
//! | file | what |
//! |---|---|
//! | `programs.rs` | the programs that are needed, found or built |
//! | `servers.rs` | a server that runs for one scenario, and its memory |
//! | `http.rs` | one request |
//! | `load.rs`, `wrk.lua` | load on the victim |
//! | `attack.rs` | the attackers |
//! | `fair.rs`, `bounded.rs` | the scenarios and their bounds |
//! | `order.rs` | which of them is run when |
//! | `figures.rs` | medians, shares, bounds that hold or do not |
//! | `report.rs` | tables and JSON |

mod attack;
mod bounded;
mod fair;
mod figures;
mod http;
mod load;
mod order;
mod programs;
mod report;
mod servers;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::suite::{BENCH_GUESTS, build_examples, build_guests};
use crate::tools::ensure_wasm_target;
use report::{Machine, Report};

/// What is measured, and how.
#[derive(Default)]
struct Options {
    fair: bool,
    bounded: bool,
    quick: bool,
    rounds: Option<usize>,
    /// Scenarios by name; all when empty.
    only: Vec<String>,
    server: Option<PathBuf>,
    no_wasmtime: bool,
    wasmtime_options: String,
    json: Option<PathBuf>,
}

impl Options {
    fn of(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word {
                "--fair" => options.fair = true,
                "--bounded" => options.bounded = true,
                "--quick" => options.quick = true,
                "--rounds" => options.rounds = Some(value()?.parse().context("--rounds")?),
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--server" => options.server = Some(value()?.into()),
                "--no-wasmtime" => options.no_wasmtime = true,
                "--wasmtime-options" => options.wasmtime_options = (*value()?).to_owned(),
                "--json" => options.json = Some(value()?.into()),
                other => bail!("`cargo xtask bench` has no {other}"),
            }
        }
        if !options.fair && !options.bounded {
            bail!("say what to measure: --fair, --bounded, or both");
        }
        let known: Vec<&str> = fair::names().chain(bounded::names()).collect();
        for name in &options.only {
            ensure!(
                known.contains(&name.as_str()),
                "there is no scenario {name}; there are {}",
                known.join(", ")
            );
        }
        Ok(options)
    }

    fn fair_extent(&self) -> fair::Extent {
        fair::Extent {
            rounds: self.rounds.unwrap_or(if self.quick { 1 } else { 3 }),
            time: Duration::from_secs(if self.quick { 1 } else { 3 }),
        }
    }

    fn bounded_extent(&self) -> bounded::Extent {
        let seconds = |quick, full| Duration::from_secs(if self.quick { quick } else { full });
        bounded::Extent {
            rounds: self.rounds.unwrap_or(1),
            attack: seconds(5, 20),
            time: seconds(1, 3),
            rest: seconds(10, 60),
        }
    }
}

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::of(words)?;
    let wrk = programs::wrk()?;
    ensure_wasm_target()?;
    build_examples()?;
    build_guests(BENCH_GUESTS)?;
    let mut servers = vec![programs::gateway(options.server.as_deref())?];
    if !options.no_wasmtime {
        servers.push(programs::wasmtime(&options.wasmtime_options)?);
    }
    for option in ["--cpu", "--memory-total"] {
        if !servers[0].knows(option) {
            eprintln!("== this server has no {option}; it is measured without");
        }
    }
    let machine = Machine::new(&servers, &wrk);
    let fair = if options.fair {
        fair::run(&servers, options.fair_extent(), &options.only)?
    } else {
        Vec::new()
    };
    let bounded = if options.bounded {
        bounded::run(&servers, options.bounded_extent(), &options.only)?
    } else {
        Vec::new()
    };
    let mut verdicts = fair::verdicts(&fair);
    verdicts.extend(bounded::verdicts(&bounded, options.bounded_extent()));
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
    match report.failed() {
        0 => Ok(()),
        failed => bail!("{failed} of {} bounds do not hold", report.verdicts.len()),
    }
}
