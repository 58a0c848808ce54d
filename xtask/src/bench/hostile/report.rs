//! What was measured, as a table for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::{bounded, fair};
use crate::bench::run::Run;
use crate::kit::figures::{Verdict, mib, ratio};
use crate::kit::machine::Machine;
use crate::kit::table::table;

/// All that one call of the bench found out.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) fair: Vec<fair::Row>,
    pub(crate) bounded: Vec<bounded::Row>,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Report {
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }

    /// Markdown, so that it can be kept in a document as it is.
    pub(crate) fn text(&self) -> String {
        let mut text = self.machine.text("Servers, load and attackers");
        if !self.fair.is_empty() {
            text.push_str(&fair_table(&self.fair));
        }
        if !self.bounded.is_empty() {
            text.push_str(&bounded_table(&self.bounded));
        }
        let mut options: Vec<String> = Vec::new();
        let ran = self.fair.iter().map(|row| (row.server, &row.ran_with));
        let ran = ran.chain(self.bounded.iter().map(|row| (row.server, &row.ran_with)));
        for (server, with) in ran {
            let line = format!("`{server} serve {with}`");
            if !options.contains(&line) {
                options.push(line);
            }
        }
        let _ = writeln!(text, "\nRan as {}.\n", options.join(", "));
        text.push_str(&table(
            &["", "scenario", "bound", "measured"],
            self.verdicts.iter().map(|verdict| {
                vec![
                    if verdict.passed { "PASS" } else { "FAIL" }.to_owned(),
                    verdict.scenario.to_owned(),
                    verdict.bound.clone(),
                    verdict.measured.clone(),
                ]
            }),
        ));
        text
    }
}

fn fair_table(rows: &[fair::Row]) -> String {
    let head = [
        "scenario",
        "server",
        "req/s alone",
        "attacked",
        "kept",
        "afterwards",
        "p99 ms -c64",
        "p99 ms -c8",
        "p99 ms steady",
        "attackers got",
        "latest by ms",
    ];
    let body = rows.iter().map(|row| {
        let found = &row.summary;
        let first = row.rounds.iter().map(|round| &round.attacked);
        let [full, few, steady] = [
            first.clone().map(|victim| &victim.full).collect::<Vec<_>>(),
            first.clone().map(|victim| &victim.few).collect(),
            first.map(|victim| &victim.steady).collect(),
        ];
        let problem = |runs: &[&Run]| runs.iter().find_map(|run| run.problem.clone());
        let p99 = |at: usize, runs: &[&Run]| {
            let (own, attacked) = found.p99_ms[at];
            match problem(runs) {
                Some(problem) => format!("{own:.1} -> {problem}"),
                None => format!("{own:.1} -> {attacked:.1}"),
            }
        };
        let (attacked, kept) = match problem(&full) {
            Some(problem) => (problem, "-".to_owned()),
            None => (
                format!("{:.0}", found.attacked_rate),
                format!("{:.0} %", found.kept * 100.0),
            ),
        };
        let mut answers = BTreeMap::new();
        for (name, count) in row.rounds.iter().flat_map(|round| &round.answers) {
            *answers.entry(name.clone()).or_insert(0) += count;
        }
        let afterwards = row.rounds.iter().map(|round| &round.after.full);
        vec![
            row.scenario.to_owned(),
            row.server.to_owned(),
            format!("{:.0}", found.own_rate),
            attacked,
            kept,
            problem(&afterwards.collect::<Vec<_>>())
                .unwrap_or_else(|| format!("{:.0}", found.after_rate)),
            p99(0, &full),
            p99(1, &few),
            p99(2, &steady),
            counts(&answers),
            found
                .latest_ms
                .map_or("-".to_owned(), |ms| format!("{ms:+.0}")),
        ]
    });
    let what = legend(rows.iter().map(|row| (row.scenario, &row.what)));
    format!("\n{}\n{what}", table(&head, body))
}

fn bounded_table(rows: &[bounded::Row]) -> String {
    let head = [
        "scenario",
        "server",
        "resident before",
        "peak",
        "later",
        "victim p99 ms during",
        "failed",
        "req/s before",
        "after",
        "ratio",
        "attackers got",
    ];
    let body = rows.iter().map(|row| {
        let (before, after) = (
            row.median(|round| round.before_rate),
            row.median(|round| round.after_rate),
        );
        let has_ended = row.ended().is_some();
        let unless_ended = |text: String| if has_ended { "-".to_owned() } else { text };
        vec![
            row.scenario.to_owned(),
            row.server.to_owned(),
            mib(row.most(|round| round.resident_before)),
            match row.ended() {
                Some(how) => format!("{}, {how}", mib(row.most(|round| round.resident_peak))),
                None => mib(row.most(|round| round.resident_peak)),
            },
            unless_ended(mib(row.most(|round| round.resident_later))),
            format!("{:.1}", row.median(|round| round.during.p99_ms)),
            format!(
                "{} of {}",
                row.most(|round| round.during.failed),
                row.most(|round| round.during.requests)
            ),
            format!("{before:.0}"),
            unless_ended(format!("{after:.0}")),
            unless_ended(format!(
                "{:.0} %",
                row.median(|round| ratio(round.after_rate, round.before_rate)) * 100.0
            )),
            counts(&row.answers()),
        ]
    });
    let what = legend(rows.iter().map(|row| (row.scenario, &row.what)));
    format!("\n{}\n{what}", table(&head, body))
}

/// "504 x 250, no answer x 3".
fn counts(answers: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = answers
        .iter()
        .map(|(name, count)| format!("{name} x {count}"))
        .collect();
    each.join(", ")
}

/// What each scenario is, a line each.
fn legend<'a>(rows: impl Iterator<Item = (&'a str, &'a String)>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (scenario, what) in rows {
        let line = format!("- {scenario}: {what}");
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}
