//! `--fair`: what a victim keeps of its throughput and latency while a hostile guest uses all the
//! processor it can get, and whether the hostile guest is stopped in time.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::attack::{Attack, tally};
use super::load::{full, size_of_answer, steady};
use super::order::{self, Named, Rounds};
use super::servers::{Server, Setup};
use crate::bench::run::Run;
use crate::kit::figures::{Verdict, median, ratio};
use crate::kit::http::{Answer, ask};
use crate::kit::programs::{Family, Program};

/// The least share of its own throughput that the victim should keep.
const KEPT: f64 = 0.40;
/// The most that may be added to its own 99th percentile, in milliseconds.
const ADDED_MS: f64 = 25.0;
/// The most by which an attacker may outlast its bound.
const LATE: Duration = Duration::from_millis(100);

/// Requests a second of the steady load: a small part of what either server can do.
const STEADY: u32 = 200;

/// One kind of bad neighbour.
struct Scenario {
    name: &'static str,
    /// What the table says of it.
    what: &'static str,
    path: &'static str,
    at_once: usize,
    /// Victims beside the first one; then the load is on these.
    more_victims: usize,
    bound: Bound,
    /// Whether it is held to the bounds, or only reported.
    is_judged: bool,
}

/// What should end an attacker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// `--timeout 2s`, which the client can measure.
    Timeout,
    /// `--cpu 500ms` far below `--timeout`. With fifty at once only the access log knows it.
    Processor,
}

impl Bound {
    fn options(self) -> Vec<String> {
        let words: &[&str] = match self {
            Bound::Timeout => &["--timeout", "2s"],
            Bound::Processor => &["--cpu", "500ms", "--timeout", "30s"],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn time(self) -> Duration {
        match self {
            Bound::Timeout => Duration::from_secs(2),
            Bound::Processor => Duration::from_millis(500),
        }
    }

    /// The longest that a client may wait for its answer.
    fn patience(self) -> Duration {
        match self {
            Bound::Timeout => Duration::from_secs(10),
            Bound::Processor => Duration::from_secs(40),
        }
    }
}

const SCENARIOS: [Scenario; 7] = [
    Scenario::of("spin", "spins inside `app`", "/spin"),
    Scenario::of("spin-body", "spins inside `next`", "/spin-body"),
    Scenario::of("spin-host", "spins in calls of the host", "/spin-host"),
    Scenario::of("sleep", "sleeps and wakes 1000 times a second", "/sleep"),
    Scenario {
        bound: Bound::Processor,
        ..Scenario::of("spin-cpu", "spins, ended by --cpu 500ms", "/spin")
    },
    Scenario {
        more_victims: 9,
        ..Scenario::of("ten-apps", "spins beside 9 other apps under load", "/spin")
    },
    Scenario {
        at_once: 8,
        is_judged: false,
        ..Scenario::of("fill", "fills 224 MiB by memory.fill", "/fill?mib=224")
    },
];

/// The names that `--only` may pick from.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name)
}

impl Scenario {
    const fn of(name: &'static str, what: &'static str, path: &'static str) -> Self {
        Self {
            name,
            what,
            path,
            at_once: 50,
            more_victims: 0,
            bound: Bound::Timeout,
            is_judged: true,
        }
    }

    /// `wasmtime serve` has one component and neither bound.
    fn is_for(&self, program: &Program) -> bool {
        match program.family {
            Family::Gateway => self.bound == Bound::Timeout || program.knows("--cpu"),
            Family::Wasmtime => self.more_victims == 0 && self.bound == Bound::Timeout,
        }
    }
}

/// The victim, measured in three ways.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Victim {
    /// 64 connections, as fast as they are answered.
    pub(crate) full: Run,
    /// 8 connections.
    pub(crate) few: Run,
    /// A steady rate, whatever the server does.
    pub(crate) steady: Run,
}

