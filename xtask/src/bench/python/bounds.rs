//! What the figures of Python must be.

use serde::Serialize;

use super::at_rest::AtRest;
use super::builds::Builds;
use super::contenders::{GUNICORN, ISOLATED_BY_APP};
use crate::bench::judge::{self, Bound, Judged, Side};
use crate::bench::speed::contender::WASM_GW;
use crate::bench::speed::rows::{self, Row};
use crate::kit::figures::Spread;

/// All that was measured.
#[derive(Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) load: Vec<Row>,
    pub(crate) at_rest: Vec<AtRest>,
    pub(crate) build: Option<Builds>,
}

/// All bounds, judged.
pub(super) fn judge(figures: &Figures, is_quick: bool) -> Vec<Judged> {
    judge::judge(&bounds(), figures, is_quick)
}

/// Rates are at 64 at once, unless a figure says other.
fn bounds() -> Vec<Bound<Figures>> {
    use Side::{AtLeast, AtMost};
    vec![
        Bound {
            unit: "",
            ..Bound::new(
                "runs of wasm-gw with a wrong answer",
                AtMost,
                0.0,
                None,
                |figures| {
                    let ours = [WASM_GW, ISOLATED_BY_APP];
                    rows::wrong(&figures.load, |contender| ours.contains(&contender))
                },
            )
        },
        Bound::new(
            "bare hello, a fresh instance each / gunicorn -w 2",
            AtLeast,
            0.9,
            None,
            |figures| figures.beside_gunicorn("bare", WASM_GW),
        ),
        Bound::new(
            "Flask hello, a fresh instance each / gunicorn -w 2",
            AtLeast,
            0.7,
            None,
            |figures| figures.beside_gunicorn("flask", WASM_GW),
        ),
        Bound::new(
            "Django hello, a fresh instance each / gunicorn -w 2",
            AtLeast,
            0.35,
            None,
            |figures| figures.beside_gunicorn("django", WASM_GW),
        ),
        Bound::new(
            "Flask hello, --isolation app / gunicorn -w 2",
            AtLeast,
            1.2,
            None,
            |figures| figures.beside_gunicorn("flask", ISOLATED_BY_APP),
        ),
        Bound {
            unit: "",
            ..Bound::new(
                "Flask, page faults a request, a path that was warmed",
                AtMost,
                0.0,
                None,
                |figures| figures.faults("flask"),
            )
        },
        Bound {
            unit: "",
            ..Bound::new(
                "Flask, page faults a request, one that was not warmed",
                AtMost,
                214.0,
                None,
                |figures| figures.faults("flask-cold"),
            )
        },
        Bound::new(
            "Flask, time of a path that was not warmed / of one that was, c=8",
            AtMost,
            6.0,
            None,
            |figures| figures.not_warmed("flask-cold", "flask"),
        ),
        Bound {
            unit: "s",
            ..Bound::new(
                "build of Flask, nothing kept from before",
                AtMost,
                120.0,
                None,
                |figures| Some(Spread::point(figures.build.as_ref()?.nothing_kept)),
            )
        },
        Bound {
            unit: "s",
            ..Bound::new(
                "build of Flask, the application alone has changed",
                AtMost,
                60.0,
                None,
                |figures| Some(Spread::point(figures.build.as_ref()?.app_changed)),
            )
        },
    ]
}

impl Figures {
    /// One of ours against gunicorn, round by round.
    fn beside_gunicorn(&self, work: &str, ours: &str) -> Option<Spread> {
        let ours = rows::find(&self.load, work, ours, 64)?;
        ours.times(rows::find(&self.load, work, GUNICORN, 64)?)
    }

    /// Rounded: what the process does beside its requests is one fault in many of them.
    fn faults(&self, work: &str) -> Option<Spread> {
        let mut all = self.at_rest.iter();
        let found = all.find(|one| one.work == work && one.contender == WASM_GW)?;
        Some(Spread::point(found.faults.round()))
    }

