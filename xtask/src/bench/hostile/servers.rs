//! A server that runs for one scenario: started, asked until it answers, watched, and killed.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::kit::http::Kept;
use crate::kit::process::{dies_with_us, free_address, status_bytes, work_folder};
use crate::kit::programs::{Family, Program};
use crate::suite::{BENCH_GUESTS, component};

/// How long a server may take until it answers. A component is compiled in that time.
const START: Duration = Duration::from_secs(60);

/// How often a server's memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What a server should serve.
#[derive(Default)]
pub(crate) struct Setup {
    /// The victim stands at `/` and the attacker below `/hostile`. Further victims stand at
    /// `/app1`, `/app2` and so on.
    pub(crate) more_victims: usize,
    pub(crate) options: Vec<String>,
    /// Whether to keep the access log, for its processor times.
    pub(crate) access_log: bool,
}

/// A server that runs.
pub(crate) struct Server {
    child: Arc<Mutex<Child>>,
    pid: u32,
    family: Family,
    pub(crate) address: SocketAddr,
    /// The command without paths, for the table.
    pub(crate) ran_with: String,
    access_log: Option<PathBuf>,
}

impl Server {
    /// Starts it and waits until its victim answers.
    pub(crate) fn start(program: &Program, setup: &Setup) -> Result<Self> {
        let address = free_address()?;
        let folder = work_folder()?;
        let mut words = vec!["serve".to_owned()];
        words.extend(program.options.iter().cloned());
        words.extend(setup.options.iter().cloned());
        let ran_with = words[1..].join(" ");
        let mut access_log = None;
        let mut command = dies_with_us(&program.binary, "KILL");
        command.args(&words).stdin(Stdio::null());
        let log = folder.join(format!("{}.log", program.family.name()));
        match program.family {
            Family::Gateway => {
                for (prefix, file) in apps(&folder, setup.more_victims)? {
                    command.arg("--app");
                    command.arg(format!("{prefix}={}", file.display()));
                }
                command.args(["--listen", &address.to_string()]);
                command.arg("--cache-dir").arg(folder.join("cache"));
                if setup.access_log {
                    let path = folder.join("access.log");
                    command.args(["--log-format", "json"]);
                    command.stdout(File::create(&path)?);
                    access_log = Some(path);
                } else {
                    command.stdout(Stdio::null());
                }
                // Written on at its end, always, so that it can be emptied.
                File::create(&log)?;
                command.stderr(OpenOptions::new().append(true).open(&log)?);
            }
            Family::Wasmtime => {
                command.args(["--addr", &address.to_string()]);
                command.arg(component(BENCH_GUESTS, "proxy"));
                // It writes what its guests log without a bound.
                command.stdout(Stdio::null()).stderr(Stdio::null());
            }
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.binary.display()))?;
        let pid = child.id();
        // If memory does run out, then it is this one that should go.
        let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), "1000");
        let server = Self {
            child: Arc::new(Mutex::new(child)),
            pid,
            family: program.family,
            address,
            ran_with,
            access_log,
        };
        server.wait_for_answer().with_context(|| {
            let said = fs::read_to_string(&log).unwrap_or_default();
            format!(
                "{} did not start: {command:?}\n{said}",
                program.family.name()
            )
        })?;
        Ok(server)
    }

    fn wait_for_answer(&self) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < START {
            if !self.is_alive() {
                bail!("it ended");
            }
            let mut client = Kept::new(self.address, START);
            if client.get(&self.victims(0)[0]).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("no answer within {START:?}")
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(lock(&self.child).try_wait(), Ok(None))
    }

    /// The victims' paths: the first one, or all that were asked for beside it.
    pub(crate) fn victims(&self, more: usize) -> Vec<String> {
        match more {
            0 => vec!["/".to_owned()],
            _ => (1..=more).map(|number| format!("/app{number}")).collect(),
        }
    }

    /// The path of an attack.
    pub(crate) fn attack(&self, path: &str) -> String {
        match self.family {
            Family::Gateway => format!("/hostile{path}"),
            Family::Wasmtime => path.to_owned(),
        }
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        status_bytes(self.pid, "VmRSS:")
    }

    /// Watches the memory from now on. Above `ceiling` bytes the server is killed, so that it does
    /// not take the machine with it.
    pub(crate) fn watch(&self, ceiling: u64) -> Watch {
        // Resets the kernel's own record of the peak, which misses nothing between two looks.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
        let shared = Arc::new(Seen::default());
        let thread = {
            let shared = Arc::clone(&shared);
            let child = Arc::clone(&self.child);
            let pid = self.pid;
            thread::spawn(move || {
                while !shared.done.load(Ordering::Relaxed) {
                    let now = status_bytes(pid, "VmRSS:");
                    let peak = status_bytes(pid, "VmHWM:").max(now);
                    shared.peak.fetch_max(peak, Ordering::Relaxed);
                    if now > ceiling {
                        shared.killed.store(true, Ordering::Relaxed);
                        let _ = lock(&child).kill();
                        break;
                    }
                    thread::sleep(LOOK);
                }
            })
        };
        Watch {
            shared,
            thread: Some(thread),
        }
    }

    /// The processor times and statuses of requests for the attacker, out of the access log.
    pub(crate) fn attacks_in_access_log(&self) -> Result<Vec<(u16, Option<f64>)>> {
        let Some(path) = &self.access_log else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            if !line.contains("/hostile/") {
                continue;
            }
            // The last line may be cut, where the server writes on.
            let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else {
                continue;
            };
            let status = line["status"].as_u64().unwrap_or(0);
            found.push((u16::try_from(status)?, line["cpu_ms"].as_f64()));
        }
        Ok(found)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
        if let Some(path) = &self.access_log {
            let _ = fs::remove_file(path);
        }
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The watch over a server's memory.
pub(crate) struct Watch {
    shared: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    peak: AtomicU64,
    killed: AtomicBool,
    done: AtomicBool,
}

impl Watch {
    pub(crate) fn has_killed(&self) -> bool {
        self.shared.killed.load(Ordering::Relaxed)
    }

    /// The most that was resident since the watch began, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.shared.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The gateway's apps. Each victim is a file of its own, since an app has its file's name.
fn apps(folder: &Path, more_victims: usize) -> Result<Vec<(String, PathBuf)>> {
    let hello = component("examples", "hello");
    let mut apps = vec![
        ("/".to_owned(), hello.clone()),
        ("/hostile".to_owned(), component(BENCH_GUESTS, "hostile")),
    ];
    for number in 1..=more_victims {
        let copy = folder.join(format!("app{number}.wasm"));
        fs::copy(&hello, &copy)?;
        apps.push((format!("/app{number}"), copy));
    }
    Ok(apps)
}
