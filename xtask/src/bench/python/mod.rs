//! `--python`: applications in Python with a fresh sandbox for each request, beside gunicorn and granian.
//! benches/README.md says what is measured. How contenders take turns and how a run is trusted is that of the
//! speed bench (`../speed`); here is what differs:
//!
//! | file | what |
//! |---|---|
//! | `apps.rs` | the applications, and their components |
//! | `works.rs` | what they are asked for |
//! | `contenders.rs` | who is asked |
//! | `at_rest.rs` | page faults and time of one request alone |
//! | `builds.rs` | how long a build takes |
//! | `bounds.rs` | what the figures must be |
//! | `report.rs` | tables and JSON |

mod apps;
mod at_rest;
mod bounds;
mod builds;
mod contenders;
mod report;
mod works;

use std::io::Write;

use anyhow::{Context, Result, ensure};

use super::judge;
use super::options::Options;
use super::speed::contender::{Contender, WASM_GW};
use super::speed::work::Work;
use super::speed::{self, rows};
use apps::App;
use bounds::Figures;
use report::Report;

/// What is measured beside the works. `--only` may pick from these, too.
const AT_REST: &str = "at-rest";
const BUILD: &str = "build";
const PARTS: [&str; 2] = [AT_REST, BUILD];

/// The names that `--only` may pick from. That of an application stands for all of its works.
pub(crate) fn names(options: &Options) -> impl Iterator<Item = String> {
    subjects().chain(contenders::names(options))
}

/// All that can be measured of contenders.
fn subjects() -> impl Iterator<Item = String> {
    let apps = apps::APPS.iter().map(|app| app.name.to_owned());
    // The first work of each application has its name.
    let works = works::all().into_iter().map(|work| work.name.to_owned());
    let works = works.filter(|work| apps::APPS.iter().all(|app| app.name != *work));
    let parts = PARTS.iter().map(|&part| part.to_owned());
    apps.chain(works).chain(parts)
}

/// Measures, reports, and says which bounds hold.
pub(crate) fn run(options: &Options) -> Result<Vec<bool>> {
    let mut missing = Vec::new();
    let load = speed::load_version(options)?;
    let asked: Vec<Work> = works::all()
        .into_iter()
        .filter(|work| is_asked_for(options, work))
        .collect();
    let apps = used(options, &asked);
    for app in &apps {
        app.copy()?;
    }
    let contenders = contenders::all(options, &mut missing);
    let ours: Vec<&Contender> = contenders.iter().filter(|it| it.is_gateway()).collect();
    if let Some(first) = ours.first()
        && !apps.is_empty()
    {
        let builder = apps::builder(options, first)?;
        for app in &apps {
            // The others are measured nevertheless.
            if let Err(error) = app.build(&builder) {
                missing.push(format!("{}: the build of {}: {error:#}", WASM_GW, app.name));
            }
        }
    }
    let has_one = asked.iter().any(|work| speed::has_one(&contenders, work));
    ensure!(
        has_one || is_part_asked_for(options, BUILD) && !ours.is_empty(),
        "there is nothing to measure:\n{}",
        missing.join("\n")
    );
    let machine = speed::machine(&contenders, load);
    let figures = measure(options, &contenders, &asked, &mut missing);
    let report = Report {
        machine,
        extent: speed::extent(options).text(),
        bounds: bounds::judge(&figures, options.quick),
        figures,
        missing,
        legend: speed::legend(&contenders, &asked),
    };
    std::io::stdout().write_all(report.text().as_bytes())?;
    if let Some(path) = &options.json {
        report
            .write_json(path)
            .with_context(|| path.display().to_string())?;
    }
    Ok(judge::verdicts(&report.bounds))
}

