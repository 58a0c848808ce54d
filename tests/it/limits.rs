//! What a guest may hand to the host, and what it may make the host keep: each of them is bounded, and
//! beyond the bound it fails by itself (the sizes are in `host/runtime/src/limits.rs`).

use wasm_gw_tests::alone::{Rise, alone};
use wasm_gw_tests::{Response, TestApp, TestServer, log};

async fn failed(response: &Response, status: u16, said: &str) {
    response.expect(status);
    log::wait(response.id(), said).await;
}

#[tokio::test]
async fn random_bytes_of_one_call_are_bounded() {
    let server = TestApp::of("big_random").serve().await;
    for source in ["", "&insecure"] {
        let response = server.get(&format!("/?n=1048576&times=3{source}")).await;
        assert_eq!(response.expect(200).text(), "3145728\n");
        for n in ["1048577", "4294967295", "18446744073709551615"] {
            let response = server.get(&format!("/?n={n}{source}")).await;
            failed(&response, 502, "the guest trapped").await;
        }
    }
}

#[tokio::test]
async fn what_one_call_carries_is_bounded() {
    // Lists and strings that fit into the guest many times over, and into the host only so often.
    for (guest, target) in [
        ("big_block", "/?mib=33"),
        ("big_block", "/?mib=33&via=bytes"),
        ("big_block", "/?mib=33&via=write"),
        ("big_block", "/?mib=33&via=of-bytes"),
        ("returns_error", "/?bytes=40000000"),
        ("own_environ", "/?n=1000&bytes=40000"),
        ("many_headers", "/?n=1000&m=40000"),
        ("many_headers", "/?n=1000000&m=0"),
        ("environ_edits", "/?long=40000000"),
        ("stdio", "/?only=errors&line=40000000"),
    ] {
        let server = TestApp::of(guest).serve().await;
        let response = server.get(target).await;
        assert_eq!(response.status, 502, "{guest}{target}");
        failed(&response, 502, "fuel").await;
    }
}

#[tokio::test]
async fn s5_an_environ_has_a_largest_size() {
    let server = TestApp::of("environ_edits").serve().await;
    let said = async |target: &str, what: &str| {
        let text = server.get(target).await.expect(200).text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{what}: ")));
        line.unwrap().to_owned()
    };
    assert_eq!(said("/?long=1048576", "set too long").await, "refused");
    assert_eq!(said("/?long=1048576", "get too long").await, "refused");
    assert_eq!(said("/?long=1000", "set too long").await, "ok");
    let many: u64 = said("/?many=100000", "many").await.parse().unwrap();
    assert!((500..=1024).contains(&many), "{many}");
}

#[tokio::test]
async fn an_environ_of_the_guests_own_is_held_to_the_same_bounds() {
    let server = TestApp::of("own_environ").serve().await;
    assert_eq!(server.get("/?n=1024").await.expect(200).text(), "1024\n");
    failed(
        &server.get("/?n=1025").await,
        502,
        "more than 1024 variables",
    )
    .await;
    failed(
        &server.get("/?bytes=1048577").await,
        502,
        "bytes of variables",
    )
    .await;
    failed(&server.get("/?bad").await, 502, "above U+00FF").await;
}

