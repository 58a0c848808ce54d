//! Runs rows: those that load the machine one after the other, those that wait side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::case::{Case, Found, Needs, one_line};
use super::setting::Setting;
use super::target::Target;

/// How a row ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Skip,
}

/// A row with what was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) shows: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) verdict: Verdict,
    /// What was got; of one that was skipped, why.
    pub(crate) got: String,
    /// The options that the server ran with.
    pub(crate) ran_with: String,
    pub(crate) seconds: f64,
    /// Whether it was tried to its end, so that a failure is the server's.
    #[serde(skip)]
    pub(crate) was_tried: bool,
}

/// One row to run, and with what.
pub(crate) struct Job<'a> {
    pub(crate) case: &'static Case,
    pub(crate) weak: &'a [&'a str],
    pub(crate) run: fn(&Setting) -> Result<Found>,
}

/// Runs all of them; the rows come in the order of the jobs.
pub(crate) fn run(target: &Target, quick: bool, folder: &Path, jobs: &[Job]) -> Vec<Row> {
    let done = AtomicUsize::new(0);
    let rows: Mutex<Vec<(usize, Row)>> = Mutex::default();
    let one = |(number, job): (usize, &Job)| {
        let row = run_one(target, quick, folder.join(job.case.name), job);
        let mark = match row.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "skip",
        };
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        eprintln!(
            "   {count}/{} {mark} {} ({:.1} s): {}",
            jobs.len(),
            row.name,
            row.seconds,
            row.got
        );
        let mut rows = rows.lock().expect("nobody panics with it");
        rows.push((number, row));
    };
    let (waiting, loading): (Vec<_>, Vec<_>) =
        jobs.iter().enumerate().partition(|(_, job)| job.case.waits);
    thread::scope(|scope| {
        for job in waiting {
            let one = &one;
            scope.spawn(move || one(job));
        }
    });
    for job in loading {
        one(job);
    }
    let mut rows = rows.into_inner().expect("nobody panics with it");
    rows.sort_by_key(|(number, _)| *number);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn run_one(target: &Target, quick: bool, folder: PathBuf, job: &Job) -> Row {
    let case = job.case;
    let setting = Setting::new(target, quick, job.weak, folder.clone());
    let begin = Instant::now();
    let found = match cannot_apply(case, target) {
        Some(why) => Ok(Found::skipped(why)),
        None => fs::create_dir_all(&folder)
            .map_err(Into::into)
            .and_then(|()| (job.run)(&setting)),
    };
    let took: Duration = begin.elapsed();
    let (verdict, got, was_tried) = match found {
        Ok(Found {
            skipped: Some(why), ..
        }) => (Verdict::Skip, why, false),
        Ok(found) if found.passed() => (Verdict::Pass, found.text(), true),
        Ok(found) => (Verdict::Fail, found.text(), true),
        Err(error) => (
            Verdict::Fail,
            one_line(&format!("cannot be tried: {error:#}")),
            false,
        ),
    };
    Row {
        name: case.name,
        shows: case.shows,
        expected: case.expected,
        verdict,
        got,
        ran_with: setting.ran_with(),
        seconds: took.as_secs_f64(),
        was_tried,
    }
}

/// Why a row says nothing about this server.
fn cannot_apply(case: &Case, target: &Target) -> Option<String> {
    match case.needs {
        Needs::Http => None,
        Needs::Guest if target.has_guests() => None,
        Needs::Guest => Some("it runs no guest of ours".to_owned()),
        Needs::Gateway(_) if target.is_gateway() => None,
        Needs::Gateway(why) => Some(why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::case::Proof;

    #[test]
    fn what_cannot_apply_is_skipped_with_a_reason_and_does_not_pass() {
        let case = |needs| Case {
            name: "x",
            shows: "x",
            expected: "x",
            needs,
            proof: Proof::Judge("x"),
            waits: false,
            run: |_| Ok(Found::default()),
        };
        let target = Target::against("x {port}").unwrap();
        assert_eq!(cannot_apply(&case(Needs::Http), &target), None);
        let no_guest = cannot_apply(&case(Needs::Guest), &target);
        assert!(no_guest.unwrap().contains("no guest"));
        let other = cannot_apply(&case(Needs::Gateway("it has no such thing")), &target);
        assert_eq!(other.unwrap(), "it has no such thing");
    }
}
