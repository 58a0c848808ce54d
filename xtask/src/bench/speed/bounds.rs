//! What the figures must be, and what they should become.

use serde::Serialize;

use super::contender::{HYPER, WASM_GW, WASMTIME_P2, WASMTIME_P3, WORKERD};
use super::memory::Memory;
use super::micro::{CALL, Micro, SNAPSHOT};
use super::rows::{self, Row};
use super::start::Starts;
use crate::bench::judge::{self, Bound, Judged, Side};
use crate::kit::figures::{Spread, median};

/// All that was measured.
#[derive(Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) load: Vec<Row>,
    pub(crate) start: Vec<Starts>,
    pub(crate) memory: Vec<Memory>,
    /// In nanoseconds.
    pub(crate) micro: Micro,
}

const MB: f64 = 1e6;

/// By how many MB the resident memory differs from one look to the next though nothing grows. A leak
/// of five bytes a request is above it.
const SWAY: f64 = 4.0;

/// All bounds, judged. A quick look does not judge what takes time.
pub(crate) fn judge(figures: &Figures, is_quick: bool) -> Vec<Judged> {
    judge::judge(&bounds(), figures, is_quick)
}

/// Rates are at 64 at once, unless a figure says other.
fn bounds() -> Vec<Bound<Figures>> {
    use Side::{AtLeast, AtMost, Below};
    vec![
        Bound {
            unit: "",
            ..Bound::new(
                "runs of wasm-gw with a wrong answer",
                AtMost,
                0.0,
                None,
                Figures::wrong,
            )
        },
        Bound::new(
            "hello / wasmtime serve, WASI 0.2, fresh",
            AtLeast,
            4.0,
            Some(5.0),
            |figures| figures.rates("hello", WASMTIME_P2),
        ),
        Bound::new(
            "hello / wasmtime serve, WASI 0.3, reused",
            AtLeast,
            1.5,
            Some(2.0),
            |figures| figures.rates("hello", WASMTIME_P3),
        ),
        Bound::new("hello / workerd", AtLeast, 2.5, Some(4.0), |figures| {
            figures.rates("hello", WORKERD)
        }),
        Bound::new("hello / bare hyper", AtLeast, 0.5, Some(0.65), |figures| {
            figures.rates("hello", HYPER)
        }),
        Bound::new(
            "latency added to bare hyper's, c=1, median / instantiate + call",
            AtMost,
            3.5,
            Some(2.0),
            Figures::added_latency,
        ),
        Bound::new("hello, p99 / p50", Below, 3.0, Some(2.0), |figures| {
            figures.row("hello", WASM_GW, 64)?.tail()
        }),
        Bound::new(
            "1 MiB out, MB/s / bare hyper",
            AtLeast,
            0.5,
            Some(0.8),
            |figures| figures.rates("out", HYPER),
        ),
        Bound::new(
            "1 MiB in, MB/s / bare hyper",
            AtLeast,
            0.5,
            Some(0.8),
            |figures| figures.rates("in", HYPER),
        ),
        Bound::new(
            "start to first answer, warm, hello / wasmtime serve, WASI 0.2",
            AtMost,
            1.0,
            Some(0.5),
            |figures| figures.warm_starts((WASM_GW, "hello"), (WASMTIME_P2, "hello")),
        ),
        Bound::new(
            "start to first answer, warm, 30 MB component / hello",
            AtMost,
            4.0,
            Some(2.0),
            |figures| figures.warm_starts((WASM_GW, "snapshot"), (WASM_GW, "hello")),
        ),
        Bound::new(
            "instantiate + call, 24 MiB snapshot / hello",
            AtMost,
            12.0,
            Some(4.0),
            |figures| {
                let of = figures.micro.get(SNAPSHOT)?;
                Some(Spread::point(of / figures.micro.get(CALL)?))
            },
        ),
        Bound {
            unit: "MB",
            ..Bound::new(
                "resident memory, idle, hello",
                AtMost,
                40.0,
                None,
                |figures| {
                    let memory = figures.memory_of(WASM_GW)?;
                    Some(Spread::point(memory.idle as f64 / MB))
                },
            )
        },
        Bound {
            unit: "MB",
            takes_time: true,
            ..Bound::new(
                "resident memory, growth from 100,000 to 1,000,000 requests",
                AtMost,
                SWAY,
                None,
                |figures| {
                    let memory = figures.memory_of(WASM_GW)?;
                    Some(Spread::point(
                        (memory.last as f64 - memory.tenth as f64) / MB,
                    ))
                },
            )
        },
    ]
}

impl Figures {
    pub(crate) fn row(&self, work: &str, contender: &str, connections: u64) -> Option<&Row> {
        rows::find(&self.load, work, contender, connections)
    }

    /// Ours against another's, round by round.
    fn rates(&self, work: &str, other: &str) -> Option<Spread> {
        let ours = self.row(work, WASM_GW, 64)?;
        ours.times(self.row(work, other, 64)?)
    }

    fn added_latency(&self) -> Option<Spread> {
        let call = self.micro.get(CALL)? / 1e6;
        let ours = self.row("hello", WASM_GW, 1)?;
        let ceiling = self.row("hello", HYPER, 1)?;
        ours.beside(ceiling, |ours, ceiling| {
            (ours.p50_ms - ceiling.p50_ms) / call
        })
    }

