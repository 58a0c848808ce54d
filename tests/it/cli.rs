//! The command as a user meets it: what it says, what it refuses and with which code, and how it
//! ends. What its options do to a request is tested where the request is.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasm_gw_tests::client::End;
use wasm_gw_tests::command::{Process, output, refused, wasm_gw};
use wasm_gw_tests::guests::guest_path;

const PORT: &str = "--listen=127.0.0.1:0";

/// `wasm-gw serve` with these arguments, on a free port, in the folder of the guests.
fn serve(arguments: &[&str]) -> Command {
    wasm_gw(["serve", PORT].iter().chain(arguments))
}

/// A folder with `app.wasm`, `data/file` and this `wasm-gw.toml`.
fn project(manifest: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(guest_path("env_and_files"), dir.path().join("app.wasm")).unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/file"), "in the file").unwrap();
    fs::write(dir.path().join("wasm-gw.toml"), manifest).unwrap();
    dir
}

/// `wasm-gw serve` in this folder.
fn serve_in(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = wasm_gw(["serve"].iter().chain(arguments));
    command.current_dir(dir);
    command
}

#[test]
fn it_tells_its_version_and_that_of_wasmtime() {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    let lock = fs::read_to_string(lock).unwrap();
    let (_, wasmtime) = lock
        .split_once("name = \"wasmtime\"\nversion = \"")
        .unwrap();
    let wasmtime = wasmtime.split('"').next().unwrap();
    let expected = format!(
        "wasm-gw {} (wasmtime {wasmtime})\n",
        env!("CARGO_PKG_VERSION")
    );
    let output = output(wasm_gw(["--version"]));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn shells_and_readers_of_manuals_are_served() {
    let check = |arguments: &[&str], parts: &[&str]| {
        let output = output(wasm_gw(arguments));
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        for part in parts {
            assert!(
                stdout.contains(part),
                "{arguments:?}: no `{part}` in: {stdout}"
            );
        }
    };
    check(&["completions", "bash"], &["COMPREPLY", "--memory-total"]);
    check(
        &["completions", "zsh"],
        &["#compdef wasm-gw", "--memory-total"],
    );
    check(
        &["completions", "fish"],
        &["complete -c wasm-gw", "memory-total"],
    );
    check(&["man"], &[".TH wasm-gw 1", "serve"]);
    check(&["man", "serve"], &[".TH wasm-gw", "memory\\-total"]);
    refused(wasm_gw(["man", "none"]), 2, &["there is no such command"]);
}

#[tokio::test]
async fn it_says_what_it_serves_and_where_and_stops_when_told() {
    let mut process = Process::serve(serve(&["hello.wasm"])).await;
    let said = process.stderr();
    for part in [
        "app      hello at /",
        "limits   256.0 MiB memory, 30s to answer, 10s of processor time, 1000 instances at once, 1000 waiting up to 5s",
        "grants   none: no environment, no files, no network; /tmp in memory",
        "for all instances; 32 slots",
        "listens  http://127.0.0.1:",
    ] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }

    let response = process.get("/").await;
    assert_eq!(response.expect(200).text(), "hello, world\n");
    let server = response.header("server").unwrap();
    assert!(server.starts_with("wasm-gw/"), "{server}");

    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code(), Some(0), "{}", process.stderr());
    // stdout is the access log, all else is on stderr.
    let log = process.stdout();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(
        log.contains("\"GET / HTTP/1.1\" 200 13") && log.contains(response.id()),
        "{log}"
    );
    assert!(
        process.stderr().contains("stopping"),
        "{}",
        process.stderr()
    );
}