/// All that is asked for. A part that cannot be measured does not stop the others.
fn measure(
    options: &Options,
    contenders: &[Contender],
    works: &[Work],
    missing: &mut Vec<String>,
) -> Figures {
    let mut figures = Figures::default();
    if is_load_asked_for(options) {
        figures.load = rows::run(contenders, works, speed::extent(options), missing);
    }
    if is_part_asked_for(options, AT_REST) {
        let requests = if options.quick { 200 } else { 1000 };
        figures.at_rest = at_rest::run(contenders, works, requests, missing);
    }
    // It takes minutes, and the network.
    if is_part_asked_for(options, BUILD) && options.quick {
        missing.push(format!("{BUILD}: takes too long for --quick"));
    } else if is_part_asked_for(options, BUILD) {
        let server = contenders.iter().find(|it| it.is_gateway());
        let built = server.map(|server| builds::run(&server.got.program));
        figures.build = speed::or_missing(built.transpose().context("builds"), missing);
    }
    figures
}

/// Whether a work is asked for: by its name or that of its application, or because none is.
fn is_asked_for(options: &Options, work: &Work) -> bool {
    let is_named = |name: &str| options.only.iter().any(|one| one == name);
    is_named(work.name) || is_named(work.app.name()) || !names_a_work(options)
}

/// Whether a part is: by its name, or because neither works nor parts are named.
fn is_part_asked_for(options: &Options, part: &str) -> bool {
    let names_any = subjects().any(|name| options.only.contains(&name));
    options.only.iter().any(|one| one == part) || !names_any
}

/// Works are measured under load unless parts alone are named.
fn is_load_asked_for(options: &Options) -> bool {
    let names_a_part = PARTS
        .iter()
        .any(|part| options.only.iter().any(|one| one == part));
    names_a_work(options) || !names_a_part
}

fn names_a_work(options: &Options) -> bool {
    let mut works = subjects().filter(|name| !PARTS.contains(&name.as_str()));
    works.any(|name| options.only.contains(&name))
}

/// The applications that have these works, where something is asked of them.
fn used(options: &Options, works: &[Work]) -> Vec<&'static App> {
    let is_served = is_load_asked_for(options) || is_part_asked_for(options, AT_REST);
    let has_work = |app: &&App| works.iter().any(|work| work.app.name() == app.name);
    let all = apps::APPS.iter().filter(|_| is_served);
    all.filter(has_work).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(only: &str) -> Options {
        let mut words = vec!["--python"];
        if !only.is_empty() {
            words.extend(["--only", only]);
        }
        Options::of(&words).unwrap()
    }

    fn asked(only: &str) -> Vec<&'static str> {
        let options = options(only);
        let all = works::all().into_iter();
        let asked = all.filter(|work| is_asked_for(&options, work));
        asked.map(|work| work.name).collect()
    }

    #[test]
    fn an_application_stands_for_all_of_its_works() {
        assert_eq!(
            asked("flask,gunicorn"),
            ["flask", "flask-cold", "flask-page"]
        );
        assert_eq!(asked("bare-cold,django-page"), ["bare-cold", "django-page"]);
        assert_eq!(asked("gunicorn").len(), works::all().len());
        assert_eq!(asked("").len(), works::all().len());
    }

    #[test]
    fn parts_are_measured_if_named_or_if_nothing_is() {
        let parts = |only: &str| {
            let options = options(only);
            let part = |name| is_part_asked_for(&options, name);
            (is_load_asked_for(&options), part(AT_REST), part(BUILD))
        };
        assert_eq!(parts(""), (true, true, true));
        assert_eq!(parts("wasm-gw"), (true, true, true));
        assert_eq!(parts("flask"), (true, false, false));
        assert_eq!(parts("build"), (false, false, true));
        assert_eq!(parts("flask,at-rest"), (true, true, false));
    }

    #[test]
    fn only_what_is_asked_is_built() {
        let used = |only: &str| {
            let options = options(only);
            let works = works::all().into_iter();
            let works: Vec<Work> = works.filter(|work| is_asked_for(&options, work)).collect();
            let apps = used(&options, &works).into_iter();
            apps.map(|app| app.name).collect::<Vec<_>>()
        };
        assert_eq!(used("bare-cold,granian"), ["bare"]);
        assert_eq!(used("at-rest,django"), ["django"]);
        assert_eq!(used("build"), [""; 0]);
        assert_eq!(used("").len(), 3);
    }
}
