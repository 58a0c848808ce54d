//! A server that runs: started, asked until it answers, ended with all that it started itself.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::contender::{Contender, Site};
use super::work::App;
use crate::kit::http::{Kept, Request, Response};
use crate::kit::process::{dies_with_us, free_address, minor_faults, status_bytes, work_folder};

/// How long a server may take until it answers. A large component is compiled in that time.
const START: Duration = Duration::from_secs(120);
/// How long one that is told to end may take for it.
const END: Duration = Duration::from_secs(3);

pub(crate) struct Server {
    child: Child,
    signal: &'static str,
    pub(crate) address: SocketAddr,
    /// What it writes to stdout, as its access log, and to stderr.
    logs: [PathBuf; 2],
}

impl Server {
    /// Starts it and waits until it answers this.
    pub(crate) fn start(contender: &Contender, app: &App, request: &Request) -> Result<Self> {
        let address = free_address()?;
        let folder = work_folder()?.join("speed");
        fs::create_dir_all(&folder)?;
        let file = |kind: &str| folder.join(format!("{}-{}.{kind}", contender.name, app.name()));
        let cache = folder.join(format!("{}-cache", contender.name));
        fs::create_dir_all(&cache)?;
        let logs = [file("access.log"), file("log")];
        let [stdout, stderr] = [emptied(&logs[0])?, emptied(&logs[1])?];
        let signal = contender.kind.signal;
        let site = Site {
            app,
            address,
            cache: &cache,
        };
        let program = dies_with_us(&contender.got.program, signal);
        let mut command = contender.command(program, &site);
        command.stdout(stdout).stderr(stderr);
        // A group of its own, so that its workers can be ended with it.
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", contender.got.program.display()))?;
        let mut server = Self {
            child,
            signal,
            address,
            logs,
        };
        server.wait_for_answer(request).with_context(|| {
            let said = fs::read_to_string(&server.logs[1]).unwrap_or_default();
            format!("it did not start: {command:?}\n{said}")
        })?;
        Ok(server)
    }

    fn wait_for_answer(&mut self, request: &Request) -> Result<()> {
        let begin = Instant::now();
        let mut failure = None;
        while begin.elapsed() < START {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended: {status}");
            }
            match self.ask(request) {
                Ok(_) => return Ok(()),
                Err(error) => failure = Some(error),
            }
            thread::sleep(Duration::from_millis(20));
        }
        let failure = failure.map_or(String::new(), |error| format!(": {error:#}"));
        bail!("no answer within {START:?}{failure}")
    }

    /// Asks once, on a connection of its own.
    pub(crate) fn ask(&self, request: &Request) -> Result<Response> {
        Kept::new(self.address, START).ask(request)
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        status_bytes(self.child.id(), "VmRSS:")
    }

    /// Page faults without a disk that it has had. Nothing where the system does not say.
    pub(crate) fn minor_faults(&self) -> Option<u64> {
        minor_faults(self.child.id())
    }

    /// Begins a new record of the most that was resident, which the kernel keeps.
    pub(crate) fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// The most that was resident since, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        status_bytes(self.child.id(), "VmHWM:")
    }

    /// Empties its logs, which a long bench would fill the disk with.
    pub(crate) fn empty_logs(&self) {
        for log in &self.logs {
            let _ = emptied(log);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id();
        let tell = |signal: &str, whom: String| {
            let _ = Command::new("kill")
                .args(["-s", signal, "--", &whom])
                .stderr(Stdio::null())
                .status();
        };
        if self.signal == "TERM" {
            tell("TERM", pid.to_string());
            let begin = Instant::now();
            while begin.elapsed() < END && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        tell("KILL", format!("-{pid}"));
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.logs[0]);
    }
}

/// A file to be written on at its end, always, so that it can be emptied meanwhile.
fn emptied(path: &PathBuf) -> Result<File> {
    File::create(path).with_context(|| path.display().to_string())?;
    Ok(OpenOptions::new().append(true).open(path)?)
}