#[tokio::test]
async fn a_request_in_flight_is_finished_before_it_stops() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = Process::serve(serve(&["blocks_slow.wasm"])).await;
        let mut client = process.connect().await;
        client
            .send("GET /?n=3&ms=100 HTTP/1.1\r\nHost: test\r\n\r\n")
            .await;
        client.head().await.expect(200);
        assert_eq!(client.chunk().await.unwrap().unwrap(), b"block 1\n");
        process.signal(signal);
        process.says("stopping").await;
        assert_eq!(client.chunk().await.unwrap().unwrap(), b"block 2\n");
        assert_eq!(client.chunk().await.unwrap().unwrap(), b"block 3\n");
        assert_eq!(
            client.chunk().await.unwrap().unwrap(),
            b"",
            "the body has its end"
        );
        assert!(client.is_closed().await);
        drop(client);
        assert_eq!(process.end().await.code(), Some(0), "{}", process.stderr());
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut process = Process::serve(serve(&["sleep_forever.wasm"])).await;
    let mut client = process.connect().await;
    client
        .send("GET /?in=next HTTP/1.1\r\nHost: test\r\n\r\n")
        .await;
    client.head().await.expect(200);
    process.signal(Signal::TERM);
    process.says("stopping").await;
    process.signal(Signal::INT);
    assert_eq!(process.end().await.code(), Some(1), "{}", process.stderr());
    assert!(
        process.stderr().contains("second signal"),
        "{}",
        process.stderr()
    );
}

#[tokio::test]
async fn the_graceful_timeout_bounds_the_waiting() {
    let arguments = ["sleep_forever.wasm", "--graceful-timeout=50ms"];
    let mut process = Process::serve(serve(&arguments)).await;
    let mut client = process.connect().await;
    client
        .send("GET /?in=next HTTP/1.1\r\nHost: test\r\n\r\n")
        .await;
    client.head().await.expect(200);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code(), Some(0), "{}", process.stderr());
    assert!(
        process.stderr().contains("1 requests were cut off"),
        "{}",
        process.stderr()
    );
}

#[test]
fn what_cannot_be_served_is_named() {
    let check = |arguments: &[&str], expected: &[&str]| refused(serve(arguments), 1, expected);
    check(
        &["nowhere.wasm"],
        &["error: cannot serve nowhere.wasm: No such file"],
    );
    check(&["/"], &["error: cannot serve /: Is a directory"]);
    check(
        &["no_export.wasm"],
        &["cannot serve no_export.wasm: ", "does not export"],
    );
    check(
        &["hello.wasm", "--memory=64KiB"],
        &["bytes of memory", "raise the memory limit"],
    );
    check(
        &["hello.wasm", "--dir=nowhere::/data"],
        &["the granted folder nowhere", "No such file"],
    );
    check(
        &["hello.wasm", "--dir=hello.wasm::/data"],
        &["it is not a folder"],
    );
    check(
        &["hello.wasm", "--listen=192.0.2.1:80"],
        &["cannot listen on 192.0.2.1:80"],
    );
    check(
        &["hello.wasm", "--listen=unix:/nowhere/x"],
        &["cannot listen on unix:/nowhere/x"],
    );
    check(
        &["hello.wasm", "--status-listen=192.0.2.1:80"],
        &["cannot listen on 192.0.2.1:80"],
    );
}

