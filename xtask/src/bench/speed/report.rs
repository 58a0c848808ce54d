//! What was measured, as tables for people and as JSON.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::bounds::Figures;
use super::contender::{HYPER, WASM_GW};
use super::micro::Micro;
use super::rows::{self, Row};
use crate::bench::judge::{Judged, bounds_table};
use crate::kit::figures::Spread;
use crate::kit::machine::Machine;
use crate::kit::table::table;

/// All that one call of the bench found out.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// How long and how often, in words.
    pub(crate) extent: String,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    pub(crate) bounds: Vec<Judged>,
    /// What could not be run, and why.
    pub(crate) missing: Vec<String>,
    /// What the names of works and contenders mean.
    pub(crate) legend: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }

    /// Markdown, so that it can be kept in a document as it is.
    pub(crate) fn text(&self) -> String {
        let mut text = self.machine.text("Servers and load");
        let _ = writeln!(text, "{}", self.extent);
        let figures = &self.figures;
        for part in [
            load_table(&figures.load, HYPER),
            start_table(figures),
            memory_table(figures),
            micro_table(&figures.micro),
            bounds_table(&self.bounds),
        ] {
            if !part.is_empty() {
                let _ = write!(text, "\n{part}");
            }
        }
        text + &notes(&self.legend, &self.missing)
    }
}

/// What stands below the tables.
pub(crate) fn notes(legend: &[(String, String)], missing: &[String]) -> String {
    let mut text = "\n".to_owned();
    for (name, what) in legend {
        let _ = writeln!(text, "- {name}: {what}");
    }
    if !missing.is_empty() {
        text.push_str("\nNot measured, or not quoted:\n\n");
        for line in missing {
            let _ = writeln!(text, "- {}", line.trim_end().replace('\n', "\n  "));
        }
    }
    text
}

/// `base` is the contender of whose rates the others are shown as shares.
pub(crate) fn load_table(rows: &[Row], base: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let of_base = format!("of {base}");
    let head = [
        "work",
        "at once",
        "contender",
        "req/s",
        "from..to",
        &of_base,
        "wasm-gw is",
        "MB/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
    ];
    table(&head, in_order(rows).map(|row| load_cells(rows, base, row)))
}

/// By work and by connections, and only then by contender, since that is what is compared.
fn in_order(rows: &[Row]) -> impl Iterator<Item = &Row> {
    let mut all: Vec<&Row> = rows.iter().collect();
    let place = |row: &Row| {
        let mut works = rows.iter().map(|row| row.work);
        works.position(|work| work == row.work)
    };
    all.sort_by_key(|row| (place(row), row.connections));
    all.into_iter()
}

fn load_cells(rows: &[Row], base: &str, row: &Row) -> Vec<String> {
    let mut cells = vec![
        row.work.to_owned(),
        row.connections.to_string(),
        row.contender.clone(),
    ];
    let rates = row.each(|run| run.rate).and_then(Spread::of);
    let Some(rates) = rates else {
        cells.push("not quoted".to_owned());
        cells.resize(12, "-".to_owned());
        return cells;
    };
    let other = |name: &str| rows::find(rows, row.work, name, row.connections);
    let of_base = other(base).and_then(|base| row.times(base));
    let is = other(WASM_GW).and_then(|ours| ours.times(row));
    let optional = |value: Option<String>| value.unwrap_or("-".to_owned());
    let megabytes = rates.median * row.moves as f64 / 1e6;
    cells.extend([
        number(rates.median),
        match rates.is_point() {
            true => "-".to_owned(),
            false => format!("{}..{}", number(rates.least), number(rates.most)),
        },
        optional(of_base.map(|spread| format!("{:.2}", spread.median))),
        optional(is.map(|spread| format!("{:.2} x", spread.median))),
        optional((row.moves > 0).then(|| format!("{megabytes:.0}"))),
    ]);
    let latencies = [
        row.median(|run| run.p50_ms),
        row.median(|run| run.p90_ms),
        row.median(|run| run.p99_ms),
        row.median(|run| run.max_ms),
    ];
    cells.extend(latencies.map(|latency| optional(latency.map(milliseconds))));
    cells
}

