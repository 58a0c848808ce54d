//! What several scenarios make of their numbers: medians, shares, and bounds that hold or do not.

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

/// A share; 0 of nothing, since what could not be measured has kept nothing.
pub(crate) fn ratio(of: f64, whole: f64) -> f64 {
    if whole > 0.0 { of / whole } else { 0.0 }
}

/// Bytes as people read them.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
