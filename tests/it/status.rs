//! What an operator sees: `/healthz`, `/readyz` and `/metrics` on the address of `--status-listen`,
//! from the start to the end of the process, and that the numbers are those of what happened.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncWrite};
use wasm_gw_tests::client::End;
use wasm_gw_tests::command::{Process, output, wasm_gw};
use wasm_gw_tests::guests::guest_path;
use wasm_gw_tests::{Client, PATIENCE, Response, eventually};

/// A server with a status address, both on free ports.
struct Watched {
    process: Process,
    status: SocketAddr,
}

impl Watched {
    async fn serve(arguments: &[&str]) -> Self {
        let ours = [
            "serve",
            "--listen=127.0.0.1:0",
            "--status-listen=127.0.0.1:0",
        ];
        let process = Process::serve(wasm_gw(ours.iter().chain(arguments))).await;
        let said = "  status   http://";
        process.says(said).await;
        let text = process.stderr();
        let line = text.lines().find_map(|line| line.strip_prefix(said));
        let status = line.unwrap().parse().unwrap();
        let watched = Self { process, status };
        watched.until_ready().await;
        watched
    }

    /// One GET of the status, on a connection of its own.
    async fn get(&self, path: &str) -> Response {
        ask(&mut Client::connect(self.status).await, "GET", path).await
    }

