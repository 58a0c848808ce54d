//! What was measured, as tables for people and as JSON.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::at_rest::AtRest;
use super::bounds::Figures;
use super::builds::Builds;
use super::contenders::GUNICORN;
use crate::bench::judge::{Judged, bounds_table};
use crate::bench::speed::report::{load_table, milliseconds, notes};
use crate::kit::machine::Machine;
use crate::kit::table::table;

/// All that one call of the bench found out.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    /// How long and how often, in words.
    pub(super) extent: String,
    #[serde(flatten)]
    pub(super) figures: Figures,
    pub(super) bounds: Vec<Judged>,
    /// What could not be run, and why.
    pub(super) missing: Vec<String>,
    /// What the names of works and contenders mean.
    pub(super) legend: Vec<(String, String)>,
}

impl Report {
    pub(super) fn write_json(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }

    /// Markdown, so that it can be kept in a document as it is.
    pub(super) fn text(&self) -> String {
        let mut text = self.machine.text("Servers and load");
        let _ = writeln!(text, "{}", self.extent);
        let figures = &self.figures;
        for part in [
            load_table(&figures.load, GUNICORN),
            at_rest_table(&figures.at_rest),
            build_table(figures.build.as_ref()),
            bounds_table(&self.bounds),
        ] {
            if !part.is_empty() {
                let _ = write!(text, "\n{part}");
            }
        }
        text + &notes(&self.legend, &self.missing)
    }
}

fn at_rest_table(all: &[AtRest]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let rows = all.iter().map(|one| {
        vec![
            one.work.to_owned(),
            one.contender.clone(),
            format!("{:.2}", one.faults),
            milliseconds(one.time_ms),
            one.requests.to_string(),
        ]
    });
    let head = [
        "one at a time",
        "contender",
        "page faults a request",
        "median, ms",
        "requests",
    ];
    table(&head, rows)
}

fn build_table(builds: Option<&Builds>) -> String {
    let Some(builds) = builds else {
        return String::new();
    };
    let rows = [
        ("nothing kept from before", builds.nothing_kept),
        ("the application alone has changed", builds.app_changed),
    ];
    let cells = |(what, seconds): (&str, f64)| vec![what.to_owned(), format!("{seconds:.1} s")];
    table(&["build of Flask", "time"], rows.into_iter().map(cells))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_has_no_table() {
        assert_eq!(at_rest_table(&[]) + &build_table(None), "");
    }

    #[test]
    fn faults_are_shown_before_they_are_rounded() {
        let one = AtRest {
            work: "flask",
            contender: "wasm-gw".to_owned(),
            requests: 200,
            faults: 0.25,
            time_ms: 0.5,
        };
        let text = at_rest_table(&[one]);
        assert!(text.contains("| flask ") && text.contains("| 0.25 ") && text.contains("| 0.500 "));
        let builds = Builds {
            nothing_kept: 40.63,
            app_changed: 14.0,
        };
        assert!(build_table(Some(&builds)).contains("| 40.6 s |"));
    }
}
