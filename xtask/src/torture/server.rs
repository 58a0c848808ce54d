//! A server that runs for one row: started with its limits, looked at, told to end, and ended. What a row starts
//! it ends itself, and nothing else.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, kill_process_group, prlimit};

use super::setting::Setting;
use super::target::Asked;
use crate::kit::http::{Kept, Request};
use crate::kit::process::{dies_with_us, free_address, status_bytes};

/// How long a server may take until it answers. A component is compiled in that time.
const START: Duration = Duration::from_secs(60);

/// What is to be started.
pub(crate) struct Launch<'a> {
    setting: &'a Setting<'a>,
    options: Vec<String>,
    files: Option<u64>,
    before: Vec<String>,
    variables: Vec<(String, String)>,
    cache: PathBuf,
    alone: bool,
    by: Vec<&'static str>,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(setting: &'a Setting<'a>) -> Self {
        Self {
            setting,
            options: Vec::new(),
            files: None,
            before: Vec::new(),
            variables: Vec::new(),
            cache: setting
                .folder()
                .parent()
                .unwrap_or(Path::new("."))
                .join("cache"),
            alone: false,
            by: Vec::new(),
        }
    }

    pub(crate) fn options(mut self, options: &[String]) -> Self {
        self.options.extend_from_slice(options);
        self
    }

    /// With so many descriptors. How many connections there may be is derived from that by default.
    pub(crate) fn files(mut self, files: u64) -> Self {
        self.files = Some(files);
        self
    }

    /// With another folder for compiled code.
    pub(crate) fn cache(mut self, cache: &Path) -> Self {
        self.cache = cache.to_owned();
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Without the hostile guest.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Among mounts of its own, where this is run by the shell before.
    pub(crate) fn among_mounts(mut self, by: &[&'static str], command: String) -> Self {
        self.by = by.to_vec();
        self.before.push(command);
        self
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(self) -> Result<Server> {
        let mut server = self.spawn()?;
        match server.serves() {
            None => Ok(server),
            Some(why) => bail!(why),
        }
    }

    /// Starts it and waits for nothing.
    pub(crate) fn spawn(self) -> Result<Server> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let setting = self.setting;
        setting.note(&self.options);
        let (address, status) = (free_address()?, free_address()?);
        let asked = Asked {
            options: self.options,
            cache: self.cache,
            status_port: status.port(),
            alone: self.alone,
        };
        let words = setting.target.words(address.port(), &asked)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = setting.folder().join(format!("server-{number}.log"));

        // The shell sets what is inherited, and the server takes its place.
        let mut script = self.before;
        if let Some(files) = self.files {
            script.push(format!("ulimit -n {files}"));
        }
        script.push("exec \"$0\" \"$@\"".to_owned());
        let script = script.join(" && ");
        let mut by: Vec<&str> = self.by.clone();
        by.extend(["sh", "-c", &script]);
        let mut command = dies_with_us(Path::new(by[0]), "KILL");
        command.args(&by[1..]).args(&words);
        command.envs(self.variables);
        command.env_remove("WASM_GW_LOG").env_remove("LISTEN_FDS");
        if !setting.weak.is_empty() {
            command.env("WASM_GW_WEAKEN", setting.weak.join(","));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log)?);
        // A process that takes its place is of the same group.
        command.process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        // If memory does run out, then it is this one that should go.
        let _ = fs::write(format!("/proc/{}/oom_score_adj", child.id()), "1000");
        Ok(Server {
            child,
            address,
            status,
            log,
            hostile: setting.target.hostile(""),
        })
    }
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    status: SocketAddr,
    log: PathBuf,
    hostile: String,
}

impl Server {
    /// Waits until it answers; if it does not come to that, why.
    pub(crate) fn serves(&mut self) -> Option<String> {
        let begin = Instant::now();
        while begin.elapsed() < START {
            let mut client = Kept::new(self.address, START);
            if client.ask(&Request::get("/")).is_ok() {
                return None;
            }
            if let Some(status) = self.try_wait() {
                return Some(format!(
                    "the server ended with {status}: {}",
                    self.log().trim()
                ));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Some(format!(
            "the server does not answer within {START:?}: {}",
            self.log().trim()
        ))
    }

    /// The path of the hostile guest.
    pub(crate) fn hostile(&self, path: &str) -> String {
        format!("{}{path}", self.hostile)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn process(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process().context("it has no number")?;
        Ok(kill_process(process, signal)?)
    }

    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// How it ends, if it does in time.
    pub(crate) fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        eventually(patience, || self.try_wait())
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        if let Some(group) = self.process() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Allows it no more descriptors than it has open, and some.
    pub(crate) fn limit_files(&self, more: usize) -> Result<()> {
        let limit = Some((self.descriptors() + more) as u64);
        let limit = Rlimit {
            current: limit,
            maximum: limit,
        };
        prlimit(self.process(), Resource::Nofile, limit)?;
        Ok(())
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        status_bytes(self.pid(), "VmRSS:")
    }

    /// Processor time so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let fields = text.rsplit(") ").next().unwrap_or_default();
        let fields: Vec<u64> = fields
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        // utime and stime, which are in hundredths of a second.
        let ticks = fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0);
        Duration::from_millis(ticks * 10)
    }

    /// What it has written to stderr.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn log_size(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |facts| facts.len())
    }

    /// Its lines with this text.
    pub(crate) fn lines(&self, text: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(text))
            .count()
    }

    /// One of the numbers that it counts.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let mut client = Kept::new(self.status, Duration::from_secs(5));
        let (_, text) = client.get("/metrics")?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .with_context(|| format!("it counts no {name}"))?;
        Ok(line.trim().parse()?)
    }

    /// Waits until no guest serves a request. None if some still do.
    pub(crate) fn is_idle(&self, patience: Duration) -> Option<()> {
        eventually(patience, || {
            let live = self.metric("wasm_gw_instances_live").ok()?;
            (live == 0.0).then_some(())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again.
pub(crate) fn eventually<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begin.elapsed() > patience {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