#[test]
fn a_listener_is_taken_or_goes_with_a_server_that_could_not_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let command = wasm_gw(["serve", "hello.wasm", "--listen", &address]);
    refused(
        command,
        1,
        &[&format!("cannot listen on {address}"), "in use"],
    );

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listen = format!("--listen=unix:{}", path.display());
    refused(
        wasm_gw(["serve", "no_export.wasm", &listen]),
        1,
        &["does not export"],
    );
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn a_wrong_command_line_is_told_apart_by_its_code() {
    let check = |arguments: &[&str], expected: &[&str]| refused(serve(arguments), 2, expected);
    check(&["hello.wasm", "--timout=3s"], &["--timout", "'--timeout'"]);
    check(
        &["hello.wasm", "--timeout=soon"],
        &["`soon` is no length of time", "30s"],
    );
    check(
        &["hello.wasm", "--memory=lots"],
        &["`lots` is no size", "256MiB"],
    );
    check(
        &["hello.wasm", "--env=NAME"],
        &["`NAME` is no pair: write NAME=VALUE"],
    );
    check(
        &["hello.wasm", "--dir=data"],
        &["`data` is no folder grant", "./data::/data:ro"],
    );
    check(
        &["--app=hello.wasm"],
        &["`hello.wasm` is no path with a file or folder: write /prefix=file.wasm"],
    );
    check(
        &["hello.wasm", "--listen=foo"],
        &["cannot listen on \"foo\"", "HOST:PORT or unix:PATH"],
    );
    check(
        &["hello.wasm", "--status-listen=foo"],
        &["cannot listen on \"foo\"", "HOST:PORT or unix:PATH"],
    );
    check(
        &["hello.wasm", "--listen=127.0.0.1:x"],
        &["the port is not a number"],
    );
    check(
        &["hello.wasm", "--mount=x"],
        &["mount `x`", "starts with `/`"],
    );
    check(
        &["--mount=/x"],
        &["--mount /x has no component", "--app /x=FILE"],
    );
    check(
        &[],
        &["nothing to serve", "wasm-gw serve app.wasm", "wasm-gw.toml"],
    );
    check(
        &["hello.wasm", "--server-name="],
        &["server-name ``", "example.com"],
    );
    check(
        &["hello.wasm", "--concurrency=100000"],
        &["concurrency", "at most 10000"],
    );
    check(
        &["hello.wasm", "--reuse-time=5s"],
        &["reuse-time", "say isolation app too"],
    );
    let of_nothing = [
        "concurrency",
        "max-connections",
        "memory",
        "timeout",
        "body-timeout",
        "reuse-requests",
    ];
    for option in of_nothing {
        let zero = if option.ends_with("timeout") {
            "0s"
        } else {
            "0"
        };
        let argument = format!("--{option}={zero}");
        check(&["hello.wasm", &argument], &[option, "would serve nobody"]);
    }
    check(
        &["--app=/a=hello.wasm", "--app=/a/=echo.wasm"],
        &["two apps are mounted at `/a`", "`hello`", "`echo`"],
    );
    refused(wasm_gw(["hello.wasm"]), 2, &["wasm-gw serve hello.wasm"]);
    refused(wasm_gw(["serv", "hello.wasm"]), 2, &["'serve'"]);
}

#[test]
fn a_wrong_file_is_told_by_line_and_nearest_name() {
    let check = |manifest: &str, expected: &[&str]| {
        let dir = project(manifest);
        let all = [&["error: wasm-gw.toml:"], expected].concat();
        refused(serve_in(dir.path(), &[]), 2, &all);
    };
    check(
        "[serve]\ntimout = \"3s\"\n",
        &[":2: unknown key `timout`; did you mean `timeout`?"],
    );
    check(
        "[sevre]\n",
        &[":1: unknown key `sevre`; did you mean `serve`?"],
    );
    check("[serve]\n\ntimeout = 3\n", &[":3: `timeout`: "]);
    check(
        "[serve]\nlisten = 80\n",
        &[":2: `listen`: expected a text, or a list of texts"],
    );
    check(
        "[serve]\nmemory = \"lots\"\n",
        &[":2: `memory`: `lots` is no size"],
    );
    check(
        "[serve]\ndir = \"data\"\n",
        &[":2: `dir`: `data` is no folder grant"],
    );
    check("[serve\n", &[":1: "]);

    let dir = project("");
    let absent = serve_in(dir.path(), &["--config=other.toml"]);
    refused(absent, 2, &["error: other.toml: No such file"]);
    // Without a mistake in its form: the same words as for the command line.
    let dir = project("[serve]\ncomponent = \"app.wasm\"\nmount = \"x\"\n");
    refused(serve_in(dir.path(), &[]), 2, &["mount `x`"]);
}

const PROJECT: &str = r#"
    [serve]
    component = "app.wasm"
    mount = "/here"
    listen = "127.0.0.1:0"
    dir = "data::/data:ro"
    cache-dir = "compiled"
    [serve.env]
    GREETING = "hello"
"#;

