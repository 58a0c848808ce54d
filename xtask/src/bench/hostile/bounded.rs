//! `--bounded`: whether the server stays within its budget of memory, whatever two hundred hostile
//! requests at once ask it for, and whether a victim is answered meanwhile and afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::attack::{Attack, tally};
use super::load::{full, size_of_answer, steady};
use super::order::{self, Named, Rounds};
use super::servers::{Server, Setup};
use crate::bench::run::Run;
use crate::kit::figures::{Verdict, median, mib, ratio};
use crate::kit::http::ask;
use crate::kit::process::bytes_in;
use crate::kit::programs::{Family, Program};

/// The budget, as the option and in bytes.
const BUDGET_TEXT: &str = "1GiB";
const BUDGET: u64 = 1 << 30;
/// What may be resident beyond the budget.
const OVER: f64 = 1.15;
/// The victim's 99th percentile during an attack, in milliseconds.
const P99_MS: f64 = 1000.0;
/// What the victim has of its rate when the attack is over.
const AFTER: f64 = 0.90;
/// How much more than before may still be resident a minute later.
const LEFT: u64 = BUDGET / 10;

const AT_ONCE: usize = 200;
/// Requests a second for the victim during an attack.
const STEADY: u32 = 100;
/// What ends an attacker that does not end by itself.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One kind of guest that asks for more than there is.
struct Scenario {
    name: &'static str,
    what: &'static str,
    path: &'static str,
    /// The statuses that the table of failures has for it.
    statuses: &'static [&'static str],
}

const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "bombs",
        what: "takes memory until there is none, and traps",
        path: "/bomb",
        statuses: &["502", "503", "504"],
    },
    Scenario {
        name: "squatters",
        what: "takes memory until there is none, and sleeps on it",
        path: "/squat",
        statuses: &["503", "504"],
    },
    Scenario {
        name: "handles",
        what: "makes handles for ever",
        path: "/handles",
        statuses: &["502", "503", "504"],
    },
    Scenario {
        name: "keepers",
        what: "makes the host keep bodies of 1 MiB for ever",
        path: "/keep",
        statuses: &["502", "503", "504"],
    },
    Scenario {
        name: "headers",
        what: "answers with a header of 1 GiB",
        path: "/header?mib=1024",
        statuses: &["500", "502", "503", "504"],
    },
    Scenario {
        name: "loggers",
        what: "writes 1 GiB of log",
        path: "/log?mib=1024",
        statuses: &["200", "503", "504"],
    },
];

/// The names that `--only` may pick from.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name)
}

/// How long and how often.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    /// Of an attack.
    pub(crate) attack: Duration,
    /// Of each of the three runs of load before and after.
    pub(crate) time: Duration,
    /// From the end of an attack to the last look at the memory.
    pub(crate) rest: Duration,
}

impl Extent {
    /// Whether the last look is late enough to be judged.
    fn rests_a_minute(self) -> bool {
        self.rest >= Duration::from_secs(60)
    }
}

/// One round of a scenario. Memory is in bytes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) before_rate: f64,
    pub(crate) after_rate: f64,
    /// The victim during the attack.
    pub(crate) during: Run,
    pub(crate) answers: BTreeMap<String, u64>,
    pub(crate) resident_before: u64,
    pub(crate) resident_peak: u64,
    pub(crate) resident_later: u64,
    /// How the server ended, if it did.
    pub(crate) ended: Option<String>,
}

/// A scenario against one server, all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) server: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) what: String,
    pub(crate) ran_with: String,
    pub(crate) rounds: Vec<Round>,
}

impl Row {
    /// The median of something over the rounds.
    pub(crate) fn median(&self, pick: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(pick).collect())
    }

    /// The largest of something over the rounds.
    pub(crate) fn most(&self, pick: impl Fn(&Round) -> u64) -> u64 {
        self.rounds.iter().map(pick).max().unwrap_or(0)
    }

    /// All attackers' answers.
    pub(crate) fn answers(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (name, count) in self.rounds.iter().flat_map(|round| &round.answers) {
            *all.entry(name.clone()).or_insert(0) += count;
        }
        all
    }

    pub(crate) fn ended(&self) -> Option<&str> {
        self.rounds.iter().find_map(|round| round.ended.as_deref())
    }
}

/// Runs all scenarios against all servers.
pub(crate) fn run(programs: &[Program], extent: Extent, only: &[String]) -> Result<Vec<Row>> {
    let one = |program: &Program, scenario: &Scenario| one_round(program, scenario, extent);
    let for_all = |_: &Scenario, _: &Program| true;
    let all = order::run(extent.rounds, &SCENARIOS, programs, only, for_all, one)?;
    let row = |of: Rounds<Scenario, Round>| Row {
        server: of.server,
        scenario: of.scenario.name,
        what: format!("{AT_ONCE} at once: {}", of.scenario.what),
        ran_with: of.ran_with,
        rounds: of.rounds,
    };
    Ok(all.into_iter().map(row).collect())
}

impl Named for Scenario {
    fn name(&self) -> &'static str {
        self.name
    }
}