/// One round of a scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) before: Victim,
    pub(crate) attacked: Victim,
    pub(crate) after: Victim,
    pub(crate) answers: BTreeMap<String, u64>,
    /// By how much the latest attacker outlasted its bound, in milliseconds, if there is a bound.
    pub(crate) latest_ms: Option<f64>,
    /// Attackers that were not ended as they should be.
    pub(crate) wrong: u64,
    /// A lone attacker on an idle server: the status and how long it took, in milliseconds.
    pub(crate) lone: Option<(Option<u16>, f64)>,
}

/// A scenario against one server, all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) server: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) what: String,
    pub(crate) ran_with: String,
    pub(crate) rounds: Vec<Round>,
    pub(crate) summary: Summary,
}

/// Medians over the rounds. "Own" is the mean of before and after.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) own_rate: f64,
    pub(crate) attacked_rate: f64,
    pub(crate) after_rate: f64,
    pub(crate) kept: f64,
    /// The victim's 99th percentile in milliseconds, its own and under attack: 64 connections, 8,
    /// steady.
    pub(crate) p99_ms: [(f64, f64); 3],
    pub(crate) latest_ms: Option<f64>,
    pub(crate) wrong: u64,
    /// Why a run cannot be quoted that the bounds are about.
    pub(crate) problem: Option<String>,
}

/// How long and how often.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    /// Of each run of load.
    pub(crate) time: Duration,
}

/// Runs all scenarios against all servers.
pub(crate) fn run(programs: &[Program], extent: Extent, only: &[String]) -> Result<Vec<Row>> {
    let one = |program: &Program, scenario: &Scenario| one_round(program, scenario, extent.time);
    let all = order::run(
        extent.rounds,
        &SCENARIOS,
        programs,
        only,
        Scenario::is_for,
        one,
    )?;
    let row = |of: Rounds<Scenario, Round>| Row {
        server: of.server,
        scenario: of.scenario.name,
        what: format!("{} at once: {}", of.scenario.at_once, of.scenario.what),
        ran_with: of.ran_with,
        summary: summary(&of.rounds),
        rounds: of.rounds,
    };
    Ok(all.into_iter().map(row).collect())
}

impl Named for Scenario {
    fn name(&self) -> &'static str {
        self.name
    }
}

fn one_round(program: &Program, scenario: &Scenario, time: Duration) -> Result<(Round, String)> {
    let by_processor = scenario.bound == Bound::Processor;
    let is_gateway = program.family == Family::Gateway;
    let options = if is_gateway {
        scenario.bound.options()
    } else {
        Vec::new()
    };
    let server = Server::start(
        program,
        &Setup {
            more_victims: scenario.more_victims,
            options,
            access_log: by_processor,
        },
    )?;
    let victims = server.victims(scenario.more_victims);
    let size = size_of_answer(server.address, &victims)?;
    let measure = || -> Result<Victim> {
        Ok(Victim {
            full: full(server.address, &victims, size, 64, time)?,
            few: full(server.address, &victims, size, 8, time)?,
            steady: steady(
                server.address,
                &victims,
                STEADY,
                time,
                &AtomicBool::new(false),
            ),
        })
    };
    full(server.address, &victims, size, 64, Duration::from_secs(1))?;
    let path = server.attack(scenario.path);
    // So that the app is known to answer, and no breaker ends the attack in place of the scheduler.
    let patience = |begin: std::time::Instant| begin.elapsed() < Duration::from_secs(10);
    ask(server.address, &server.attack("/"), || {}, patience);
    let lone = by_processor.then(|| {
        let patience = |begin: std::time::Instant| begin.elapsed() < Duration::from_secs(35);
        let answer = ask(server.address, &path, || {}, patience);
        (answer.status, answer.after.as_secs_f64() * 1e3)
    });
    let before = measure()?;
    let limit = is_gateway.then(|| scenario.bound.patience());
    let attack = Attack::start(server.address, &path, scenario.at_once, limit)?;
    attack.wait_until_all_ask(Duration::from_secs(10));
    // Past the first turn of each, which is the attack's beginning and not its course.
    thread::sleep(Duration::from_millis(500));
    let attacked = measure()?;
    let answers = attack.finish(limit.unwrap_or(Duration::from_secs(3)));
    thread::sleep(Duration::from_millis(300));
    // Where nobody is served any more, as after an attack that never ends, once is enough.
    let full = full(server.address, &victims, size, 64, time)?;
    let after = if full.problem.is_some() {
        Victim {
            full,
            ..Victim::default()
        }
    } else {
        measure()?
    };
    let (latest_ms, wrong) = if by_processor {
        by_access_log(&server, &answers)?
    } else if is_gateway {
        by_client(&answers, scenario.bound.time())
    } else {
        (None, 0)
    };
    let round = Round {
        before,
        attacked,
        after,
        answers: tally(&answers),
        latest_ms,
        wrong,
        lone,
    };
    Ok((round, server.ran_with.clone()))
}