#[tokio::test]
async fn a_project_is_served_by_its_file_from_wherever() {
    let dir = project(PROJECT);
    let config = dir.path().join("wasm-gw.toml");
    let config = format!("--config={}", config.display());
    for command in [
        serve_in(dir.path(), &[]),
        serve_in(Path::new("/"), &[&config]),
    ] {
        let process = Process::serve(command).await;
        let text = process
            .get("/here?read=/data/file&write=/data/new")
            .await
            .text();
        assert!(
            text.contains("read /data/file: ok \"in the file\""),
            "{text}"
        );
        assert!(text.contains("write /data/new: error"), "{text}");
        assert!(text.contains("GREETING"), "{text}");
        process.get("/").await.expect(404);
        assert!(dir.path().join("compiled/key").exists());
        let said = process.stderr();
        assert!(
            said.contains("app at /here") && said.contains("$GREETING"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn the_command_line_stands_above_the_file() {
    let dir = project(PROJECT);
    let moved = Process::serve(serve_in(dir.path(), &["--mount=/there", "--env=OTHER=1"])).await;
    let text = moved.get("/there").await.text();
    assert!(
        text.contains("OTHER") && !text.contains("GREETING"),
        "{text}"
    );
    moved.get("/here").await.expect(404);

    // Another application is not that of the file, and stands not at its mount.
    let hello = guest_path("hello");
    let other = Process::serve(serve_in(dir.path(), &[hello.to_str().unwrap()])).await;
    assert_eq!(other.get("/").await.expect(200).text(), "hello, world\n");
}

#[tokio::test]
async fn several_applications_stand_side_by_side() {
    let arguments = ["--app=/=hello.wasm", "--app=/count=counter.wasm"];
    let process = Process::serve(serve(&arguments)).await;
    assert_eq!(process.get("/").await.text(), "hello, world\n");
    assert_eq!(process.get("/count").await.text().trim(), "1");
    assert_eq!(process.get("/counter").await.text(), "hello, world\n");
    let said = process.stderr();
    assert!(
        said.contains("hello at /") && said.contains("counter at /count"),
        "{said}"
    );
}

#[tokio::test]
async fn instances_serve_many_requests_where_that_is_asked_for() {
    let arguments = [
        "remembers.wasm",
        "--isolation=app",
        "--reuse-requests=2",
        "--memory=64MiB",
    ];
    let process = Process::with_status(&arguments).await;
    let said = process.stderr();
    let line = "shared   by the requests of an app: an instance serves 2 of them, for 10m, up to 32.0 MiB memory";
    assert!(said.contains(line), "{said}");
    for expected in ["1\n", "2\n", "1\n"] {
        assert_eq!(process.get("/").await.text(), expected);
        process.is_empty().await;
    }
}

#[tokio::test]
async fn a_guest_gets_what_is_granted_and_no_more() {
    let dir = project("");
    let data = dir.path().join("data");
    let writable = format!("--dir={}::/rw", data.display());
    let read_only = format!("--dir={}::/ro:ro", data.display());
    let arguments = [
        "env_and_files.wasm",
        "--env=SECRET=a=b",
        &writable,
        &read_only,
    ];
    let mut command = serve(&arguments);
    command.env("NOT_GRANTED", "1");
    let process = Process::serve(command).await;
    let text = process.get("/?read=/ro/file&write=/ro/new").await.text();
    assert!(text.contains("SECRET") && text.contains("a=b"), "{text}");
    assert!(
        !text.contains("NOT_GRANTED") && !text.contains("PATH"),
        "{text}"
    );
    assert!(text.contains("read /ro/file: ok \"in the file\""), "{text}");
    assert!(text.contains("write /ro/new: error"), "{text}");
    let text = process
        .get("/?write=/rw/new&read=/rw/../../etc/passwd")
        .await
        .text();
    assert!(text.contains("write /rw/new: ok"), "{text}");
    assert!(text.contains("read /rw/../../etc/passwd: error"), "{text}");
    assert!(data.join("new").exists());
    assert!(process.stderr().contains("$SECRET"));
    assert!(
        !process.stderr().contains("a=b"),
        "a value is said aloud: {}",
        process.stderr()
    );
}

#[tokio::test]
async fn a_guest_has_a_tmp_unless_it_is_left_out() {
    let check = async |options: &[&str], expected: &str, said: &str| {
        let arguments = [&["env_and_files.wasm"], options].concat();
        let process = Process::serve(serve(&arguments)).await;
        let text = process.get("/?write=/tmp/new").await.text();
        assert!(text.contains(expected), "{options:?}: {text}");
        let stderr = process.stderr();
        let grants = stderr.lines().find(|line| line.contains("  grants "));
        assert!(grants.unwrap().ends_with(said), "{options:?}: {stderr}");
    };
    check(&[], "write /tmp/new: ok", "; /tmp in memory").await;
    check(&["--no-tmp"], "write /tmp/new: error", "no network").await;
}

#[tokio::test]
async fn it_listens_on_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listen = format!("--listen=unix:{}", path.display());
    let mut process = Process::serve(wasm_gw(["serve", "hello.wasm", &listen])).await;
    assert!(
        process
            .stderr()
            .contains(&format!("listens  unix:{}", path.display()))
    );
    let mut socket = tokio::net::UnixStream::connect(&path).await.unwrap();
    socket.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("\r\n\r\nhello, world\n"), "{response}");
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code(), Some(0));
    assert!(!path.exists(), "the socket is left behind");
}

#[tokio::test]
async fn with_json_every_line_is_an_object() {
    let arguments = [
        "--app=/=trap_before_head.wasm",
        "--app=/log=stdio.wasm",
        "--log-format=json",
    ];
    let mut process = Process::serve(serve(&arguments)).await;
    let failed = process.get("/").await;
    failed.expect(502);
    let logged = process.get("/log?controls").await;
    logged.expect(200);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code(), Some(0));

    let parse = |text: String| -> Vec<serde_json::Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .inspect(|value: &serde_json::Value| assert!(value.is_object(), "{value}"))
            .collect()
    };
    let (access, log) = (parse(process.stdout()), parse(process.stderr()));
    assert_eq!(access.len(), 2);
    let status =
        |id: &str| access.iter().find(|line| line["request_id"] == id).unwrap()["status"].clone();
    assert_eq!(
        (status(failed.id()), status(logged.id())),
        (502.into(), 200.into())
    );
    // The first start of all says before that it compiles.
    let serving = log.iter().find(|line| line["message"] == "serving");
    assert_eq!(serving.unwrap()["apps"][1]["mount"], "/log");
    let of = |id: &str| log.iter().filter(|line| line["request_id"] == id).count();
    assert_eq!(of(failed.id()), 1, "a failure is logged once: {log:#?}");
    assert!(of(logged.id()) >= 3, "{log:#?}");
}