fn one_round(program: &Program, scenario: &Scenario, extent: Extent) -> Result<(Round, String)> {
    let is_gateway = program.family == Family::Gateway;
    let mut options = Vec::new();
    if is_gateway {
        options.extend(["--timeout".to_owned(), format!("{}s", TIMEOUT.as_secs())]);
        if program.knows("--memory-total") {
            options.extend(["--memory-total".to_owned(), BUDGET_TEXT.to_owned()]);
        }
    }
    let server = Server::start(
        program,
        &Setup {
            options,
            ..Setup::default()
        },
    )?;
    let victims = server.victims(0);
    let size = size_of_answer(server.address, &victims)?;
    let rate = || -> Result<f64> {
        let mut rates = Vec::new();
        for _ in 0..3 {
            let run = full(server.address, &victims, size, 64, extent.time)?;
            // What had a fault in it is worth nothing.
            rates.push(if run.problem.is_none() { run.rate } else { 0.0 });
        }
        Ok(median(rates))
    };
    full(server.address, &victims, size, 64, Duration::from_secs(1))?;
    // So that the app is known to answer, and no breaker ends the attack in place of the budget.
    let patience = |begin: Instant| begin.elapsed() < Duration::from_secs(10);
    ask(server.address, &server.attack("/"), || {}, patience);
    let before_rate = rate()?;
    let resident_before = server.resident();

    let watch = server.watch(ceiling());
    let limit = is_gateway.then_some(TIMEOUT + Duration::from_secs(20));
    let attack = Attack::start(
        server.address,
        &server.attack(scenario.path),
        AT_ONCE,
        limit,
    )?;
    let stop = AtomicBool::new(false);
    let during = thread::scope(|scope| {
        let victim = scope.spawn(|| steady(server.address, &victims, STEADY, extent.attack, &stop));
        let end = Instant::now() + extent.attack;
        while Instant::now() < end && !watch.has_killed() && server.is_alive() {
            thread::sleep(Duration::from_millis(20));
        }
        if Instant::now() < end {
            stop.store(true, Ordering::Relaxed);
        }
        victim.join()
    });
    let during = during.unwrap_or_default();
    let is_over = watch.has_killed() || !server.is_alive();
    let grace = match limit {
        _ if is_over => Duration::ZERO,
        Some(limit) => limit,
        None => Duration::from_secs(5),
    };
    let answers = attack.finish(grace);
    let ended = if watch.has_killed() {
        Some(format!("killed by the bench above {}", mib(ceiling())))
    } else if server.is_alive() {
        None
    } else {
        Some("died".to_owned())
    };
    let (after_rate, resident_later) = if ended.is_some() {
        (0.0, 0)
    } else {
        let begin = Instant::now();
        let after = rate()?;
        thread::sleep(extent.rest.saturating_sub(begin.elapsed()));
        (after, server.resident())
    };
    let round = Round {
        before_rate,
        after_rate,
        during,
        answers: tally(&answers),
        resident_before,
        resident_peak: watch.peak(),
        resident_later,
        ended,
    };
    Ok((round, server.ran_with.clone()))
}

/// Where the bench ends a server before it harms the machine: four times the budget, or half of the
/// memory that is free, if that is less.
fn ceiling() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = bytes_in(&info, "MemAvailable:");
    (4 * BUDGET).min(free / 2).max(BUDGET + BUDGET / 4)
}

/// Holds the gateway's rows to the bounds.
pub(crate) fn verdicts(rows: &[Row], extent: Extent) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for row in rows {
        if row.server != Family::Gateway.name() {
            continue;
        }
        let scenario = SCENARIOS.iter().find(|one| one.name == row.scenario);
        let mut judge = |bound: String, measured: String, passed: bool| {
            verdicts.push(Verdict {
                scenario: row.scenario,
                bound,
                measured,
                passed,
            });
        };
        let has_ended = row.ended().is_some();
        if let Some(how) = row.ended() {
            judge("the server lives".to_owned(), how.to_owned(), false);
        }
        let peak = row.most(|round| round.resident_peak);
        let most = (BUDGET as f64 * OVER) as u64;
        judge(
            format!("resident memory stays under {}", mib(most)),
            mib(peak),
            !has_ended && peak <= most,
        );
        let expected = scenario.map_or(&[][..], |scenario| scenario.statuses);
        let answers = row.answers();
        let wrong: u64 = answers
            .iter()
            .filter(|(name, _)| !expected.contains(&name.as_str()))
            .map(|(_, count)| count)
            .sum();
        let all: u64 = answers.values().sum();
        judge(
            format!("each attacker gets one of {}", expected.join(", ")),
            format!("{wrong} of {all} got something else"),
            !has_ended && wrong == 0 && all > 0,
        );
        let p99 = row.median(|round| round.during.p99_ms);
        let failed = row.most(|round| round.during.failed);
        judge(
            format!("the victim is answered, p99 below {P99_MS:.0} ms"),
            format!("{failed} failed, p99 {p99:.1} ms"),
            !has_ended && failed == 0 && p99 < P99_MS,
        );
        let ratio = row.median(|round| ratio(round.after_rate, round.before_rate));
        judge(
            format!("its rate is at least {:.0} % of before", AFTER * 100.0),
            format!("{:.0} %", ratio * 100.0),
            ratio >= AFTER,
        );
        if extent.rests_a_minute() {
            let before = row.most(|round| round.resident_before);
            let later = row.most(|round| round.resident_later);
            judge(
                format!("a minute later at most {} more are resident", mib(LEFT)),
                format!("{} -> {}", mib(before), mib(later)),
                !has_ended && later <= before + LEFT,
            );
        }
    }
    verdicts
}
