//! The runs of load: all contenders of a work are up, and take turns round by round, so that a
//! change of the machine's mood hits all of them alike.

use std::time::Duration;

use serde::Serialize;

use super::contender::Contender;
use super::load::{Agreed, Right};
use super::server::Server;
use super::work::Work;
use crate::bench::options::Load;
use crate::bench::run::Run;
use crate::kit::figures::{Spread, median};

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
    /// The runs that may be quoted.
    fn sound(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.problem.is_none())
    }

    /// What was wrong with some of its runs, and with how many.
    pub(crate) fn problem(&self) -> Option<String> {
        let why = self.runs.iter().find_map(|run| run.problem.as_deref())?;
        let all = self.runs.len();
        Some(format!("{} of {all} runs: {why}", self.wrong()))
    }

    /// How many of its runs had a wrong answer.
    pub(crate) fn wrong(&self) -> usize {
        self.runs.len() - self.sound().count()
    }

    /// Something of each run that may be quoted. Nothing unless these are more than the others.
    pub(crate) fn each(&self, pick: impl Fn(&Run) -> f64) -> Option<Vec<f64>> {
        let is_told = self.sound().count() > self.wrong();
        is_told.then(|| self.sound().map(pick).collect())
    }

    pub(crate) fn median(&self, pick: impl Fn(&Run) -> f64) -> Option<f64> {
        self.each(pick).map(median)
    }

    /// Something made of each run and of another's that was made beside it, where both may be
    /// quoted.
    pub(crate) fn beside(&self, other: &Row, make: impl Fn(&Run, &Run) -> f64) -> Option<Spread> {
        self.each(|_| 0.0).and(other.each(|_| 0.0))?;
        let pairs = self.runs.iter().zip(&other.runs);
        let sound = pairs.filter(|(a, b)| a.problem.is_none() && b.problem.is_none());
        Spread::of(sound.map(|(a, b)| make(a, b)).collect())
    }

    /// Its rates as a multiple of another's, round by round.
    pub(crate) fn times(&self, other: &Row) -> Option<Spread> {
        self.beside(other, |ours, other| ours.rate / other.rate)
    }

    /// How much later the slowest are than the most.
    pub(crate) fn tail(&self) -> Option<Spread> {
        Spread::of(self.each(|run| run.p99_ms / run.p50_ms)?)
    }
}

/// The row of a work, a contender and a number of connections.
pub(crate) fn find<'a>(
    rows: &'a [Row],
    work: &str,
    contender: &str,
    connections: u64,
) -> Option<&'a Row> {
    rows.iter().find(|row| {
        row.work == work && row.contender == contender && row.connections == connections
    })
}

/// How many runs of some contenders had a wrong answer in them. Nothing if none of them was asked.
pub(crate) fn wrong(rows: &[Row], is_of: impl Fn(&str) -> bool) -> Option<Spread> {
    let rows: Vec<&Row> = rows.iter().filter(|row| is_of(&row.contender)).collect();
    let wrong: usize = rows.iter().map(|row| row.wrong()).sum();
    (!rows.is_empty()).then(|| Spread::point(wrong as f64))
}

/// Runs all works against all contenders that have them. What could not be run is added to
/// `missing`.
pub(crate) fn run(
    contenders: &[Contender],
    works: &[Work],
    extent: Extent,
    missing: &mut Vec<String>,
) -> Vec<Row> {
    let share_servers =
        |one: &Work, next: &Work| one.app == next.app && !one.is_alone && !next.is_alone;
    let groups = works.chunk_by(share_servers);
    let rows = groups.flat_map(|works| one_group(contenders, works, extent, missing));
    rows.collect()
}

/// Works of one application, on the same servers.
fn one_group(
    contenders: &[Contender],
    works: &[Work],
    extent: Extent,
    missing: &mut Vec<String>,
) -> Vec<Row> {
    let servers = start(contenders, works, missing);
    let mut entries = entries(&servers, works, missing);
    eprintln!("== warm-up");
    for (contender, _) in &servers {
        let mut all = entries.iter();
        if let Some(entry) = all.find(|entry| entry.contender.name == contender.name) {
            entry.load(extent.load, 64, Duration::from_secs(1));
        }
    }
    for round in 1..=extent.rounds {
        for work in works {
            for (at, connections) in work.connections.iter().enumerate() {
                let name = work.name;
                eprintln!(
                    "== round {round} of {}: {name}, {connections} at once",
                    extent.rounds
                );
                for entry in entries.iter_mut().filter(|entry| entry.work.name == name) {
                    let time = extent.time * work.stretch;
                    let run = entry.load(extent.load, *connections, time);
                    entry.rows[at].runs.push(run);
                    entry.server.empty_logs();
                }
            }
        }
    }
    let rows: Vec<Row> = entries.into_iter().flat_map(Entry::checked).collect();
    missing.extend(rows.iter().filter_map(|row| {
        let problem = row.problem()?;
        let (name, work, connections) = (&row.contender, row.work, row.connections);
        Some(format!("{name}: {work}, {connections} at once: {problem}"))
    }));
    rows
}