    fn warm_starts(&self, ours: (&str, &str), other: (&str, &str)) -> Option<Spread> {
        let warm = |(contender, app): (&str, &str)| {
            let mut all = self.start.iter();
            let found = all.find(|starts| starts.contender == contender && starts.app == app);
            let times = found?.warm_ms.clone();
            (!times.is_empty()).then(|| median(times))
        };
        Some(Spread::point(warm(ours)? / warm(other)?))
    }

    /// How many runs of ours had a wrong answer in them.
    fn wrong(&self) -> Option<Spread> {
        rows::wrong(&self.load, |contender| contender == WASM_GW)
    }

    fn memory_of(&self, contender: &str) -> Option<&Memory> {
        let mut all = self.memory.iter();
        all.find(|memory| memory.contender == contender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::judge::Outcome;
    use crate::bench::run::Run;

    fn row(contender: &str, rates: &[f64]) -> Row {
        let run = |&rate: &f64| Run {
            rate,
            p50_ms: 1.0,
            p99_ms: 2.0,
            ..Run::default()
        };
        Row {
            work: "hello",
            contender: contender.to_owned(),
            connections: 64,
            moves: 0,
            runs: rates.iter().map(run).collect(),
        }
    }

    fn judged(figures: &Figures, figure: &str) -> Judged {
        let mut all = judge(figures, false).into_iter();
        all.find(|judged| judged.figure.contains(figure)).unwrap()
    }

    fn figures(load: Vec<Row>) -> Figures {
        Figures {
            load,
            ..Figures::default()
        }
    }

    #[test]
    fn what_was_not_measured_is_never_passed() {
        for judged in judge(&Figures::default(), false) {
            assert_eq!(judged.outcome, Outcome::NotMeasured, "{}", judged.figure);
        }
        let alone = figures(vec![row(WASM_GW, &[9.0])]);
        assert_eq!(judged(&alone, "workerd").outcome, Outcome::NotMeasured);
        let mut wrong = row(WORKERD, &[1.0]);
        wrong.runs[0].problem = Some("status".to_owned());
        let wrong = figures(vec![row(WASM_GW, &[9.0]), wrong]);
        assert_eq!(judged(&wrong, "workerd").outcome, Outcome::NotMeasured);
    }

    #[test]
    fn a_wrong_answer_of_ours_is_a_failure() {
        let mut ours = row(WASM_GW, &[9.0, 9.0, 9.0]);
        let verdict = |row: &Row| judged(&figures(vec![row.clone()]), "wrong answer");
        assert_eq!(verdict(&ours).outcome, Outcome::Pass);
        ours.runs[1].problem = Some("status".to_owned());
        assert_eq!(verdict(&ours).outcome, Outcome::Fail);
        assert_eq!(verdict(&ours).text, "1");
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let figures = figures(vec![
            row(WASM_GW, &[30.0, 40.0, 90.0]),
            row(WORKERD, &[10.0, 10.0, 30.0]),
            row(HYPER, &[100.0, 100.0, 100.0]),
            row(WASMTIME_P2, &[5.0, 5.0, 5.0]),
        ]);
        let workerd = judged(&figures, "workerd");
        assert_eq!(workerd.outcome, Outcome::Pass);
        assert_eq!(workerd.text, "3.00 x (3.00..4.00)");
        assert_eq!(judged(&figures, "bare hyper").outcome, Outcome::Fail);
        assert_eq!(judged(&figures, "WASI 0.2, fresh").outcome, Outcome::Aim);
        assert_eq!(judged(&figures, "p99").outcome, Outcome::Pass);
    }

    #[test]
    fn a_quick_look_does_not_judge_growth() {
        let figures = Figures {
            memory: vec![Memory {
                contender: WASM_GW.to_owned(),
                idle: 23_000_000,
                peak: 0,
                after: 0,
                tenth: 30_000_000,
                last: 34_500_000,
                requests: 1,
            }],
            ..Figures::default()
        };
        assert_eq!(judged(&figures, "growth").outcome, Outcome::Fail);
        assert_eq!(judged(&figures, "idle").outcome, Outcome::Pass);
        assert_eq!(judged(&figures, "idle").text, "23.0 MB");
        let quick = judge(&figures, true);
        let growth = quick.iter().find(|judged| judged.figure.contains("growth"));
        assert_eq!(growth.unwrap().outcome, Outcome::NotJudged);
    }

    #[test]
    fn starts_and_calls_are_compared() {
        let starts = |contender: &str, app, warm: &[f64]| Starts {
            contender: contender.to_owned(),
            app,
            cold_ms: Vec::new(),
            warm_ms: warm.to_vec(),
        };
        let figures = Figures {
            start: vec![
                starts(WASM_GW, "hello", &[10.0, 30.0, 20.0]),
                starts(WASM_GW, "snapshot", &[60.0]),
                starts(WASMTIME_P2, "hello", &[50.0]),
            ],
            micro: Micro::from([(CALL, 5_000.0), (SNAPSHOT, 100_000.0)]),
            ..Figures::default()
        };
        assert_eq!(judged(&figures, "warm, hello").outcome, Outcome::Aim);
        assert_eq!(judged(&figures, "30 MB").outcome, Outcome::Pass);
        assert_eq!(judged(&figures, "24 MiB").outcome, Outcome::Fail);
    }
}
