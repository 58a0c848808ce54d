//! What is made of many numbers: medians, shares, and bounds that hold or do not.

use serde::Serialize;

/// One bound, and whether it held.
#[derive(Serialize)]
pub(crate) struct Verdict {
    pub(crate) scenario: &'static str,
    pub(crate) bound: String,
    pub(crate) measured: String,
    pub(crate) passed: bool,
}

/// The one in the middle, or the mean of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The middle of some values, and between what they lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Nothing of nothing.
    pub(crate) fn of(values: Vec<f64>) -> Option<Self> {
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        Some(Self {
            median: median(values),
            least,
            most,
        })
    }

    /// One value alone.
    pub(crate) fn point(value: f64) -> Self {
        Self {
            median: value,
            least: value,
            most: value,
        }
    }

    pub(crate) fn is_point(self) -> bool {
        self.least.total_cmp(&self.most).is_eq()
    }
}

/// A share; 0 of nothing, since what could not be measured has kept nothing.
pub(crate) fn ratio(of: f64, whole: f64) -> f64 {
    if whole > 0.0 { of / whole } else { 0.0 }
}

/// Bytes as people read them.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let near = |values: &[f64], wanted: f64| (median(values.to_vec()) - wanted).abs() < 1e-9;
        assert!(near(&[3.0, 1.0, 2.0], 2.0));
        assert!(near(&[4.0, 1.0, 3.0, 2.0], 2.5));
        assert!(near(&[], 0.0));
    }
}
