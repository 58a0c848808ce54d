//! What the samples say: what was held at rest at the end, against what was held at rest after the first stretch.

use std::time::Duration;

use super::load::Answers;
use super::server::{Sample, Stopped};
use crate::kit::table::table;

/// Resident memory may differ by so much and so many bytes: an allocator keeps what it has once needed, and the most
/// that is needed at once comes by chance.
const MEMORY_SHARE: f64 = 0.05;
const MEMORY_BYTES: f64 = 4.0 * MIB;

/// Descriptors may differ by so many.
const DESCRIPTORS: usize = 2;

/// And threads: those that load components and end instances stay for ten seconds after the last.
const THREADS: usize = 8;

const MIB: f64 = (1 << 20) as f64;

#[derive(Debug, Default)]
pub(super) struct Verdict {
    rest: Vec<(Duration, Sample)>,
    most: Sample,
    stopped: Stopped,
}

pub(super) struct Report {
    pub(super) text: String,
    pub(super) holds: bool,
}

impl Verdict {
    pub(super) fn under_load(&mut self, sample: &Sample) {
        let most = &mut self.most;
        most.memory = most.memory.max(sample.memory);
        most.descriptors = most.descriptors.max(sample.descriptors);
        most.threads = most.threads.max(sample.threads);
        most.live = most.live.max(sample.live);
        most.committed = most.committed.max(sample.committed);
    }

    pub(super) fn at_rest(&mut self, after: Duration, sample: Sample) {
        self.rest.push((after, sample));
    }

    pub(super) fn stopped(&mut self, stopped: Stopped) {
        self.stopped = stopped;
    }

    pub(super) fn report(&self, answers: &Answers) -> Report {
        let mut rows = Vec::new();
        let mut holds = true;
        let mut row = |name: &str, figures: [String; 4], row_holds: bool| {
            holds &= row_holds;
            let mut row = vec![name.to_owned()];
            row.extend(figures);
            row.push(if row_holds { "yes" } else { "NO" }.to_owned());
            rows.push(row);
        };
        let (Some((_, first)), Some((_, last))) = (self.rest.first(), self.rest.last()) else {
            return Report {
                text: "no sample was taken".to_owned(),
                holds: false,
            };
        };
        let mib = |bytes: f64| format!("{:.1} MiB", bytes / MIB);
        let memory = |sample: &Sample| sample.memory as f64;
        let growth = memory(last) - memory(first);
        let bound = (memory(first) * MEMORY_SHARE).max(MEMORY_BYTES);
        let slope = slope(
            self.rest
                .iter()
                .map(|(after, sample)| (*after, memory(sample))),
        );
        row(
            "resident memory",
            [
                mib(memory(first)),
                mib(memory(last)),
                mib(memory(&self.most)),
                format!("{:+.1} MiB/h", slope / MIB),
            ],
            growth <= bound,
        );
        let count = |sample: fn(&Sample) -> usize, more: usize| {
            let figures = [
                sample(first).to_string(),
                sample(last).to_string(),
                sample(&self.most).to_string(),
                String::new(),
            ];
            (figures, sample(last) <= sample(first) + more)
        };
        let (figures, is_flat) = count(|sample| sample.descriptors, DESCRIPTORS);
        row("descriptors", figures, is_flat);
        let (figures, is_flat) = count(|sample| sample.threads, THREADS);
        row("threads", figures, is_flat);
        let gauge = |sample: fn(&Sample) -> f64, text: fn(f64) -> String| {
            let figures = [first, last, &self.most].map(|one| text(sample(one)));
            let [first_text, last_text, most_text] = figures;
            let figures = [first_text, last_text, most_text, String::new()];
            (figures, sample(last) <= sample(first))
        };
        let (figures, is_flat) = gauge(|sample| sample.live, |live| live.to_string());
        row("instances", figures, is_flat && last.live == 0.0);
        let (figures, is_flat) = gauge(
            |sample| sample.committed,
            |bytes| format!("{:.1} MiB", bytes / MIB),
        );
        row("memory committed", figures, is_flat);
        let head = [
            "at rest",
            "at first",
            "at last",
            "most under load",
            "slope",
            "flat",
        ];
        let mut text = table(&head, rows.into_iter());
        text.push('\n');
        let kinds = answers
            .right
            .iter()
            .map(|(name, count)| vec![(*name).to_owned(), count.to_string()]);
        text.push_str(&table(&["answers", "right"], kinds));
        let wrong = answers.wrong.len();
        text.push_str(&format!(
            "\nWrong answers: {}. Reloads: {}. Panics and errors in the log: {}. {}\n",
            if wrong < 20 {
                wrong.to_string()
            } else {
                "20 or more".to_owned()
            },
            self.stopped.reloads,
            self.stopped.odd.len(),
            match self.stopped.ended_well {
                true => "It ended in order.",
                false => "It did NOT end in order.",
            },
        ));
        for line in answers.wrong.iter().chain(&self.stopped.odd) {
            text.push_str(&format!("  {line}\n"));
        }
        holds &= wrong == 0 && self.stopped.odd.is_empty() && self.stopped.ended_well;
        Report { text, holds }
    }
}

/// Of the straight line that is nearest to all points, in units an hour; 0 for fewer than two.
fn slope(points: impl Iterator<Item = (Duration, f64)>) -> f64 {
    let points: Vec<_> = points
        .map(|(after, value)| (after.as_secs_f64() / 3600.0, value))
        .collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count.max(1.0);
    let (hours, value) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - hours).powi(2)).sum();
    let shared: f64 = points
        .iter()
        .map(|point| (point.0 - hours) * (point.1 - value))
        .sum();
    if spread > 0.0 { shared / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(memory: u64, descriptors: usize) -> Sample {
        Sample {
            memory: memory << 20,
            descriptors,
            ..Sample::default()
        }
    }

    fn holds(samples: &[Sample], wrong: usize) -> bool {
        let mut verdict = Verdict::default();
        for (minute, sample) in (1..).zip(samples) {
            verdict.at_rest(Duration::from_secs(60 * minute), *sample);
        }
        verdict.stopped(Stopped {
            ended_well: true,
            ..Stopped::default()
        });
        let answers = Answers {
            wrong: vec!["wrong".to_owned(); wrong],
            ..Answers::default()
        };
        verdict.report(&answers).holds
    }

    #[test]
    fn what_grows_does_not_hold() {
        assert!(holds(&[sample(60, 20), sample(62, 20)], 0));
        assert!(!holds(&[sample(60, 20), sample(70, 20)], 0));
        assert!(!holds(&[sample(60, 20), sample(60, 30)], 0));
        assert!(!holds(&[sample(60, 20), sample(60, 20)], 1));
        assert!(!holds(&[], 0));
    }

    #[test]
    fn a_slope_is_by_the_hour() {
        let line = |per_minute: f64| {
            (0..10)
                .map(move |minute| (Duration::from_secs(60 * minute), minute as f64 * per_minute))
        };
        assert!((slope(line(1.0)) - 60.0).abs() < 1e-9);
        assert_eq!(slope(line(0.0)), 0.0);
        assert_eq!(slope(std::iter::empty()), 0.0);
    }
}