    /// Waits for this answer of `/readyz`.
    async fn readiness(&self, status: u16, said: &str) {
        let start = Instant::now();
        loop {
            let answer = self.get("/readyz").await;
            if (answer.status, answer.text().as_str()) == (status, said) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "no {said}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_ready(&self) {
        self.readiness(200, "ready\n").await;
    }

    /// The value of a series, as in `traps_total{app="hello"}`, if there is one.
    async fn number(&self, series: &str) -> Option<f64> {
        let answer = self.get("/metrics").await;
        let text = answer.expect(200).text();
        let of_series = |line: &str| {
            let rest = line.strip_prefix("wasm_gw_")?.strip_prefix(series)?;
            Some(rest.strip_prefix(' ')?.parse().unwrap())
        };
        text.lines().find_map(of_series)
    }

    /// Waits until the series has such a value: a guest may end after its answer has.
    async fn until(&self, series: &str, right: impl Fn(f64) -> bool) {
        let start = Instant::now();
        loop {
            let value = self.number(series).await;
            if value.is_some_and(&right) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{series} stays at {value:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The same for one value, that is not passed over: counters do not fall.
    async fn counts(&self, series: &str, expected: f64) {
        self.until(series, |value| value == expected).await;
    }

    /// A request whose guest runs until the client has sent a line or gone.
    async fn occupy(&self) -> Client {
        let mut client = self.process.connect().await;
        client
            .send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n")
            .await;
        client.head().await.expect(200);
        client
    }
}

async fn ask<S>(client: &mut Client<S>, method: &str, path: &str) -> Response
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    client
        .send(format!("{method} {path} HTTP/1.1\r\nHost: t\r\n\r\n"))
        .await;
    client.response(method).await
}

/// A connection to the socket at `path`, once somebody listens there.
async fn connect_unix(path: &Path) -> Client<tokio::net::UnixStream> {
    eventually("a socket that listens", || {
        std::os::unix::net::UnixStream::connect(path).ok()
    })
    .await;
    Client::connect_unix(path).await
}

#[tokio::test]
async fn three_paths_answer_on_an_address_of_their_own() {
    let mut server = Watched::serve(&["hello.wasm"]).await;
    let health = server.get("/healthz").await;
    assert_eq!(health.expect(200).text(), "ok\n");
    assert_eq!(health.header("cache-control"), Some("no-store"));
    let metrics = server.get("/metrics").await;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(metrics.expect(200).header("content-type"), Some(kind));

    // Where the apps are, these paths are the app's.
    for path in ["/healthz", "/readyz", "/metrics"] {
        let response = server.process.get(path).await;
        assert_eq!(response.expect(200).text(), "hello, world\n");
    }
    server.process.signal(Signal::TERM);
    assert_eq!(server.process.end().await.code(), Some(0));
    // Whoever watches is not in the access log.
    let log = server.process.stdout();
    assert_eq!(log.lines().count(), 3, "{log}");
}

#[tokio::test]
async fn another_path_is_404_and_another_method_405() {
    let server = Watched::serve(&["hello.wasm"]).await;
    let mut client = Client::connect(server.status).await;
    // On one connection: it stays open throughout.
    for path in ["/", "/metrics/", "/healthz/x"] {
        let answer = ask(&mut client, "GET", path).await;
        let text = answer.expect(404).text();
        for known in ["/healthz", "/readyz", "/metrics"] {
            assert!(text.contains(known), "{text}");
        }
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = ask(&mut client, "DELETE", path).await;
        assert_eq!(answer.expect(405).header("allow"), Some("GET, HEAD"));
    }
    let head = ask(&mut client, "HEAD", "/healthz").await;
    assert_eq!(head.expect(200).header("content-length"), Some("3"));
    let after = ask(&mut client, "GET", "/healthz").await;
    assert_eq!(
        (after.expect(200).text().as_str(), after.end),
        ("ok\n", End::Whole)
    );
}

#[tokio::test]
async fn while_the_server_drains_it_is_not_ready_and_still_watched() {
    let mut server = Watched::serve(&["lockstep.wasm"]).await;
    let mut busy = server.occupy().await;
    // A connection that rests does not hold up the end.
    let mut resting = Client::connect(server.status).await;
    server.process.signal(Signal::TERM);
    server.readiness(503, "draining\n").await;
    server.get("/healthz").await.expect(200);
    server.get("/metrics").await.expect(200);
    ask(&mut resting, "GET", "/healthz").await.expect(200);

    busy.send("x\n").await;
    while !busy.chunk().await.unwrap().unwrap().is_empty() {}
    let code = server.process.end().await.code();
    assert_eq!(code, Some(0), "{}", server.process.stderr());
    assert!(resting.is_closed().await);
    let closed = tokio::net::TcpStream::connect(server.status).await;
    assert!(closed.is_err(), "the status address outlives the process");
}

/// A folder whose `app.wasm` cannot be read before somebody writes into it: the server loads for as
/// long as a test wants it to.
fn slow_project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("mkfifo")
        .arg(dir.path().join("app.wasm"))
        .status();
    assert!(made.unwrap().success());
    let manifest = "[serve]\ncomponent = \"app.wasm\"\nlisten = \"127.0.0.1:0\"\n\
                    status-listen = \"unix:status\"\n";
    fs::write(dir.path().join("wasm-gw.toml"), manifest).unwrap();
    dir
}

fn serve_in(dir: &Path) -> Command {
    let mut command = wasm_gw(["serve"]);
    command.current_dir(dir);
    command
}

#[tokio::test]
async fn it_answers_while_components_load() {
    let dir = slow_project();
    let path = dir.path().join("status");
    let watch = async {
        let mut client = connect_unix(&path).await;
        let answer = ask(&mut client, "GET", "/readyz").await;
        assert_eq!(answer.expect(503).text(), "loading\n");
        ask(&mut client, "GET", "/healthz").await.expect(200);
        ask(&mut client, "GET", "/metrics").await.expect(200);
        let app = dir.path().join("app.wasm");
        let hello = fs::read(guest_path("hello")).unwrap();
        let given = tokio::task::spawn_blocking(move || fs::write(app, hello));
        given.await.unwrap().unwrap();
    };
    let (mut process, ()) = tokio::join!(Process::serve(serve_in(dir.path())), watch);
    process.says("  status   unix:status\n").await;
    process.get("/").await.expect(200);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code(), Some(0));
    assert!(!path.exists(), "the socket is left behind");
}

#[tokio::test]
async fn a_signal_while_components_load_leaves_nothing_behind() {
    let dir = slow_project();
    let path = dir.path().join("status");
    let mut child = serve_in(dir.path()).spawn().unwrap();
    let mut client = connect_unix(&path).await;
    ask(&mut client, "GET", "/readyz").await.expect(503);
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let status = eventually("its end", || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn a_server_that_cannot_start_takes_its_status_along() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("status");
    let status = format!("--status-listen=unix:{}", path.display());
    let arguments = ["serve", "no_export.wasm", "--listen=127.0.0.1:0", &status];
    let output = output(wasm_gw(arguments));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!path.exists(), "the socket is left behind");
}

#[tokio::test]
async fn its_start_says_where_it_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let serve = |more: &[&str]| {
        let hello = guest_path("hello");
        let ours = ["serve", hello.to_str().unwrap(), "--listen=127.0.0.1:0"];
        let mut command = wasm_gw(ours.iter().chain(more));
        command.current_dir(dir.path());
        command
    };
    let json = async |more: &[&str]| {
        let process = Process::serve(serve(&[&["--log-format=json"], more].concat())).await;
        let text = process.stderr();
        let line = text.lines().find(|line| line.contains("listens"));
        let said: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
        said["status"].clone()
    };
    assert_eq!(json(&[]).await, serde_json::Value::Null);
    let said = json(&["--status-listen=localhost:0"]).await;
    let address = said.as_str().unwrap().strip_prefix("http://127.0.0.1:");
    assert_ne!(address.unwrap().parse::<u16>().unwrap(), 0);

