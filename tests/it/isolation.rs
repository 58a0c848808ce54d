//! What a guest has of the world: a fresh instance, nothing that was not granted, the truth about how it
//! runs, and a log that it can write to but not forge (S4, S16, S23, S24, 2.1).

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use wasm_gw_runtime::{AllocatorChoice, DirGrant, ResetChoice, Runtime, RuntimeConfig};
use wasm_gw_tests::{Response, TestApp, TestServer, log};

#[tokio::test]
async fn s4_each_request_has_a_fresh_instance() {
    let server = TestApp::of("counter").serve().await;
    let mut client = server.connect().await;
    for _ in 0..5 {
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        assert_eq!(client.response("GET").await.expect(200).text(), "1\n");
    }
}

#[tokio::test]
async fn no_byte_of_an_earlier_instance_is_seen() {
    let server = TestApp::of("memory_residue").serve().await;
    for mib in [4, 1, 16, 4] {
        let response = server.get(&format!("/?mib={mib}")).await;
        assert_eq!(response.expect(200).text(), "0\n");
    }
}

/// Every way to make memory new.
fn ways() -> [RuntimeConfig; 3] {
    let config = RuntimeConfig::default;
    [
        config(),
        RuntimeConfig {
            reset: ResetChoice::Overwrite,
            ..config()
        },
        RuntimeConfig {
            allocator: AllocatorChoice::OnDemand,
            ..config()
        },
    ]
}

#[tokio::test]
async fn s4_what_a_memory_begins_with_is_as_new_for_each_request() {
    for config in ways() {
        let runtime = Runtime::new(config).unwrap();
        let way = runtime.allocator().to_string();
        let server = TestApp::of("data_residue")
            .and("/other", "memory_residue")
            .in_runtime(runtime)
            .serve()
            .await;
        let (server, way) = (Arc::new(server), Arc::new(way));
        // Many slots, used by two apps in turns, by requests that leave different things behind.
        let mut clients = JoinSet::new();
        for number in 0..48 {
            let (server, way) = (Arc::clone(&server), Arc::clone(&way));
            clients.spawn(async move {
                for turn in 0..4 {
                    let mib = [1, 0, 8, 3][(number + turn) % 4];
                    let path = ["/", "/", "/other"][(number + turn) % 3];
                    let response = server.get(&format!("{path}?mib={mib}")).await;
                    let text = response.expect(200).text();
                    assert_eq!(text, "0\n", "{path}?mib={mib}, {way}");
                }
            });
        }
        clients.join_all().await;
    }
}

#[tokio::test]
async fn no_two_instances_share_a_seed() {
    let server = TestApp::of("random").serve().await;
    let mut seen = HashSet::new();
    for _ in 0..10 {
        assert!(
            seen.insert(server.get("/").await.expect(200).text()),
            "{seen:?}"
        );
    }
}

/// The answer of `env_and_files` to this query, as a list of lines.
async fn world(server: &TestServer, query: &str) -> Vec<String> {
    let response = server.get(&format!("/?{query}")).await;
    response
        .expect(200)
        .text()
        .lines()
        .map(str::to_owned)
        .collect()
}

async fn tried(server: &TestServer, query: &str) -> String {
    world(server, query).await.pop().unwrap()
}

#[tokio::test]
async fn by_default_a_guest_has_no_variables_no_files_and_no_network() {
    let server = TestApp::of("env_and_files").serve().await;
    let lines = world(&server, "").await;
    // At least one argument: programs read their name there.
    assert_eq!(lines[0], "args: ok [\"env_and_files\"]");
    assert_eq!(lines[1], "env: ok []");
    assert!(lines[3].starts_with("list /: error "), "{lines:?}");
    let port = server.address.port();
    for query in [
        "list=.".to_owned(),
        "read=/etc/passwd".to_owned(),
        "read=/proc/self/environ".to_owned(),
        "write=/srv/x".to_owned(),
        "mkdir=/srv".to_owned(),
        format!("connect=127.0.0.1:{port}"),
        "listen=127.0.0.1:0".to_owned(),
        "udp=127.0.0.1:0".to_owned(),
        "resolve=localhost".to_owned(),
    ] {
        let line = tried(&server, &query).await;
        assert!(line.contains(": error "), "{query}: {line}");
    }
    assert_eq!(tried(&server, "stdin").await, "stdin: ok 0");
}

#[tokio::test]
async fn granted_variables_are_all_that_is_there() {
    let server = TestApp::of("env_and_files")
        .app(|app| {
            app.grants.env = vec![("A".into(), "1 2".into()), ("EMPTY".into(), String::new())];
        })
        .serve()
        .await;
    let lines = world(&server, "").await;
    assert_eq!(lines[1], "env: ok [(\"A\", \"1 2\"), (\"EMPTY\", \"\")]");
}

#[tokio::test]
async fn a_granted_folder_can_be_read_and_written_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let granted = folder.path().join("granted");
    std::fs::create_dir(&granted).unwrap();
    std::fs::write(granted.join("file"), "inside").unwrap();
    std::fs::write(folder.path().join("secret"), "outside").unwrap();
    std::os::unix::fs::symlink("../secret", granted.join("link")).unwrap();
    let server = granting(&granted, false).await;
    assert_eq!(
        tried(&server, "read=/data/file").await,
        "read /data/file: ok \"inside\""
    );
    for outside in [
        "/data/../secret",
        "/data/link",
        "/secret",
        "/data/../../../etc/passwd",
    ] {
        let line = tried(&server, &format!("read={outside}")).await;
        assert!(line.contains(": error "), "{line}");
    }
    assert_eq!(
        tried(&server, "write=/data/new").await,
        "write /data/new: ok ()"
    );
    assert_eq!(
        std::fs::read_to_string(granted.join("new")).unwrap(),
        "written"
    );
    assert_eq!(
        tried(&server, "remove=/data/new").await,
        "remove /data/new: ok ()"
    );
    assert!(!granted.join("new").exists());
}