/// What the clients saw: a 504 for each, in time.
fn by_client(answers: &[Answer], bound: Duration) -> (Option<f64>, u64) {
    let late = |answer: &Answer| (answer.after.as_secs_f64() - bound.as_secs_f64()) * 1e3;
    let latest = answers.iter().map(late).fold(f64::NEG_INFINITY, f64::max);
    let wrong = answers
        .iter()
        .filter(|answer| {
            let is_in_time = answer.after.abs_diff(bound) <= LATE;
            answer.status != Some(504) || !answer.ended || !is_in_time
        })
        .count();
    (latest.is_finite().then_some(latest), wrong as u64)
}

/// What the server says of the processor time of each, and that each client got its 504.
fn by_access_log(server: &Server, answers: &[Answer]) -> Result<(Option<f64>, u64)> {
    let bound = Bound::Processor.time().as_secs_f64() * 1e3;
    let late = LATE.as_secs_f64() * 1e3;
    let mut latest = f64::NEG_INFINITY;
    let mut wrong = answers
        .iter()
        .filter(|answer| answer.status != Some(504))
        .count();
    for (status, cpu_ms) in server.attacks_in_access_log()? {
        // One was asked for a good page.
        if status == 200 {
            continue;
        }
        match cpu_ms {
            Some(cpu_ms) => {
                latest = latest.max(cpu_ms - bound);
                wrong += usize::from((cpu_ms - bound).abs() > late);
            }
            None => wrong += 1,
        }
    }
    Ok((latest.is_finite().then_some(latest), wrong as u64))
}

fn summary(rounds: &[Round]) -> Summary {
    let of = |pick: &dyn Fn(&Round) -> f64| median(rounds.iter().map(pick).collect());
    let own = |pick: fn(&Victim) -> f64| {
        move |round: &Round| {
            // What cannot be quoted, as after an attack that never ends, is no measure of its own.
            let sound = [&round.before, &round.after]
                .into_iter()
                .filter(|victim| victim.is_sound());
            let values: Vec<f64> = sound.map(pick).collect();
            values.iter().sum::<f64>() / values.len().max(1) as f64
        }
    };
    let rate = |victim: &Victim| victim.full.rate;
    let p99s: [fn(&Victim) -> f64; 3] = [
        |victim| victim.full.p99_ms,
        |victim| victim.few.p99_ms,
        |victim| victim.steady.p99_ms,
    ];
    Summary {
        own_rate: of(&own(rate)),
        attacked_rate: of(&|round| rate(&round.attacked)),
        after_rate: of(&|round| rate(&round.after)),
        kept: of(&|round| ratio(rate(&round.attacked), own(rate)(round))),
        p99_ms: p99s.map(|p99| (of(&own(p99)), of(&|round| p99(&round.attacked)))),
        latest_ms: rounds
            .iter()
            .filter_map(|round| round.latest_ms)
            .reduce(f64::max),
        wrong: rounds.iter().map(|round| round.wrong).sum(),
        problem: rounds.iter().find_map(|round| {
            let alone = round.before.problem();
            let alone = alone.map(|problem| format!("before the attack: {problem}"));
            alone.or_else(|| round.attacked.problem())
        }),
    }
}

