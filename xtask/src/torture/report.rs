//! The table: case, expected, got, pass or fail; apart from it what was skipped, and why.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::case::Proof;
use super::cases;
use super::runner::{Row, Verdict};
use crate::kit::machine::Machine;
use crate::kit::table::table;

/// All that was found out.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) server: String,
    pub(crate) quick: bool,
    pub(crate) seconds: f64,
    pub(crate) rows: Vec<Row>,
    pub(crate) proofs: Vec<Proved>,
}

/// Whether a row fails without its defence.
#[derive(Debug, Serialize)]
pub(crate) struct Proved {
    pub(crate) name: &'static str,
    /// What was switched off, or the test that shows it.
    pub(crate) by: String,
    pub(crate) got: String,
    pub(crate) is_proved: bool,
    /// Nothing was run: it could not be, or a unit test shows it.
    pub(crate) was_run: bool,
}

impl Report {
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(serde_json::to_writer_pretty(file, self)?)
    }

    /// Rows that failed, and rows whose failing is not proved though it was tried.
    pub(crate) fn failed(&self) -> usize {
        let rows = self.rows.iter().filter(|row| row.verdict == Verdict::Fail);
        let proofs = self.proofs.iter().filter(|proof| !proof.is_proved);
        rows.count() + proofs.count()
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("\n## Torture: {}\n\n", self.server);
        text.push_str(&self.machine.text("Server and attackers"));
        if self.quick {
            text.push_str("A quick run: smaller numbers, shorter timeouts where the table says so, and a good client's p99 of 1 s at most.\n");
        }
        if !self.rows.is_empty() {
            self.write_rows(&mut text);
        }
        if !self.proofs.is_empty() {
            self.write_proofs(&mut text);
        }
        text
    }

    fn write_rows(&self, text: &mut String) {
        let of = |verdict: &Verdict| {
            self.rows
                .iter()
                .filter(|row| row.verdict == *verdict)
                .collect()
        };
        let (passed, failed, skipped): (Vec<&Row>, Vec<_>, Vec<_>) =
            (of(&Verdict::Pass), of(&Verdict::Fail), of(&Verdict::Skip));
        let judged = self.rows.iter().filter(|row| row.verdict != Verdict::Skip);
        let _ = writeln!(text);
        text.push_str(&table(
            &["", "case", "expected", "got", "options", "s"],
            judged.map(|row| {
                vec![
                    if row.verdict == Verdict::Pass {
                        "PASS"
                    } else {
                        "FAIL"
                    }
                    .to_owned(),
                    row.name.to_owned(),
                    row.expected.to_owned(),
                    row.got.replace('|', "\\|"),
                    row.ran_with.clone(),
                    format!("{:.0}", row.seconds),
                ]
            }),
        ));
        let _ = writeln!(
            text,
            "\n{} passed, {} failed, {} skipped, in {:.0} s.",
            passed.len(),
            failed.len(),
            skipped.len(),
            self.seconds
        );
        if !skipped.is_empty() {
            let _ = writeln!(text, "\nSkipped, which is not passed:\n");
            for row in skipped {
                let _ = writeln!(text, "- {}: {}", row.name, row.got);
            }
        }
        let _ = writeln!(
            text,
            "\nWhat each is, and how it is known that it can fail:\n"
        );
        for case in cases::all().filter(|case| self.rows.iter().any(|row| row.name == case.name)) {
            let _ = writeln!(
                text,
                "- {}: {} ({})",
                case.name,
                case.shows,
                how(case.proof)
            );
        }
    }

    fn write_proofs(&self, text: &mut String) {
        let _ = writeln!(text, "\nWithout its defence a row must fail:\n");
        let ran = self.proofs.iter().filter(|proof| proof.was_run);
        text.push_str(&table(
            &["", "case", "switched off", "got then"],
            ran.map(|proof| {
                vec![
                    if proof.is_proved {
                        "PROVED"
                    } else {
                        "NOT PROVED"
                    }
                    .to_owned(),
                    proof.name.to_owned(),
                    proof.by.clone(),
                    proof.got.replace('|', "\\|"),
                ]
            }),
        ));
        let _ = writeln!(text);
        for proof in self.proofs.iter().filter(|proof| !proof.was_run) {
            let _ = writeln!(text, "- {}: {}", proof.name, proof.by);
        }
    }
}

/// How it is known that a row can fail.
pub(crate) fn how(proof: Proof) -> String {
    match proof {
        Proof::Off(defences) => format!("fails without {}", defences.join(", ")),
        Proof::Judge(test) => format!("the defence is not ours to switch off: `{test}`"),
        Proof::Otherwise { how, .. } => format!("fails where {how}"),
    }
}
