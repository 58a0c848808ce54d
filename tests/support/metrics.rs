//! What `/metrics` said, by name and labels. It reads as much of the Prometheus text format as it needs
//! to, and panics at a line that is none.

use std::collections::BTreeMap;

/// One reading.
#[derive(Clone, Debug)]
pub struct Metrics(Vec<Sample>);

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(samples.map(Sample::parse).collect())
    }

    /// The only sample of this name (without `wasm_gw_`) that has all of these labels; 0 if there is
    /// none, as for what has not happened yet.
    #[track_caller]
    pub fn of(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.found(name, labels);
        assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
        found.first().copied().unwrap_or(0.0)
    }

    /// The sum of all samples that have all of these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.found(name, labels).iter().sum()
    }

    /// A gauge without labels, which is always there.
    #[track_caller]
    pub fn gauge(&self, name: &str) -> f64 {
        let found = self.found(name, &[]);
        assert_eq!(found.len(), 1, "{name} in {self:?}");
        found[0]
    }

    fn found(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let named = |sample: &&Sample| sample.name.strip_prefix("wasm_gw_") == Some(name);
        let labelled = |sample: &&Sample| {
            labels
                .iter()
                .all(|(name, value)| sample.labels.get(*name).is_some_and(|found| found == value))
        };
        let found = self.0.iter().filter(named).filter(labelled);
        found.map(|sample| sample.value).collect()
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        Self::read(line).unwrap_or_else(|| panic!("no sample: {line:?}"))
    }

    fn read(line: &str) -> Option<Self> {
        let (name, labels, rest) = match line.split_once('{') {
            Some((name, rest)) => {
                let (labels, rest) = rest.rsplit_once('}')?;
                (name, labels, rest)
            }
            None => {
                let (name, rest) = line.split_once(' ')?;
                (name, "", rest)
            }
        };
        // A time may follow the value.
        let value = rest.split_whitespace().next()?;
        Some(Self {
            name: name.to_owned(),
            labels: pairs(labels),
            value: value.parse().ok()?,
        })
    }
}

/// `a="b",c="d"`; a quote or a comma may stand in a value, behind a backslash or not.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut letters = after.char_indices();
        let mut end = after.len();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped)) => value.push(escaped),
                    None => {}
                },
                plain => value.push(plain),
            }
        }
        pairs.insert(name.trim_start_matches(',').trim().to_owned(), value);
        rest = &after[end..];
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let metrics = Metrics::parse(
            "# HELP wasm_gw_requests_total Requests.\n\
             # TYPE wasm_gw_requests_total counter\n\
             wasm_gw_requests_total{app=\"a\\\"},b\",status=\"2xx\"} 3\n\
             wasm_gw_requests_total{app=\"c\",status=\"5xx\"} 4\n\
             wasm_gw_instances_live 2\n",
        );
        assert_eq!(metrics.of("requests_total", &[("app", "a\"},b")]), 3.0);
        assert_eq!(metrics.sum("requests_total", &[]), 7.0);
        assert_eq!(metrics.gauge("instances_live"), 2.0);
        assert_eq!(metrics.of("traps_total", &[("app", "a")]), 0.0);
    }
}
