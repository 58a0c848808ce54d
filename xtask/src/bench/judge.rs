//! Bounds: what a figure must be, what it should become, and whether it is. What was not measured is never passed.

use serde::Serialize;

use crate::kit::figures::Spread;
use crate::kit::table::table;

/// A bound as it was kept.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    pub(crate) figure: &'static str,
    pub(crate) must: String,
    pub(crate) aim: String,
    pub(crate) measured: Option<Spread>,
    /// What is measured, as people read it.
    pub(crate) text: String,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Outcome {
    /// And what is aimed at is reached as well.
    Aim,
    Pass,
    Fail,
    NotMeasured,
    /// Measured, but too short to be judged.
    NotJudged,
}

impl Outcome {
    /// Nothing of what was not judged.
    pub(crate) fn holds(self) -> Option<bool> {
        match self {
            Self::Aim | Self::Pass => Some(true),
            Self::Fail => Some(false),
            Self::NotMeasured | Self::NotJudged => None,
        }
    }
}

/// What one of the figures of a bench must be.
pub(crate) struct Bound<F> {
    pub(crate) figure: &'static str,
    pub(crate) side: Side,
    pub(crate) must: f64,
    pub(crate) aim: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) of: fn(&F) -> Option<Spread>,
    /// Whether it needs more than a quick look.
    pub(crate) takes_time: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Side {
    AtLeast,
    AtMost,
    Below,
}

impl Side {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::AtLeast => value >= limit,
            Self::AtMost => value <= limit,
            Self::Below => value < limit,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Below => "<",
        }
    }
}

const TIMES: &str = "x";

impl<F> Bound<F> {
    /// One of how many times as much.
    pub(crate) const fn new(
        figure: &'static str,
        side: Side,
        must: f64,
        aim: Option<f64>,
        of: fn(&F) -> Option<Spread>,
    ) -> Self {
        Self {
            figure,
            side,
            must,
            aim,
            unit: TIMES,
            of,
            takes_time: false,
        }
    }

    fn text(&self, value: f64) -> String {
        let digits = match self.unit {
            TIMES => 2,
            "" => 0,
            _ => 1,
        };
        let text = format!("{value:.digits$} {}", self.unit);
        text.trim_end().to_owned()
    }

    fn judge(&self, figures: &F, is_quick: bool) -> Judged {
        let measured = (self.of)(figures);
        let limit = |value: f64| format!("{} {}", self.side.sign(), self.text(value));
        let holds =
            |limit: f64| measured.is_some_and(|spread| self.side.holds(spread.median, limit));
        let outcome = if measured.is_none() {
            Outcome::NotMeasured
        } else if is_quick && self.takes_time {
            Outcome::NotJudged
        } else if !holds(self.must) {
            Outcome::Fail
        } else if self.aim.is_some_and(holds) {
            Outcome::Aim
        } else {
            Outcome::Pass
        };
        Judged {
            figure: self.figure,
            must: limit(self.must),
            aim: self.aim.map_or("-".to_owned(), limit),
            measured,
            text: match measured {
                None => "not measured".to_owned(),
                Some(spread) if spread.is_point() => self.text(spread.median),
                Some(spread) => format!(
                    "{} ({}..{})",
                    self.text(spread.median),
                    self.text(spread.least).trim_end_matches([' ', 'x']),
                    self.text(spread.most).trim_end_matches([' ', 'x']),
                ),
            },
            outcome,
        }
    }
}

/// All bounds, judged. A quick look does not judge what takes time.
pub(crate) fn judge<F>(bounds: &[Bound<F>], figures: &F, is_quick: bool) -> Vec<Judged> {
    let judged = bounds.iter().map(|bound| bound.judge(figures, is_quick));
    judged.collect()
}

/// Whether each bound holds that could be judged.
pub(crate) fn verdicts(bounds: &[Judged]) -> Vec<bool> {
    let outcomes = bounds.iter().map(|judged| judged.outcome);
    outcomes.filter_map(Outcome::holds).collect()
}

/// For people. Nothing of nothing.
pub(crate) fn bounds_table(bounds: &[Judged]) -> String {
    if bounds.is_empty() {
        return String::new();
    }
    let rows = bounds.iter().map(|judged| {
        let outcome = match judged.outcome {
            Outcome::Aim => "PASS, aim reached",
            Outcome::Pass => "PASS",
            Outcome::Fail => "FAIL",
            Outcome::NotMeasured => "-",
            Outcome::NotJudged => "too short to judge",
        };
        vec![
            outcome.to_owned(),
            judged.figure.to_owned(),
            judged.text.clone(),
            judged.must.clone(),
            judged.aim.clone(),
        ]
    });
    table(&["", "figure", "measured", "must", "aim"], rows)
}
