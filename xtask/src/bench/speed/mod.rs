//! How fast wasm-gw is beside its peers: bare hyper, `wasmtime serve`, workerd, Python servers, and
//! what else the user brings. benches/README.md says what each work is.
//!
//! | file | what |
//! |---|---|
//! | `work.rs` | what is asked for, and what a right answer is |
//! | `contender.rs` | who is asked |
//! | `get.rs` | how each of them is come by |
//! | `guided.rs` | the server as it is shipped |
//! | `server.rs` | one that runs |
//! | `rows.rs` | who is asked what when |
//! | `load.rs`, `oha.rs` | one run of load, trusted or not |
//! | `start.rs`, `memory.rs`, `micro.rs` | what is measured without load, or beside it |
//! | `bounds.rs` | what the figures must be |
//! | `report.rs` | tables and JSON |

mod bounds;
pub(super) mod contender;
pub(super) mod get;
pub(crate) mod guided;
pub(super) mod load;
mod memory;
mod micro;
mod oha;
pub(super) mod report;
pub(super) mod rows;
pub(super) mod server;
mod start;
pub(super) mod work;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::judge;
use super::options::{Load, Options};
use crate::kit::machine::Machine;
use crate::kit::programs;
use crate::suite::{BENCH_GUESTS, BENCH_HELLO, build_guests};
use bounds::Figures;
use contender::Contender;
use report::Report;
use rows::Extent;
use work::Work;

/// What is measured beside the works. `--only` may pick from these, too.
const PARTS: [&str; 3] = ["start", "memory", "micro"];

/// The names that `--only` may pick from.
pub(crate) fn names(options: &Options) -> impl Iterator<Item = String> {
    let parts = PARTS.iter().map(|&part| part.to_owned());
    work_names(options)
        .chain(parts)
        .chain(contender::names(options))
}

/// Measures, reports, and says which bounds hold.
pub(crate) fn run(options: &Options) -> Result<Vec<bool>> {
    let mut missing = Vec::new();
    let load = load_version(options)?;
    build_guests(BENCH_GUESTS)?;
    build_guests(BENCH_HELLO)?;
    let contenders = contender::all(options, &mut missing);
    let works = works(options)?;
    ensure!(
        !contenders.is_empty() && works.iter().any(|work| has_one(&contenders, work)),
        "there is nothing to measure:\n{}",
        missing.join("\n")
    );
    let machine = machine(&contenders, load);
    let figures = measure(options, &contenders, &works, &mut missing);
    // They are about the bench's own components.
    let bounds = match options.component {
        Some(_) => Vec::new(),
        None => bounds::judge(&figures, options.quick),
    };
    let asked = asked(options, &works);
    let report = Report {
        machine,
        extent: extent(options).text(),
        bounds,
        figures,
        missing,
        legend: legend(&contenders, &asked),
    };
    std::io::stdout().write_all(report.text().as_bytes())?;
    if let Some(path) = &options.json {
        report
            .write_json(path)
            .with_context(|| path.display().to_string())?;
    }
    Ok(judge::verdicts(&report.bounds))
}

/// What makes the load, which is got if it is not there.
pub(super) fn load_version(options: &Options) -> Result<String> {
    match options.load {
        Load::Wrk => programs::wrk(),
        Load::Oha => oha::version(),
    }
}

/// With the versions of all that is run.
pub(super) fn machine(contenders: &[Contender], load: String) -> Machine {
    let mut versions: Vec<String> = Vec::new();
    for contender in contenders {
        if !versions.contains(&contender.got.version) {
            versions.push(contender.got.version.clone());
        }
    }
    versions.push(load);
    Machine::new(versions)
}

/// All that is asked for. A part that cannot be measured does not stop the others.
fn measure(
    options: &Options,
    contenders: &[Contender],
    works: &[Work],
    missing: &mut Vec<String>,
) -> Figures {
    let asked = asked(options, works);
    let mut figures = Figures {
        load: rows::run(contenders, &asked, extent(options), missing),
        ..Figures::default()
    };
    // Of a component of the user's own only the speed is measured.
    if options.component.is_some() {
        return figures;
    }
    let short = options.quick;
    if is_asked_for(options, "start") {
        let times = if short { 3 } else { 5 };
        let starts = start::run(contenders, works, times, missing);
        figures.start = or_missing(starts, missing);
    }
    if is_asked_for(options, "memory") {
        let requests = if short { 100_000 } else { 1_000_000 };
        let memory = memory::run(contenders, works, options.load, requests);
        figures.memory = or_missing(memory, missing);
    }
    if is_asked_for(options, "micro") {
        let micro = micro::run(if short { 1 } else { 3 }, missing).context("micro");
        figures.micro = or_missing(micro, missing);
    }
    figures
}

pub(super) fn or_missing<T: Default>(measured: Result<T>, missing: &mut Vec<String>) -> T {
    measured.unwrap_or_else(|error| {
        missing.push(format!("{error:#}"));
        T::default()
    })
}

pub(super) fn extent(options: &Options) -> Extent {
    Extent {
        rounds: options.rounds.unwrap_or(if options.quick { 1 } else { 5 }),
        time: Duration::from_secs(if options.quick { 1 } else { 2 }),
        load: options.load,
    }
}

/// The works that there are: those of the bench, or that of the user's component.
fn works(options: &Options) -> Result<Vec<Work>> {
    let Some(component) = &options.component else {
        return Ok(work::all());
    };
    let component = component
        .canonicalize()
        .with_context(|| format!("--component {}", component.display()))?;
    let path = options.path.as_deref().unwrap_or("/");
    Ok(vec![work::given(component, path)])
}

fn work_names(options: &Options) -> impl Iterator<Item = String> + use<> {
    let all = match &options.component {
        Some(component) => vec![work::given(component.clone(), "/")],
        None => work::all(),
    };
    all.into_iter().map(|work| work.name.to_owned())
}

/// Those of the works that are asked for.
fn asked(options: &Options, works: &[Work]) -> Vec<Work> {
    let all = works.iter();
    let asked = all.filter(|work| is_asked_for(options, work.name));
    asked.cloned().collect()
}

/// Whether a work or a part is asked for: by its name, or because none is.
fn is_asked_for(options: &Options, name: &str) -> bool {
    let parts = PARTS.iter().map(|&part| part.to_owned());
    let mut names = work_names(options).chain(parts);
    let is_named = |name: &String| options.only.contains(name);
    options.only.iter().any(|one| one == name) || !names.any(|one| is_named(&one))
}

pub(super) fn has_one(contenders: &[Contender], work: &Work) -> bool {
    contenders.iter().any(|contender| contender.has(work))
}

/// What was measured, and which works a contender does not have.
pub(super) fn legend(contenders: &[Contender], works: &[Work]) -> Vec<(String, String)> {
    let of_works = works
        .iter()
        .map(|work| (work.name.to_owned(), work.what.to_owned()));
    let of_contenders = contenders.iter().map(|contender| {
        let lacks: Vec<&str> = works
            .iter()
            .filter(|work| !contender.has(work))
            .map(|work| work.name)
            .collect();
        let mut what = format!("{}; {}", contender.kind.what, contender.got.version);
        if !lacks.is_empty() {
            what += &format!("; it has no {}", lacks.join(", "));
        }
        (contender.name.clone(), what)
    });
    of_works.chain(of_contenders).collect()
}