fn start_table(figures: &Figures) -> String {
    if figures.start.is_empty() {
        return String::new();
    }
    let cells = |times: &[f64]| match Spread::of(times.to_vec()) {
        Some(spread) => format!(
            "{} ({}..{})",
            milliseconds(spread.median),
            milliseconds(spread.least),
            milliseconds(spread.most)
        ),
        None => "-".to_owned(),
    };
    let rows = figures.start.iter().map(|starts| {
        vec![
            starts.app.to_owned(),
            starts.contender.clone(),
            cells(&starts.cold_ms),
            cells(&starts.warm_ms),
        ]
    });
    let head = [
        "start to first answer",
        "contender",
        "cold cache, ms",
        "warm cache, ms",
    ];
    table(&head, rows)
}

fn memory_table(figures: &Figures) -> String {
    if figures.memory.is_empty() {
        return String::new();
    }
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let rows = figures.memory.iter().map(|memory| {
        vec![
            memory.contender.clone(),
            mb(memory.idle),
            mb(memory.peak),
            mb(memory.after),
            mb(memory.tenth),
            format!("{} ({} requests)", mb(memory.last), memory.requests),
        ]
    });
    let head = [
        "resident, hello",
        "idle",
        "most at c=64",
        "afterwards",
        "after a tenth",
        "after all",
    ];
    table(&head, rows)
}

fn micro_table(micro: &Micro) -> String {
    if micro.is_empty() {
        return String::new();
    }
    let rows = micro
        .iter()
        .map(|(name, nanoseconds)| vec![(*name).to_owned(), format!("{:.2}", nanoseconds / 1e3)]);
    table(&["micro-benchmark", "median, µs"], rows)
}

fn number(value: f64) -> String {
    if value < 1000.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

pub(crate) fn milliseconds(value: f64) -> String {
    if value < 1.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::Run;

    fn row(work: &'static str, contender: &str, connections: u64, rate: f64) -> Row {
        let run = Run {
            rate,
            p50_ms: 0.5,
            ..Run::default()
        };
        Row {
            work,
            contender: contender.to_owned(),
            connections,
            moves: 0,
            runs: vec![run],
        }
    }

    #[test]
    fn contenders_stand_beside_each_other() {
        let rows = [
            row("hello", HYPER, 1, 1.0),
            row("hello", HYPER, 64, 1.0),
            row("hello", WASM_GW, 1, 1.0),
            row("cpu", HYPER, 64, 1.0),
        ];
        let order = in_order(&rows).map(|row| (row.work, row.connections, row.contender.as_str()));
        let wanted = [
            ("hello", 1, HYPER),
            ("hello", 1, WASM_GW),
            ("hello", 64, HYPER),
            ("cpu", 64, HYPER),
        ];
        assert_eq!(order.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn ratios_are_of_the_same_work_and_connections() {
        let mut wrong = row("hello", "workerd", 64, 1.0);
        wrong.runs[0].problem = Some("status 1".to_owned());
        let rows = [
            row("hello", HYPER, 64, 4000.0),
            row("hello", WASM_GW, 64, 2000.0),
            row("hello", WASM_GW, 1, 500.0),
            wrong,
        ];
        let cells = |index: usize| load_cells(&rows, HYPER, &rows[index]);
        assert_eq!(cells(0)[3..7], ["4000", "-", "1.00", "0.50 x"]);
        assert_eq!(cells(1)[5..7], ["0.50", "1.00 x"]);
        assert_eq!(cells(2)[5], "-");
        assert_eq!(cells(3)[3], "not quoted");
        assert_eq!(cells(3).len(), cells(0).len());
    }
}