/// A contender that has a work and answers it rightly.
struct Entry<'a> {
    contender: &'a Contender,
    server: &'a Server,
    work: &'a Work,
    right: Right,
    /// One for each number of connections, in the order of the work's.
    rows: Vec<Row>,
}

impl<'a> Entry<'a> {
    fn new(contender: &'a Contender, server: &'a Server, work: &'a Work, right: Right) -> Self {
        let row = |&connections: &u64| Row {
            work: work.name,
            contender: contender.name.clone(),
            connections,
            moves: work.moves,
            runs: Vec::new(),
        };
        Self {
            contender,
            server,
            work,
            right,
            rows: work.connections.iter().map(row).collect(),
        }
    }

    /// One run. Where it fails, this is what it came to.
    fn load(&self, load: Load, connections: u64, time: Duration) -> Run {
        let Self {
            contender,
            server,
            work,
            ..
        } = *self;
        self.right
            .load(load, contender, server, work, connections, time)
            .unwrap_or_else(|error| Run::none(format!("{error:#}")))
    }

    /// Its rows, when the server has been asked for the last time. If it is no longer right, none
    /// of its runs is quoted, since nobody knows when that began.
    fn checked(mut self) -> Vec<Row> {
        let checked = self.right.check(self.contender, self.server, self.work);
        if let Err(error) = checked {
            for run in self.rows.iter_mut().flat_map(|row| &mut row.runs) {
                run.problem.get_or_insert_with(|| format!("{error:#}"));
            }
        }
        self.rows
    }
}

/// Asks each server for each work that it should have.
fn entries<'a>(
    servers: &'a [(&'a Contender, Server)],
    works: &'a [Work],
    missing: &mut Vec<String>,
) -> Vec<Entry<'a>> {
    let mut agreed = Agreed::default();
    let mut entries = Vec::new();
    for work in works {
        for (contender, server) in servers {
            if !contender.has(work) {
                continue;
            }
            match Right::find(contender, server, work, &mut agreed) {
                Ok(right) => entries.push(Entry::new(contender, server, work, right)),
                Err(error) => missing.push(format!("{}: {}: {error:#}", contender.name, work.name)),
            }
        }
    }
    entries
}

/// Starts a server of each contender that has one of the works.
fn start<'a>(
    contenders: &'a [Contender],
    works: &[Work],
    missing: &mut Vec<String>,
) -> Vec<(&'a Contender, Server)> {
    let mut servers = Vec::new();
    for contender in contenders {
        let Some(work) = works.iter().find(|work| contender.has(work)) else {
            continue;
        };
        let app = work.app.name();
        eprintln!("== starting {}: {app}", contender.name);
        match Server::start(contender, &work.app, &contender.request(work)) {
            Ok(server) => servers.push((contender, server)),
            Err(error) => missing.push(format!("{}: {app}: {error:#}", contender.name)),
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(runs: &[Option<f64>]) -> Row {
        let run = |rate: &Option<f64>| match *rate {
            Some(rate) => Run {
                rate,
                ..Run::default()
            },
            None => Run::none("it was wrong"),
        };
        Row {
            runs: runs.iter().map(run).collect(),
            ..Row::default()
        }
    }

    #[test]
    fn a_wrong_run_is_not_quoted() {
        let three = [Some(1.0), Some(3.0), Some(2.0)];
        assert_eq!(row(&three).median(|run| run.rate), Some(2.0));
        assert_eq!(row(&three).problem(), None);
        let some = row(&[Some(1.0), None, Some(2.0)]);
        assert_eq!(some.median(|run| run.rate), Some(1.5));
        assert_eq!(some.problem().unwrap(), "1 of 3 runs: it was wrong");
    }

    #[test]
    fn where_as_many_are_wrong_as_right_nothing_is_quoted() {
        let half = row(&[Some(1.0), None]);
        assert_eq!(half.median(|run| run.rate), None);
        assert_eq!(row(&[]).median(|run| run.rate), None);
        assert_eq!(
            half.beside(&row(&[Some(1.0); 2]), |a, b| a.rate / b.rate),
            None
        );
    }

    #[test]
    fn runs_are_compared_that_were_made_beside_each_other() {
        let ours = row(&[Some(4.0), Some(9.0), Some(8.0)]);
        let other = row(&[Some(2.0), None, Some(2.0)]);
        let times = ours.beside(&other, |a, b| a.rate / b.rate);
        assert_eq!(times, Spread::of(vec![2.0, 4.0]));
    }
}