    /// Of as many as are in work at once, the time of each is what fewer of them a second say. Fewer than the 64 of
    /// other figures, so that they do not wait for each other first of all.
    fn not_warmed(&self, cold: &str, warm: &str) -> Option<Spread> {
        let warm = rows::find(&self.load, warm, WASM_GW, 8)?;
        warm.times(rows::find(&self.load, cold, WASM_GW, 8)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::judge::Outcome;
    use crate::bench::run::Run;

    fn row(work: &'static str, contender: &str, connections: u64, rates: &[f64]) -> Row {
        let run = |&rate: &f64| Run {
            rate,
            ..Run::default()
        };
        Row {
            work,
            contender: contender.to_owned(),
            connections,
            moves: 0,
            runs: rates.iter().map(run).collect(),
        }
    }

    fn at_rest(work: &'static str, faults: f64) -> AtRest {
        AtRest {
            work,
            contender: WASM_GW.to_owned(),
            requests: 100,
            faults,
            time_ms: 1.0,
        }
    }

    fn outcome(figures: &Figures, figure: &str) -> (Outcome, String) {
        let mut all = judge(figures, false).into_iter();
        let found = all.find(|judged| judged.figure.contains(figure)).unwrap();
        (found.outcome, found.text)
    }

    #[test]
    fn what_was_not_measured_is_never_passed() {
        for judged in judge(&Figures::default(), true) {
            assert_eq!(judged.outcome, Outcome::NotMeasured, "{}", judged.figure);
        }
    }

    #[test]
    fn each_application_is_compared_with_gunicorn_on_64_connections() {
        let figures = Figures {
            load: vec![
                row("flask", WASM_GW, 8, &[1.0, 1.0, 1.0]),
                row("flask", WASM_GW, 64, &[70.0, 80.0, 60.0]),
                row("flask", ISOLATED_BY_APP, 64, &[119.0, 119.0, 119.0]),
                row("flask", GUNICORN, 64, &[100.0, 100.0, 100.0]),
                row("django", WASM_GW, 64, &[34.0]),
                row("django", GUNICORN, 64, &[100.0]),
            ],
            ..Figures::default()
        };
        let flask = outcome(&figures, "Flask hello, a fresh");
        assert_eq!(flask, (Outcome::Pass, "0.70 x (0.60..0.80)".to_owned()));
        assert_eq!(
            outcome(&figures, "Flask hello, --isolation").0,
            Outcome::Fail
        );
        assert_eq!(outcome(&figures, "Django hello").0, Outcome::Fail);
        assert_eq!(outcome(&figures, "bare hello").0, Outcome::NotMeasured);
    }

    #[test]
    fn a_wrong_answer_is_a_failure_in_both_ways_and_not_of_others() {
        let mut figures = Figures {
            load: vec![
                row("flask", ISOLATED_BY_APP, 8, &[1.0]),
                row("flask", GUNICORN, 8, &[1.0]),
            ],
            ..Figures::default()
        };
        let mut verdict = |index: usize| {
            figures.load[index].runs[0].problem = Some("status".to_owned());
            outcome(&figures, "wrong answer").0
        };
        assert_eq!(verdict(1), Outcome::Pass);
        assert_eq!(verdict(0), Outcome::Fail);
    }

    #[test]
    fn faults_of_the_process_itself_are_none_of_a_request() {
        let with = |warm: f64, cold: f64| Figures {
            at_rest: vec![at_rest("flask", warm), at_rest("flask-cold", cold)],
            ..Figures::default()
        };
        let few = with(0.03, 214.2);
        assert_eq!(outcome(&few, "that was warmed").0, Outcome::Pass);
        assert_eq!(outcome(&few, "was not warmed").0, Outcome::Pass);
        let more = with(1.0, 215.0);
        assert_eq!(
            outcome(&more, "that was warmed"),
            (Outcome::Fail, "1".to_owned())
        );
        assert_eq!(outcome(&more, "was not warmed").0, Outcome::Fail);
    }

    #[test]
    fn a_path_that_was_not_warmed_takes_longer_by_what_fewer_are_answered() {
        let figures = Figures {
            load: vec![
                row("flask", WASM_GW, 8, &[600.0, 610.0]),
                row("flask-cold", WASM_GW, 8, &[100.0, 100.0]),
            ],
            ..Figures::default()
        };
        let judged = outcome(&figures, "time of a path");
        assert_eq!(judged, (Outcome::Fail, "6.05 x (6.00..6.10)".to_owned()));
    }

    #[test]
    fn builds_are_judged_in_seconds() {
        let figures = Figures {
            build: Some(Builds {
                nothing_kept: 119.0,
                app_changed: 60.4,
            }),
            ..Figures::default()
        };
        assert_eq!(
            outcome(&figures, "nothing kept"),
            (Outcome::Pass, "119.0 s".to_owned())
        );
        assert_eq!(outcome(&figures, "alone has changed").0, Outcome::Fail);
    }
}
