//! The real `wasm-gw`, as a process: for what only the command line decides.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::metrics::Metrics;
use crate::{Client, PATIENCE, Response, crowd, eventually};

/// The binary, built beside the tests by the cargo that built them. A test has no other way to get
/// the binary of another package.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let tests = std::env::current_exe().unwrap();
    // target/debug/deps/it-0123
    let profile = tests.ancestors().nth(2).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--quiet", "--package", "wasm-gw", "--target-dir"])
        .arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "wasm-gw does not build");
    profile.join("wasm-gw")
});

/// The command, with nothing of this process's environment that would change what it does.
pub fn wasm_gw<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(&*BINARY);
    command
        .args(arguments)
        .env_remove("WASM_GW_LOG")
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("GUESTS")).join("cli-cache"),
        )
        .current_dir(env!("GUESTS"))
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn output(mut command: Command) -> Output {
    command.output().unwrap()
}

/// It ends with this code and says all of this on stderr, in one message and no more.
#[track_caller]
pub fn refused(command: Command, code: i32, expected: &[&str]) {
    let shown = format!("{command:?}");
    let output = output(command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{shown}: {stderr}");
    for part in expected {
        assert!(stderr.contains(part), "{shown}: no `{part}` in: {stderr}");
    }
    assert!(
        output.stdout.is_empty(),
        "{shown}: it printed what was not asked for"
    );
    assert_eq!(stderr.matches("error: ").count(), 1, "{shown}: {stderr}");
    for part in ["panicked", "backtrace", ".rs:", "listens"] {
        assert!(!stderr.contains(part), "{shown}: `{part}` in: {stderr}");
    }
}

/// A server in a process of its own, killed when it is dropped.
pub struct Process {
    child: Child,
    stdout: Text,
    stderr: Text,
}

impl Process {
    /// Starts it, and waits until it says where it listens.
    pub async fn serve(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Text::of(child.stdout.take().unwrap());
        let stderr = Text::of(child.stderr.take().unwrap());
        let mut process = Self {
            child,
            stdout,
            stderr,
        };
        eventually("a line that says where it listens", || {
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("it ended with {status}: {}", process.stderr());
            }
            process.stderr().contains("listens").then_some(())
        })
        .await;
        process
    }

    /// `wasm-gw serve` with these arguments, in the folder of the guests, on a free port.
    pub async fn of(arguments: &[&str]) -> Self {
        let port = ["serve", "--listen=127.0.0.1:0"];
        Self::serve(wasm_gw(port.iter().chain(arguments))).await
    }

    /// The same with another port for its status.
    pub async fn with_status(arguments: &[&str]) -> Self {
        let process = Self::of(&[&["--status-listen=127.0.0.1:0"], arguments].concat()).await;
        process.says("  status ").await;
        process
    }

    /// Where it said that it listens.
    pub fn address(&self) -> SocketAddr {
        address_after(&self.stderr(), "listens")
    }

    /// Where its status is to be had.
    pub fn status_address(&self) -> SocketAddr {
        address_after(&self.stderr(), "  status ")
    }

    /// What it counts.
    pub async fn metrics(&self) -> Metrics {
        let answer = crowd::get(self.status_address(), "/metrics").await;
        assert!(answer.status == 200 && answer.whole, "{answer:?}");
        Metrics::parse(&answer.body())
    }

    /// Waits until what it counts fulfils a condition.
    pub async fn counts(
        &self,
        what: &str,
        patience: Duration,
        condition: impl Fn(&Metrics) -> bool,
    ) {
        let begin = Instant::now();
        loop {
            let metrics = self.metrics().await;
            if condition(&metrics) {
                return;
            }
            assert!(
                begin.elapsed() < patience,
                "waited in vain for {what}: {metrics:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no instance is left.
    pub async fn is_empty(&self) {
        self.counts("the end of all instances", PATIENCE, |metrics| {
            metrics.gauge("instances_live") == 0.0
        })
        .await;
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        let folder = self.file("fd");
        std::fs::read_dir(folder).unwrap().count()
    }

    /// Its resident memory in MiB: now (`VmRSS`), or at the highest (`VmHWM`).
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(self.file("status")).unwrap();
        let line = status.lines().find_map(|line| {
            let value = line.strip_prefix(field)?.strip_prefix(':')?;
            value.trim().strip_suffix(" kB")
        });
        line.unwrap().parse::<u64>().unwrap() >> 10
    }

    /// Forgets how much memory it has had: what the start took is no matter of the requests.
    pub fn forget_peak(&self) {
        std::fs::write(self.file("clear_refs"), "5").unwrap();
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }

    pub async fn connect(&self) -> Client {
        Client::connect(self.address()).await
    }

    pub async fn get(&self, target: &str) -> Response {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        let mut client = self.connect().await;
        client.send(&request).await;
        client.response_to(request.as_bytes()).await
    }

    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until it has said this on stderr.
    pub async fn says(&self, part: &str) {
        self.says_times(part, 1).await;
    }

    /// Waits until it has said this on stderr, as often as this.
    pub async fn says_times(&self, part: &str, count: usize) {
        eventually(&format!("`{part}` on stderr {count} times"), || {
            (self.said(part) >= count).then_some(())
        })
        .await;
    }

    /// How often it has said this on stderr.
    pub fn said(&self, part: &str) -> usize {
        self.stderr.count(part)
    }

    /// The line of the access log (in JSON) about this request, once it is written.
    pub async fn access_log_of(&self, request_id: &str) -> serde_json::Value {
        eventually("a line of the access log", || {
            let log = self.stdout();
            let line = log.lines().find(|line| line.contains(request_id))?;
            Some(serde_json::from_str(line).unwrap())
        })
        .await
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end. What it started itself may go on, and write to the same streams.
    pub async fn exit(&mut self) -> ExitStatus {
        eventually("its end", || self.child.try_wait().unwrap()).await
    }

    /// Waits for its end, and for all that it has said.
    pub async fn end(&mut self) -> ExitStatus {
        let status = eventually("the end of the process", || self.child.try_wait().unwrap()).await;
        eventually("the end of its output", || {
            (self.stdout.ended() && self.stderr.ended()).then_some(())
        })
        .await;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first address behind this word.
fn address_after(text: &str, word: &str) -> SocketAddr {
    let (_, rest) = text.split_once(word).unwrap();
    let (_, rest) = rest.split_once("http://").unwrap();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    rest[..end.unwrap_or(rest.len())].parse().unwrap()
}

/// What comes out of a pipe, read by a thread so that it never fills.
struct Text(Arc<Mutex<(String, bool)>>);

impl Text {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Mutex::new((String::new(), false)));
        let text = Self(Arc::clone(&shared));
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let text = &mut shared.lock().unwrap().0;
                text.push_str(&line);
                text.push('\n');
            }
            shared.lock().unwrap().1 = true;
        });
        text
    }

    fn so_far(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    fn count(&self, part: &str) -> usize {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.0.matches(part).count()
    }

    fn ended(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
