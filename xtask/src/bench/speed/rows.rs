//! The runs of load: all contenders of a work are up, and take turns round by round, so that a
//! change of the machine's mood hits all of them alike.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::contender::Contender;
use super::load::{Agreed, Right};
use super::server::Server;
use super::work::{App, Work};
use crate::bench::figures::median;
use crate::bench::options::Load;
use crate::bench::run::Run;

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    /// Of one run of load.
    pub(crate) time: Duration,
    pub(crate) load: Load,
}

impl Extent {
    /// For the report.
    pub(crate) fn text(self) -> String {
        let Self { rounds, time, load } = self;
        let rounds = match rounds {
            1 => "One round of".to_owned(),
            more => format!("{more} rounds, in turns, each of"),
        };
        let load = load.name();
        format!("{rounds} {time:?} a run, by {load}. Figures are medians.")
    }
}

/// All rounds of a work against one contender on so many connections.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) contender: String,
    pub(crate) connections: u64,
    /// Bytes of a body that each request moves, where they are of interest.
    pub(crate) moves: usize,
    /// In order: the first of each row were made one after the other.
    pub(crate) runs: Vec<Run>,
}

impl Row {
    /// What is wrong with it, if it must not be quoted.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.runs.iter().find_map(|run| run.problem.as_deref())
    }

    /// Something of each run, unless one of them must not be quoted.
    pub(crate) fn each(&self, pick: impl Fn(&Run) -> f64) -> Option<Vec<f64>> {
        let is_sound = self.problem().is_none() && !self.runs.is_empty();
        is_sound.then(|| self.runs.iter().map(pick).collect())
    }

    pub(crate) fn median(&self, pick: impl Fn(&Run) -> f64) -> Option<f64> {
        self.each(pick).map(median)
    }
}

/// Runs all works against all contenders that have them. What could not be run is added to
/// `missing`.
pub(crate) fn run(
    contenders: &[Contender],
    works: &[Work],
    extent: Extent,
    missing: &mut Vec<String>,
) -> Result<Vec<Row>> {
    let mut apps: Vec<&App> = works.iter().map(|work| &work.app).collect();
    apps.dedup();
    let mut rows = Vec::new();
    for app in apps {
        let works: Vec<&Work> = works.iter().filter(|work| work.app == *app).collect();
        rows.extend(one_app(contenders, app, &works, extent, missing)?);
    }
    Ok(rows)
}

/// A contender that has a work and answers it rightly.
struct Entry<'a> {
    contender: &'a Contender,
    server: &'a Server,
    work: &'a Work,
    right: Right,
}

fn one_app(
    contenders: &[Contender],
    app: &App,
    works: &[&Work],
    extent: Extent,
    missing: &mut Vec<String>,
) -> Result<Vec<Row>> {
    let servers = start(contenders, app, works, missing);
    let mut agreed = Agreed::default();
    let mut entries = Vec::new();
    for &work in works {
        for (contender, server) in &servers {
            if !contender.has(work) {
                continue;
            }
            match Right::find(contender, server, work, &mut agreed) {
                Ok(right) => entries.push(Entry {
                    contender,
                    server,
                    work,
                    right,
                }),
                Err(error) => missing.push(format!("{}: {}: {error:#}", contender.name, work.name)),
            }
        }
    }
    eprintln!("== {}: warm-up", app.name());
    for (contender, _) in &servers {
        let own = entries
            .iter()
            .find(|entry| entry.contender.name == contender.name);
        if let Some(entry) = own {
            entry.load(extent.load, 64, Duration::from_secs(1))?;
        }
    }
    let mut rows = Vec::new();
    for entry in &entries {
        for &connections in entry.work.connections {
            rows.push(Row {
                work: entry.work.name,
                contender: entry.contender.name.clone(),
                connections,
                moves: entry.work.moves,
                runs: Vec::new(),
            });
        }
    }
    for round in 1..=extent.rounds {
        for &work in works {
            for &connections in work.connections {
                eprintln!(
                    "== round {round} of {}: {}, {connections} at once",
                    extent.rounds, work.name
                );
                for entry in entries.iter().filter(|entry| entry.work.name == work.name) {
                    let time = extent.time * work.stretch;
                    let run = entry.load(extent.load, connections, time)?;
                    let row = rows.iter_mut().find(|row| {
                        row.work == work.name
                            && row.contender == entry.contender.name
                            && row.connections == connections
                    });
                    row.expect("each entry has its rows").runs.push(run);
                    entry.server.empty_logs();
                }
            }
        }
    }
    for entry in &entries {
        let checked = entry.right.check(entry.contender, entry.server, entry.work);
        if let Err(error) = checked {
            let own = rows
                .iter_mut()
                .filter(|row| row.work == entry.work.name && row.contender == entry.contender.name);
            for run in own.flat_map(|row| &mut row.runs) {
                run.problem.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
    Ok(rows)
}

impl Entry<'_> {
    fn load(&self, load: Load, connections: u64, time: Duration) -> Result<Run> {
        self.right.load(
            load,
            self.contender,
            self.server,
            self.work,
            connections,
            time,
        )
    }
}

/// Starts a server of each contender that has one of the works.
fn start<'a>(
    contenders: &'a [Contender],
    app: &App,
    works: &[&Work],
    missing: &mut Vec<String>,
) -> Vec<(&'a Contender, Server)> {
    let mut servers = Vec::new();
    for contender in contenders {
        let Some(work) = works.iter().find(|work| contender.has(work)) else {
            continue;
        };
        eprintln!("== {}: starting {}", app.name(), contender.name);
        match Server::start(contender, app, &contender.request(work)) {
            Ok(server) => servers.push((contender, server)),
            Err(error) => missing.push(format!("{}: {}: {error:#}", contender.name, app.name())),
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_one_wrong_run_is_not_quoted() {
        let run = |rate| Run {
            rate,
            ..Run::default()
        };
        let mut row = Row {
            runs: vec![run(1.0), run(3.0), run(2.0)],
            ..Row::default()
        };
        assert_eq!(row.median(|run| run.rate), Some(2.0));
        row.runs.push(Run::none("it was wrong"));
        assert_eq!(row.median(|run| run.rate), None);
        assert_eq!(row.problem(), Some("it was wrong"));
        assert_eq!(Row::default().median(|run| run.rate), None);
    }
}
