//! Where and with what it was measured. A figure without these says nothing.

use std::fs;
use std::process::Command;
use std::thread;

use serde::Serialize;

use super::figures::mib;
use super::process::bytes_in;
use crate::shell::output;

/// Made before the first run.
#[derive(Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    memory: String,
    kernel: String,
    /// The load average of the minute before the first run: what else was going on.
    load_before: String,
    versions: Vec<String>,
}

impl Machine {
    /// `versions` are those of all that is run.
    pub(crate) fn new(versions: Vec<String>) -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = info
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = output(Command::new("uname").arg("-sr")).unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            processor: processor.to_owned(),
            memory: mib(bytes_in(&memory, "MemTotal:")),
            kernel: kernel.trim().to_owned(),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
            versions,
        }
    }

    /// As a sentence or two. `sharers` are those that share the cores.
    pub(crate) fn text(&self, sharers: &str) -> String {
        format!(
            "{} cores, {}, {} memory, {}; {}. {sharers} share the cores. Load average before: {}.\n",
            self.cores,
            self.processor,
            self.memory,
            self.kernel,
            self.versions.join(", "),
            self.load_before,
        )
    }
}