#[tokio::test]
async fn read_lines_returns_so_many_lines_at_once() {
    let server = TestApp::of("input_ops").serve().await;
    let body = "\n".repeat(65_537);
    let response = server.post("/?ops=lines", body.as_bytes()).await;
    assert_eq!(response.expect(200).text(), r#"[{"error":"too-large"}]"#);
    let response = server.post("/?ops=lines", &body.as_bytes()[1..]).await;
    let lines: Vec<Vec<String>> = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(lines[0].len(), 65_536);
    // With a hint fewer lines than asked for are a fair answer.
    let response = server
        .post("/?ops=lines:1000000,lines:1000000", body.as_bytes())
        .await;
    let lines: Vec<Vec<String>> = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((lines[0].len(), lines[1].len()), (65_536, 1));
}

/// The guest's text in the log, in lines and bytes.
fn logged(response: &Response) -> (usize, usize) {
    let lines = log::of(response.id());
    (
        lines.len(),
        lines.iter().map(|line| line.message.len()).sum(),
    )
}

#[tokio::test]
async fn s23_the_log_of_a_request_is_cut_and_says_so_once() {
    let server = TestApp::of("stdio").serve().await;
    for query in [
        "mib=1",
        "only=stdout&mib=1",
        "only=stderr&line=1000000",
        "only=errors&mib=1",
    ] {
        let response = server.get(&format!("/?{query}")).await;
        assert_eq!(response.expect(200).text(), "logged\n");
        let said = "the guest's log is cut here: a request may write 262144 bytes";
        log::wait(response.id(), said).await;
        let cuts = log::of(response.id());
        let cuts = cuts.iter().filter(|line| line.message == said).count();
        assert_eq!(cuts, 1, "{query}");
        let (_, bytes) = logged(&response);
        assert!((200 << 10..=257 << 10).contains(&bytes), "{query}: {bytes}");
    }
}

#[tokio::test]
async fn s23_a_long_line_is_several() {
    let response = TestApp::of("stdio").get("/?only=errors&line=20000").await;
    log::wait_of_guest(response.expect(200).id(), "wsgi.errors", 3).await;
    let lines = log::of_guest(response.id(), "wsgi.errors");
    let lengths: Vec<usize> = lines.iter().map(String::len).collect();
    assert_eq!(lengths, [8192, 8192, 3616]);
}

#[tokio::test]
async fn s23_lines_without_text_are_not_free() {
    // Each is a line of the log with a time, a level and an id.
    let server = TestApp::of("stdio").serve().await;
    let text = "%0A".repeat(2000);
    let response = server
        .get(&format!("/?only=errors&text={text}&times=200"))
        .await;
    response.expect(200);
    log::wait(response.id(), "the guest's log is cut here").await;
    let (lines, _) = logged(&response);
    assert!(lines < 5000, "{lines} lines");
}

#[tokio::test]
async fn errors_of_a_guest_are_logged_in_bounds() {
    // A returned error is always told, however long.
    let response = TestApp::of("returns_error").get("/?bytes=10000000").await;
    failed(&response, 500, "GuestError: mmm").await;
    let (lines, bytes) = logged(&response);
    assert!(
        lines <= 2 && bytes <= 300 << 10,
        "{lines} lines of {bytes} bytes"
    );
    // And exc-info comes out of the same allowance as the guest's other text.
    let server = TestApp::of("start_response").serve().await;
    let response = server
        .run("app=start:200 OK;9000*fail:500 Oops;bytes:x")
        .await;
    log::wait(response.expect(500).id(), "the guest's log is cut here").await;
    let (lines, bytes) = logged(&response);
    assert!(
        lines < 5000 && bytes <= 300 << 10,
        "{lines} lines of {bytes} bytes"
    );
}

#[test]
fn the_memory_that_a_guest_makes_the_host_keep_is_bounded() {
    if !alone("limits::the_memory_that_a_guest_makes_the_host_keep_is_bounded") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (guest, target) in [
            ("many_inputs_of_bytes", "/"),
            ("many_handles", "/"),
            ("many_handles", "/?vars=1000"),
            ("many_handles", "/?of=input"),
            ("many_handles", "/?of=bytes"),
            ("many_recorders", "/"),
            ("many_recorders", "/?written=0&message=1000"),
            ("many_recorders", "/?blocks=9999"),
        ] {
            let server = TestApp::of(guest).serve().await;
            let rise = Rise::begin();
            let response = server.get(target).await;
            assert_eq!(response.status, 502, "{guest}{target}");
            log::wait(response.id(), "the guest used up its ").await;
            // The bound is 80 MiB; the allocator and the guest's own memory come on top.
            assert!(rise.mib() < 128, "{guest}{target}: {} MiB", rise.mib());
        }
    });
}

/// What is dropped is given back.
#[tokio::test]
async fn handles_that_are_dropped_cost_nothing() {
    let server: TestServer = TestApp::of("many_recorders").serve().await;
    let response = server.get("/?drop&n=100&message=10").await;
    assert_eq!(response.expect(200).text(), "kept 100\n");
}

#[tokio::test]
async fn a_read_gathers_no_more_than_the_instance_may_have() {
    let server = TestApp::of("echo")
        .app(|app| app.limits.memory = 4 << 20)
        .serve()
        .await;
    server.post("/", &vec![b'a'; 1 << 20]).await.expect(200);
    // `echo` passes the error on, which is the client's: it sent more than this app can take.
    server.post("/", &vec![b'a'; 8 << 20]).await.expect(413);
}
