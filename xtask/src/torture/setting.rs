//! What a row is run with: which server, at what pace, with which defences.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Result;

use super::server::{Launch, Server};
use super::target::Target;

/// See the module's documentation.
pub(crate) struct Setting<'a> {
    pub(crate) target: &'a Target,
    pub(crate) quick: bool,
    /// The defences that are switched off.
    pub(crate) weak: &'a [&'a str],
    /// Where the row may write.
    folder: PathBuf,
    /// The options that servers were started with, for the table.
    ran_with: Mutex<Vec<String>>,
}

impl<'a> Setting<'a> {
    pub(crate) fn new(
        target: &'a Target,
        quick: bool,
        weak: &'a [&'a str],
        folder: PathBuf,
    ) -> Self {
        Self {
            target,
            quick,
            weak,
            folder,
            ran_with: Mutex::default(),
        }
    }

    /// One value in a hurry, another at leisure.
    pub(crate) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A time that is a default of ours, and an option that makes it shorter in a hurry. Another server may have a
    /// time of its own: whatever it is, a minute is enough.
    pub(crate) fn time(&self, option: &str, quick: u64, default: u64) -> (Duration, Vec<String>) {
        if !self.target.is_gateway() {
            (Duration::from_secs(60), Vec::new())
        } else if self.quick {
            let options = vec![option.to_owned(), format!("{quick}s")];
            (Duration::from_secs(quick), options)
        } else {
            (Duration::from_secs(default), Vec::new())
        }
    }

    /// What the good client's 99th percentile may be. A machine that others use, too, must not fail the quick run.
    pub(crate) fn p99(&self) -> Duration {
        self.pick(Duration::from_secs(1), Duration::from_millis(50))
    }

    pub(crate) fn launch(&self) -> Launch<'_> {
        Launch::new(self)
    }

    /// A server with these options, and every default else.
    pub(crate) fn server(&self, options: &[String]) -> Result<Server> {
        self.launch().options(options).start()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn note(&self, options: &[String]) {
        let mut ran_with = self.ran_with.lock().expect("nobody panics with it");
        let text = options.join(" ");
        if !text.is_empty() && !ran_with.contains(&text) {
            ran_with.push(text);
        }
    }

    /// The options of its servers, but for those that say where.
    pub(crate) fn ran_with(&self) -> String {
        let ran_with = self.ran_with.lock().expect("nobody panics with it");
        if ran_with.is_empty() {
            "default".to_owned()
        } else {
            ran_with.join(" / ")
        }
    }
}
