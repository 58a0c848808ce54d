//! The server that is soaked: its applications, which are the tests' guests, and what the system and `/metrics` say of
//! the process.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::kit::http::{Kept, Request};
use crate::kit::process::{dies_with_us, free_address, status_bytes, work_folder};
use crate::shell::{cargo, run, step, target_folder};
use crate::tools::WASM;

/// Where each application stands.
const APPS: [(&str, &str); 10] = [
    ("/", "hello"),
    ("/echo", "echo"),
    ("/stream", "echo_stream"),
    ("/blocks", "blocks_slow"),
    ("/random", "random"),
    ("/trap", "traps_somewhere"),
    ("/sleep", "sleep_forever"),
    ("/gone", "until_gone"),
    ("/cpu", "cpu"),
    ("/hold", "hold_memory"),
];

/// What a guest may take for an answer. On a machine that does much else all but those that sleep must make it.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than anything takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Builds them where the tests do, and says where they are.
pub(super) fn build_guests() -> Result<PathBuf> {
    let target = target_folder().join("guests/guests");
    let options = [
        "build",
        "--locked",
        "--release",
        "--examples",
        "--target",
        WASM,
    ];
    let mut build = cargo("tests/guests", &options);
    step("the guests", build.arg("--target-dir").arg(&target))?;
    Ok(target.join(WASM).join("release/examples"))
}

pub(super) struct Server {
    child: Child,
    pid: u32,
    pub(super) address: SocketAddr,
    status: SocketAddr,
    /// The components that it serves: copies, so that they can be replaced.
    folder: PathBuf,
    reloads: usize,
}

/// What the process holds at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Resident memory in bytes.
    pub(super) memory: u64,
    pub(super) descriptors: usize,
    pub(super) threads: usize,
    pub(super) live: f64,
    /// Bytes of the budget.
    pub(super) committed: f64,
}

impl Sample {
    pub(super) fn text(&self) -> String {
        format!(
            "{:.1} MiB resident, {} descriptors, {} threads, {} instances, {:.1} MiB committed",
            self.memory as f64 / f64::from(1 << 20),
            self.descriptors,
            self.threads,
            self.live,
            self.committed / f64::from(1 << 20),
        )
    }
}

impl Server {
    pub(super) fn start(binary: &Path, guests: &Path, options: &[String]) -> Result<Self> {
        let folder = work_folder()?.join("soak");
        fs::create_dir_all(&folder)?;
        let (address, status) = (free_address()?, free_address()?);
        let mut command = dies_with_us(binary, "KILL");
        command.arg("serve");
        for (prefix, name) in APPS {
            let file = place(guests, &folder, name)?;
            command
                .arg("--app")
                .arg(format!("{prefix}={}", file.display()));
        }
        command
            .args(["--listen", &address.to_string()])
            .args(["--status-listen", &status.to_string()])
            .args(["--timeout", "5s", "--cpu", "5s", "--memory", "128MiB"])
            .args(["--header-timeout", "2s", "--body-timeout", "2s"])
            .arg("--cache-dir")
            .arg(folder.join("cache"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log"))?);
        let child = command
            .spawn()
            .with_context(|| binary.display().to_string())?;
        let mut server = Self {
            pid: child.id(),
            child,
            address,
            status,
            folder,
            reloads: 0,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// A component is compiled for each application.
    fn wait_until_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            if self.status().get("/readyz").is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait()?.is_some();
            if ended || begin.elapsed() > Duration::from_secs(300) {
                bail!("it does not start: {}", self.log());
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// A connection of its own each time: one that rests is closed sooner or later.
    fn status(&self) -> Kept {
        Kept::new(self.status, PATIENCE)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The same components under the same names, as new files; then SIGHUP.
    pub(super) fn reload(&mut self, guests: &Path) -> Result<()> {
        for (_, name) in APPS {
            place(guests, &self.folder, name)?;
        }
        self.reloads += 1;
        run(Command::new("kill").args(["-HUP", &self.pid.to_string()]))
    }

    pub(super) fn look(&mut self) -> Result<Sample> {
        let metrics = self.status().ask(&Request::get("/metrics"));
        let metrics =
            metrics.with_context(|| format!("the server is gone: {}", tail(&self.log())))?;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let gauge = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("wasm_gw_{name} ")));
            line.and_then(|value| value.parse::<f64>().ok())
                .with_context(|| format!("/metrics has no {name}"))
        };
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let threads = status
            .lines()
            .find_map(|line| line.strip_prefix("Threads:"));
        Ok(Sample {
            memory: status_bytes(self.pid, "VmRSS:"),
            descriptors: fs::read_dir(format!("/proc/{}/fd", self.pid))?.count(),
            threads: threads
                .and_then(|count| count.trim().parse().ok())
                .unwrap_or(0),
            live: gauge("instances_live")?,
            committed: gauge("memory_committed_bytes")?,
        })
    }

    /// When nobody asks for anything: once no instance is left, and what waited for a moment has ended.
    pub(super) fn at_rest(&mut self) -> Result<Sample> {
        let begin = Instant::now();
        while self.look()?.live > 0.0 {
            ensure!(
                begin.elapsed() < PATIENCE,
                "instances stay: {}",
                self.look()?.text()
            );
            thread::sleep(Duration::from_millis(100));
        }
        // Clients that left with bytes unread are lingered for.
        thread::sleep(Duration::from_secs(4));
        self.look()
    }

    /// Stops it in order. How often it was reloaded, and lines of its log that should not be there.
    pub(super) fn stop(mut self) -> Result<Stopped> {
        run(Command::new("kill").args(["-TERM", &self.pid.to_string()]))?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(begin.elapsed() < Duration::from_secs(60), "it does not end");
            thread::sleep(Duration::from_millis(50));
        };
        let file = File::open(self.folder.join("log"))?;
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        let odd = lines.filter(|line| line.contains("panicked") || line.contains(" ERROR "));
        Ok(Stopped {
            ended_well: status.success(),
            reloads: self.reloads,
            odd: odd.take(20).collect(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Default)]
pub(super) struct Stopped {
    pub(super) ended_well: bool,
    pub(super) reloads: usize,
    /// Panics and errors.
    pub(super) odd: Vec<String>,
}

/// Puts a component to where it is served from, in one step.
fn place(guests: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let from = guests.join(name).with_extension("wasm");
    let (new, file) = (
        folder.join(format!("{name}.new")),
        folder.join(format!("{name}.wasm")),
    );
    fs::copy(&from, &new).with_context(|| from.display().to_string())?;
    fs::rename(new, &file)?;
    Ok(file)
}

fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(2000);
    text.get(start..).unwrap_or_default()
}