#[test]
fn the_schema_is_printed_and_is_the_committed_one() {
    let output = output(wasm_gw(["schema"]));
    assert!(output.status.success());
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/wasm-gw.schema.json");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, fs::read_to_string(committed).unwrap());
}

#[test]
fn help_teaches() {
    let check = |arguments: &[&str], expected: &[&str]| {
        let output = output(wasm_gw(arguments));
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        for part in expected {
            assert!(text.contains(part), "no `{part}` in: {text}");
        }
    };
    check(
        &["--help"],
        &["wasm-gw serve app.wasm", "schema", "fresh instance"],
    );
    let of_serve = [
        "Examples:",
        "[default: 30s]",
        "--dir ./data::/data:ro",
        "WASM_GW_LOG",
        "Grants:",
    ];
    check(&["serve", "--help"], &of_serve);
    check(&["--version"], &["wasm-gw 0."]);
}

#[tokio::test]
async fn an_aborted_body_is_cut_off_by_the_command_too() {
    let mut process = Process::serve(serve(&["trap_mid_body.wasm"])).await;
    let response = process.get("/").await;
    assert_eq!(response.end, End::CutOff, "{response:?}");
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code(), Some(0));
    let said = process.stderr();
    assert!(
        said.contains(response.id()) && said.contains("the guest trapped"),
        "{said}"
    );
}
