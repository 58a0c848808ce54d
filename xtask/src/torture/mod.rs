//! `cargo xtask torture`: attacks a server and says what it made of them. docs/torture.md has what the rows are.
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the command line |
//! | `target.rs` | which server |
//! | `case.rs`, `cases.rs` | what a row is, and all of them |
//! | `raw.rs` | by the bytes of one request |
//! | `pipelines.rs` | by requests without a pause |
//! | `crowds.rs` | by many connections |
//! | `slow.rs` | by slowness |
//! | `endings.rs` | while the server ends |
//! | `lacking.rs` | when the server lacks something |
//! | `clock.rs` | when its clock jumps |
//! | `guests.rs` | by guests |
//! | `setting.rs`, `server.rs` | what a row is run with |
//! | `wire.rs`, `probe.rs` | the attacker's connections, and the good client |
//! | `runner.rs`, `report.rs` | runs the rows, and tells |

mod case;
mod cases;
mod clock;
mod crowds;
mod endings;
mod guests;
mod lacking;
mod options;
mod pipelines;
mod probe;
mod raw;
mod report;
mod runner;
mod server;
mod setting;
mod slow;
mod target;
mod wire;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::case::Proof;
use self::options::Options;
use self::report::{Proved, Report};
use self::runner::{Job, Row, Verdict};
use self::target::Target;
use crate::kit::machine::Machine;
use crate::kit::programs;
use crate::shell::{cargo, step, target_folder};
use crate::suite::{BENCH_GUESTS, build_examples, build_guests};
use crate::tools::ensure_wasm_target;

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::of(words)?;
    raise_open_files();
    let folder = target_folder().join("torture");
    let target = target(&options, &folder)?;
    let versions = vec![target.name()];
    let machine = Machine::new(versions);
    let begin = Instant::now();
    eprintln!("\n== {}", target.name());
    let rows = rows(&options, &target, &folder.join("rows"));
    let seconds = begin.elapsed().as_secs_f64();
    let proofs = if options.prove {
        prove(&options, &folder)?
    } else {
        Vec::new()
    };
    let report = Report {
        machine,
        server: target.name(),
        quick: options.quick,
        seconds,
        rows,
        proofs,
    };
    std::io::stdout().write_all(report.text().as_bytes())?;
    if let Some(path) = &options.json {
        report.write_json(path)?;
    }
    let failed = report.failed();
    ensure!(
        failed == 0,
        "{failed} of the rows above failed, or are not proved to fail"
    );
    Ok(())
}

/// The attackers open as many connections as the servers.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // A row that cannot open as many says so.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

/// The server that was asked for, and what it serves.
fn target(options: &Options, folder: &Path) -> Result<Target> {
    fs::create_dir_all(folder)?;
    let against = options
        .against
        .as_deref()
        .map(Target::against)
        .transpose()?;
    if against.as_ref().is_none_or(Target::has_guests) {
        ensure_wasm_target()?;
        build_examples()?;
        build_guests(BENCH_GUESTS)?;
    }
    if let Some(target) = against {
        return Ok(target);
    }
    let binary = match &options.server {
        Some(path) => path.clone(),
        // In a hurry there is no time to optimise.
        None if options.quick => built(folder, "wasm-gw", &[])?,
        None => return Ok(Target::Guests(programs::gateway(programs::plain()?)?)),
    };
    Ok(Target::Guests(programs::gateway(binary)?))
}

/// A build of the dev profile, kept aside: the next build of it may have other features.
fn built(folder: &Path, name: &str, features: &[&str]) -> Result<PathBuf> {
    let mut build = cargo(".", &["build", "--locked", "--package", "wasm-gw"]);
    let what = if features.is_empty() {
        "the server".to_owned()
    } else {
        format!("the server with {}", features.join(" "))
    };
    step(&what, build.args(features))?;
    let kept = folder.join(name);
    // A running program cannot be written over.
    let _ = fs::remove_file(&kept);
    fs::copy(target_folder().join("debug/wasm-gw"), &kept)?;
    Ok(kept)
}

fn rows(options: &Options, target: &Target, folder: &Path) -> Vec<Row> {
    let jobs: Vec<Job> = cases::all()
        .filter(|case| options.wants(case.name))
        .map(|case| Job {
            case,
            weak: &[],
            run: case.run,
        })
        .collect();
    runner::run(target, options.quick, folder, &jobs)
}

/// Each row against a server without the row's defence: it must fail there.
fn prove(options: &Options, folder: &Path) -> Result<Vec<Proved>> {
    let binary = built(folder, "wasm-gw-weak", &["--features", "weaken"])?;
    // What is built with other features must not be taken for the server.
    built(folder, "wasm-gw", &[])?;
    let target = Target::Guests(programs::gateway(binary)?);
    eprintln!("\n== the same without the defence that each row is about: each must fail");
    let wanted = || cases::all().filter(|case| options.wants(case.name));
    let jobs: Vec<Job> = wanted()
        .filter_map(|case| {
            let (weak, run) = match case.proof {
                Proof::Off(defences) => (defences, case.run),
                Proof::Judge(_) => return None,
                Proof::Otherwise { run, .. } => (&[][..], run),
            };
            Some(Job { case, weak, run })
        })
        .collect();
    let mut rows = runner::run(&target, true, &folder.join("proofs"), &jobs).into_iter();
    let proofs = wanted().map(|case| {
        let by = match case.proof {
            Proof::Off(defences) => defences.join(", "),
            Proof::Judge(_) => {
                return Proved {
                    name: case.name,
                    by: report::how(case.proof),
                    got: String::new(),
                    is_proved: true,
                    was_run: false,
                };
            }
            Proof::Otherwise { how, .. } => how.to_owned(),
        };
        let row = rows.next().expect("a row for each job");
        let skipped = row.verdict == Verdict::Skip;
        Proved {
            name: case.name,
            by: if skipped {
                format!("skipped, too: {}", row.got)
            } else {
                by
            },
            is_proved: skipped || row.verdict == Verdict::Fail && row.was_tried,
            was_run: !skipped,
            got: row.got,
        }
    });
    Ok(proofs.collect())
}