#[tokio::test]
async fn a_folder_granted_for_reading_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "inside").unwrap();
    let server = granting(folder.path(), true).await;
    assert_eq!(
        tried(&server, "read=/data/file").await,
        "read /data/file: ok \"inside\""
    );
    for query in [
        "write=/data/file",
        "write=/data/new",
        "mkdir=/data/new",
        "remove=/data/file",
    ] {
        let line = tried(&server, query).await;
        assert!(line.contains(": error "), "{line}");
    }
    assert_eq!(
        std::fs::read_to_string(folder.path().join("file")).unwrap(),
        "inside"
    );
    assert!(!folder.path().join("new").exists());
}

async fn granting(folder: &std::path::Path, read_only: bool) -> TestServer {
    let grant = DirGrant {
        host: folder.to_owned(),
        guest: "/data".to_owned(),
        read_only,
    };
    TestApp::of("env_and_files")
        .app(|app| app.grants.dirs = vec![grant])
        .serve()
        .await
}

#[tokio::test]
async fn r2_1_the_run_flags_say_the_truth() {
    let check = async |concurrency: usize, multiprocess: bool| {
        let server = TestApp::of("environ_dump")
            .app(|app| app.concurrency = concurrency)
            .serve()
            .await;
        let text = server.get("/").await.expect(200).text();
        let flags: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("run."))
            .collect();
        let expected = [
            "run.multithread=false".to_owned(),
            format!("run.multiprocess={multiprocess}"),
            "run.run-once=true".to_owned(),
            "run.input-terminated=true".to_owned(),
        ];
        assert_eq!(flags, expected, "{concurrency}");
    };
    check(1000, true).await;
    check(1, false).await;
}

const STREAMS: [&str; 3] = ["stdout", "stderr", "wsgi.errors"];

/// What the guest `stdio` wrote to each stream.
async fn written(server: &TestServer, query: &str) -> (Response, [Vec<String>; 3]) {
    let response = server.get(&format!("/?{query}")).await;
    assert_eq!(response.expect(200).text(), "logged\n");
    let lines = STREAMS.map(|stream| log::of_guest(response.id(), stream));
    (response, lines)
}

#[tokio::test]
async fn s23_each_stream_becomes_lines_of_the_log_with_the_requests_id() {
    let server = TestApp::of("stdio").serve().await;
    let (response, lines) = written(&server, "").await;
    assert_eq!(lines, [["to stdout"], ["to stderr"], ["to errors"]]);
    for line in log::of(response.id()) {
        assert_eq!(line.target, "wasm_gw::guest", "{line:?}");
        assert_eq!(line.fields["app"], "stdio", "{line:?}");
    }
}

#[tokio::test]
async fn s24_text_without_a_line_end_is_logged_at_the_end_of_the_request() {
    let server = TestApp::of("stdio").serve().await;
    let response = server.get("/?text=a%0Ab&open").await;
    for stream in STREAMS {
        log::wait_of_guest(response.id(), stream, 2).await;
        assert_eq!(log::of_guest(response.id(), stream), ["a", "b"], "{stream}");
    }
}

#[tokio::test]
async fn s24_what_was_written_before_a_trap_is_logged() {
    let response = TestApp::of("start_response")
        .get("/?app=log:one;log:two;trap")
        .await;
    response.expect(502);
    assert_eq!(log::of_guest(response.id(), "wsgi.errors"), ["one", "two"]);
}

#[tokio::test]
async fn s23_any_unicode_is_taken_and_controls_are_escaped() {
    let server = TestApp::of("stdio").serve().await;
    let (_, lines) = written(&server, "text=%E2%82%AC%20%F0%9F%90%8D").await;
    assert_eq!(lines, [["€ 🐍"], ["€ 🐍"], ["€ 🐍"]]);
    let (_, lines) = written(&server, "controls").await;
    for lines in lines {
        // One of the controls is a line end.
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with(r"\u{0}\u{1}"), "{lines:?}");
        assert!(lines[0].ends_with("\\u{8}\t"), "{lines:?}");
        let rest = r"\u{7f}\u{85}\u{9b}31m\u{2028}\u{202e}end";
        assert!(lines[1].starts_with(r"\u{b}\u{c}\r\u{e}"), "{lines:?}");
        assert!(lines[1].ends_with(rest), "{lines:?}");
    }
    let (_, lines) = written(&server, "raw").await;
    assert_eq!(lines[0], ["raw \u{fffd}\u{fffd}\u{fffd}"]);
    assert_eq!(lines[1], ["raw \u{fffd}\u{fffd}\u{fffd}"]);
}

#[tokio::test]
async fn s23_a_guest_cannot_forge_a_line_of_the_log() {
    let server = TestApp::of("stdio").serve().await;
    let text = "a%0d%0aWARN%20wasm_gw:%20forged%0d%1b[2K";
    let (_, lines) = written(&server, &format!("only=errors&text={text}")).await;
    assert_eq!(lines[2], [r"a\r", r"WARN wasm_gw: forged\r\u{1b}[2K"]);
}