    // From the file, and the command line above it.
    fs::write(
        dir.path().join("wasm-gw.toml"),
        "[serve]\nstatus-listen = \"unix:of-file\"\n",
    )
    .unwrap();
    assert_eq!(json(&[]).await, "unix:of-file");
    let given = format!("unix:{}", dir.path().join("given").display());
    assert_eq!(json(&[&format!("--status-listen={given}")]).await, given);
}

#[tokio::test]
async fn requests_are_counted_by_app_and_class() {
    let arguments = ["--app=/=hello.wasm", "--app=/fails=returns_error.wasm"];
    let server = Watched::serve(&arguments).await;
    // From the start, so that the first one is a rise.
    for (app, status) in [
        ("hello", "2xx"),
        ("hello", "gone"),
        ("returns_error", "5xx"),
    ] {
        let series = format!("requests_total{{app=\"{app}\",status=\"{status}\"}}");
        assert_eq!(server.number(&series).await, Some(0.0), "{series}");
    }
    for _ in 0..3 {
        server.process.get("/").await.expect(200);
    }
    server.process.get("/fails").await.expect(500);
    server
        .counts("requests_total{app=\"hello\",status=\"2xx\"}", 3.0)
        .await;
    server
        .counts("requests_total{app=\"returns_error\",status=\"5xx\"}", 1.0)
        .await;
    server
        .counts("request_duration_seconds_count{app=\"hello\"}", 3.0)
        .await;
    server
        .until("request_duration_seconds_sum{app=\"hello\"}", |sum| {
            sum > 0.0
        })
        .await;
    // An error that an app returns is no trap.
    server
        .counts("traps_total{app=\"returns_error\"}", 0.0)
        .await;
    server.counts("breaker_open{app=\"hello\"}", 0.0).await;
}

#[tokio::test]
async fn two_mounts_of_one_file_count_together() {
    let server = Watched::serve(&["--app=/a=hello.wasm", "--app=/b=hello.wasm"]).await;
    server.process.get("/a").await.expect(200);
    server.process.get("/b").await.expect(200);
    server
        .counts("requests_total{app=\"hello\",status=\"2xx\"}", 2.0)
        .await;
}

#[tokio::test]
async fn a_trap_is_counted() {
    let server = Watched::serve(&["trap_before_head.wasm"]).await;
    server.process.get("/").await.expect(502);
    server
        .counts("traps_total{app=\"trap_before_head\"}", 1.0)
        .await;
    server
        .counts(
            "requests_total{app=\"trap_before_head\",status=\"5xx\"}",
            1.0,
        )
        .await;
    server
        .counts("timeouts_total{app=\"trap_before_head\"}", 0.0)
        .await;
}