impl Victim {
    fn is_sound(&self) -> bool {
        self.problem().is_none()
    }

    fn problem(&self) -> Option<String> {
        let runs = [
            ("-c64", &self.full),
            ("-c8", &self.few),
            ("steady", &self.steady),
        ];
        runs.into_iter()
            .find_map(|(name, run)| Some(format!("{name}: {}", run.problem.as_ref()?)))
    }
}

/// Holds the gateway's rows to the bounds.
pub(crate) fn verdicts(rows: &[Row]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for row in rows {
        let scenario = SCENARIOS.iter().find(|one| one.name == row.scenario);
        let is_judged = scenario.is_some_and(|scenario| scenario.is_judged);
        if row.server != Family::Gateway.name() || !is_judged {
            continue;
        }
        let found = &row.summary;
        let mut judge = |bound: String, measured: String, passed: bool| {
            verdicts.push(Verdict {
                scenario: row.scenario,
                bound,
                measured,
                passed,
            });
        };
        if let Some(problem) = &found.problem {
            let bound = "every answer to the victim is right";
            judge(bound.to_owned(), problem.clone(), false);
        }
        judge(
            format!("the victim keeps {:.0} % of its rate", KEPT * 100.0),
            format!("{:.0} %", found.kept * 100.0),
            found.problem.is_none() && found.kept >= KEPT,
        );
        for (name, (own, attacked)) in ["-c64", "-c8", "steady"].iter().zip(found.p99_ms) {
            judge(
                format!("its p99 ({name}) is at most its own + {ADDED_MS} ms"),
                format!("{own:.1} -> {attacked:.1} ms"),
                found.problem.is_none() && attacked <= own + ADDED_MS,
            );
        }
        let by = if row.scenario == "spin-cpu" {
            "processor time by the access log"
        } else {
            "by the clients"
        };
        judge(
            format!(
                "each attacker gets 504 within {} ms ({by})",
                LATE.as_millis()
            ),
            format!(
                "{} wrong, the latest {}",
                found.wrong,
                found
                    .latest_ms
                    .map_or("unknown".to_owned(), |ms| format!("{ms:+.0} ms"))
            ),
            found.wrong == 0 && found.latest_ms.is_some(),
        );
        let lone: Vec<_> = row.rounds.iter().filter_map(|round| round.lone).collect();
        if let Some(&(status, ms)) = lone.iter().max_by(|one, other| one.1.total_cmp(&other.1)) {
            let bound = Bound::Processor.time() + LATE;
            let all = lone.iter().all(|&(status, _)| status == Some(504));
            judge(
                format!("a lone attacker gets 504 within {} ms", bound.as_millis()),
                format!("{} after {ms:.0} ms", status.map_or(0, u16::from)),
                all && ms <= bound.as_secs_f64() * 1e3,
            );
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: Option<u16>, millis: u64) -> Answer {
        Answer {
            status,
            after: Duration::from_millis(millis),
            ended: status.is_some(),
            refused: false,
        }
    }

    #[test]
    fn an_attacker_is_right_only_with_504_near_its_bound() {
        let wrong = |status, millis| by_client(&[answer(status, millis)], Duration::from_secs(2)).1;
        assert_eq!(wrong(Some(504), 2000), 0);
        assert_eq!(wrong(Some(504), 2100), 0);
        assert_eq!(wrong(Some(504), 2101), 1);
        assert_eq!(wrong(Some(504), 1899), 1);
        assert_eq!(wrong(Some(503), 2000), 1);
        assert_eq!(wrong(None, 2000), 1);
    }

    #[test]
    fn an_attack_without_answers_has_no_latest() {
        assert_eq!(by_client(&[], Duration::from_secs(2)), (None, 0));
    }
}
