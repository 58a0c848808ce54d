//! How a build looks while it goes on: a line a step, which moves on a terminal.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use wasm_gw_build::Progress;

use crate::printer;

/// Writes to stderr.
#[derive(Default)]
pub(crate) struct Watched {
    step: RefCell<Option<Step>>,
}

struct Step {
    name: String,
    what: String,
    begin: Instant,
    /// Shown on a terminal only.
    bar: ProgressBar,
}

impl Progress for Watched {
    fn begin(&self, step: &str, what: &str) {
        let bar = ProgressBar::new_spinner()
            .with_style(
                ProgressStyle::with_template("  {prefix:<11}{msg} {spinner} {elapsed}")
                    .expect("it is one"),
            )
            .with_prefix(step.to_owned())
            .with_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        *self.step.borrow_mut() = Some(Step {
            name: step.to_owned(),
            what: what.to_owned(),
            begin: Instant::now(),
            bar,
        });
    }

    fn end(&self, what: &str) {
        let Some(step) = self.step.borrow_mut().take() else {
            return;
        };
        step.bar.finish_and_clear();
        let seconds = step.begin.elapsed().as_secs_f64();
        let time = if seconds < 0.1 {
            String::new()
        } else {
            format!(" ({seconds:.1} s)")
        };
        printer::lines(&[format!("  {:<11}{}: {what}{time}", step.name, step.what)]);
    }

    fn note(&self, text: &str) {
        let line = format!("  {:<11}{text}", "");
        match &*self.step.borrow() {
            Some(step) => step.bar.suspend(|| printer::lines(&[line])),
            None => printer::lines(&[line]),
        }
    }
}

impl Drop for Watched {
    /// A step that failed: the message follows.
    fn drop(&mut self) {
        if let Some(step) = self.step.borrow_mut().take() {
            step.bar.finish_and_clear();
        }
    }
}