#[tokio::test]
async fn a_trap_after_the_head_is_counted_too() {
    let server = Watched::serve(&["trap_mid_body.wasm"]).await;
    let response = server.process.get("/").await;
    assert_eq!(response.expect(200).end, End::CutOff);
    server
        .counts("traps_total{app=\"trap_mid_body\"}", 1.0)
        .await;
    // The client has seen a 200.
    server
        .counts("requests_total{app=\"trap_mid_body\",status=\"2xx\"}", 1.0)
        .await;
}

#[tokio::test]
async fn a_deadline_that_passed_is_counted() {
    let server = Watched::serve(&["never_returns.wasm", "--timeout=100ms"]).await;
    server.process.get("/").await.expect(504);
    server
        .counts("timeouts_total{app=\"never_returns\"}", 1.0)
        .await;
    server
        .counts("requests_total{app=\"never_returns\",status=\"5xx\"}", 1.0)
        .await;
    server
        .counts("traps_total{app=\"never_returns\"}", 0.0)
        .await;
    // It has spun all the while.
    server
        .until("cpu_seconds_total{app=\"never_returns\"}", |used| {
            used > 0.0
        })
        .await;
}

#[tokio::test]
async fn processor_time_grows_with_what_guests_use() {
    let server = Watched::serve(&["cpu.wasm"]).await;
    let series = "cpu_seconds_total{app=\"cpu\"}";
    server.counts(series, 0.0).await;
    server.process.get("/?ms=20").await.expect(200);
    server.until(series, |used| used > 0.0).await;
    let before = server.number(series).await.unwrap();
    server.process.get("/?ms=20").await.expect(200);
    server.until(series, |used| used > before).await;
}

#[tokio::test]
async fn instances_and_their_memory_are_shown_while_they_live() {
    let server = Watched::serve(&["lockstep.wasm"]).await;
    assert_eq!(server.number("instances_live").await, Some(0.0));
    let budget = server.number("memory_budget_bytes").await.unwrap();
    assert!(budget > 0.0);
    let mut busy = server.occupy().await;
    assert_eq!(server.number("instances_live").await, Some(1.0));
    let committed = server.number("memory_committed_bytes").await.unwrap();
    assert!(
        committed > 0.0 && committed <= budget,
        "{committed} of {budget}"
    );
    busy.send("x\n").await;
    server.counts("instances_live", 0.0).await;
    // Also when its client leaves.
    drop(server.occupy().await);
    server.counts("instances_live", 0.0).await;
    server.counts("run_queue_length", 0.0).await;
}

#[tokio::test]
async fn who_waits_for_an_instance_is_shown() {
    let server = Watched::serve(&["lockstep.wasm", "--concurrency=1"]).await;
    let length = "queue_length{app=\"lockstep\"}";
    let mut busy = server.occupy().await;
    server.counts(length, 0.0).await;
    let mut waiting = server.process.connect().await;
    waiting.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.counts(length, 1.0).await;
    busy.send("x\n").await;
    waiting.response("GET").await.expect(200);
    server.counts(length, 0.0).await;
    server
        .counts("queue_wait_seconds_count{app=\"lockstep\"}", 2.0)
        .await;
    server
        .until("queue_wait_seconds_sum{app=\"lockstep\"}", |sum| sum > 0.0)
        .await;
}

#[tokio::test]
async fn a_client_that_left_before_an_answer_is_counted_as_gone() {
    let server = Watched::serve(&["sleep_forever.wasm"]).await;
    let mut client = server.process.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.counts("instances_live", 1.0).await;
    drop(client);
    server
        .counts("requests_total{app=\"sleep_forever\",status=\"gone\"}", 1.0)
        .await;
    server
        .counts("requests_total{app=\"sleep_forever\",status=\"5xx\"}", 0.0)
        .await;
}

#[tokio::test]
async fn the_cache_s_hits_and_misses_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let cache = format!("--cache-dir={}", dir.path().join("cache").display());
    for (hits, misses) in [(0.0, 1.0), (1.0, 0.0)] {
        let server = Watched::serve(&["hello.wasm", &cache]).await;
        server
            .counts("cache_lookups_total{result=\"hit\"}", hits)
            .await;
        server
            .counts("cache_lookups_total{result=\"miss\"}", misses)
            .await;
    }
}
