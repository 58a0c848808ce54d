//! What a guest does wrong, and what becomes of it: the rows of the failure table that a guest can
//! cause, before and after the head, in what the client sees and in what the log says (S56, S58).

use std::time::Duration;

use wasm_gw_tests::client::{End, Response};
use wasm_gw_tests::{TestApp, TestServer, log};

/// A guest with little memory, and little time where that is what is tested.
async fn serve(guest: &str, said: &str) -> TestServer {
    TestApp::of(guest)
        .app(|app| {
            app.limits.memory = 32 << 20;
            if said == TOO_LATE {
                app.limits.timeout = Duration::from_millis(200);
            }
        })
        .and("/hello", "hello")
        .serve()
        .await
}

const TOO_LATE: &str = "the guest was stopped: no answer within the timeout";

/// The one line of the log that says what went wrong.
async fn failure(response: &Response, said: &str) -> String {
    let line = log::wait(response.id(), said).await;
    let lines = log::of(response.id());
    let warned: Vec<_> = lines.iter().filter(|line| line.level == "WARN").collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert_eq!(line.level, "WARN", "{line:?}");
    line.message
}

/// The page that a client gets, to the letter.
fn assert_page(response: &Response, status: u16, reason: &str) {
    response.expect(status);
    let id = response.id();
    assert_eq!(
        response.text(),
        format!("{status} {reason}\nrequest id: {id}\n")
    );
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("server"), None);
    let names: Vec<&str> = response
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for name in names {
        let known = [
            "content-type",
            "content-length",
            "cache-control",
            "x-request-id",
            "date",
            "retry-after",
        ];
        assert!(known.contains(&name.to_lowercase().as_str()), "{name}");
    }
}

/// Before the head: a page of this status, one line in the log, and the next request is served.
async fn fails(guest: &str, target: &str, status: u16, said: &str) {
    let server = serve(guest, said).await;
    let response = server.get(target).await;
    let reason = match status {
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        504 => "Gateway Timeout",
        _ => panic!("no row for {status}"),
    };
    assert_page(&response, status, reason);
    failure(&response, said).await;
    server.get("/hello").await.expect(200);
}

/// After the head: what was sent before arrives, and no end does.
async fn breaks_off(guest: &str, target: &str, sent: &str, said: &str) {
    let server = serve(guest, said).await;
    let response = server.get(target).await;
    response.expect(200);
    let found = (response.text(), response.end);
    assert_eq!(found, (sent.to_owned(), End::CutOff), "{guest}{target}");
    let line = failure(&response, said).await;
    assert!(line.ends_with("; the response is cut off"), "{line}");
    server.get("/hello").await.expect(200);
}

#[tokio::test]
async fn s58_a_returned_error_is_500() {
    let said = "the application returned an error: GuestError: secret detail";
    for target in ["/", "/?started"] {
        fails("returns_error", target, 500, said).await;
    }
    breaks_off("returns_error", "/?written", "before the error\n", said).await;
}

#[tokio::test]
async fn s56_an_error_in_next_is_500_or_cuts_off() {
    let said = "the application returned an error: Scripted: the iterator failed";
    fails("blocks_lifecycle", "/?error=1", 500, said).await;
    breaks_off("blocks_lifecycle", "/?error=2", "block\n", said).await;
}

#[tokio::test]
async fn a_broken_rule_is_500() {
    let said = "the application broke a rule: ";
    fails("start_response", "/?app=empty", 500, said).await;
    fails(
        "start_response",
        "/?app=start:200%20OK,Content-Length=1",
        500,
        said,
    )
    .await;
    let late = "/?app=start:200%20OK,Content-Length=9;write:x";
    breaks_off("start_response", late, "x", said).await;
}

#[tokio::test]
async fn s56_a_trap_is_502() {
    fails("trap_before_head", "/", 502, "the guest trapped").await;
    fails("trap_before_head", "/?started", 502, "the guest trapped").await;
    fails("trap_mid_body", "/?n=0", 502, "the guest trapped").await;
    breaks_off(
        "trap_mid_body",
        "/?n=2",
        "block\nblock\n",
        "the guest trapped",
    )
    .await;
}

#[tokio::test]
async fn s56_a_panic_is_502_and_its_message_is_in_the_log() {
    let server = serve("panics", "").await;
    let response = server.get("/").await;
    assert_page(&response, 502, "Bad Gateway");
    failure(&response, "the guest trapped").await;
    let said = log::of_guest(response.id(), "stderr").concat();
    assert!(
        said.contains("secret detail") && said.contains("panics.rs"),
        "{said}"
    );
    breaks_off(
        "trap_mid_body",
        "/?panic&n=1",
        "block\n",
        "the guest trapped",
    )
    .await;
}

#[tokio::test]
async fn a_failing_exit_is_502() {
    fails(
        "exit_one_after_write",
        "/?before",
        502,
        "exited with status 1",
    )
    .await;
    fails("exit_zero_before_start", "/", 502, "exited with status 0").await;
    breaks_off(
        "exit_one_after_write",
        "/",
        "not all of it\n",
        "exited with status 1",
    )
    .await;
}

#[tokio::test]
async fn an_exit_with_zero_after_start_is_a_good_end() {
    for (guest, target, body, length) in [
        ("exit_zero_after_write", "/", "all of it\n", None),
        (
            "exit_zero_after_write",
            "/?length",
            "all of it\n",
            Some("10"),
        ),
        ("exit_zero_before_start", "/?started", "", Some("0")),
        ("exit_zero_before_start", "/?in=next", "block\n", None),
        ("exit_zero_before_start", "/?in=close", "block\n", None),
    ] {
        let server = serve(guest, "").await;
        let response = server.get(target).await;
        assert_eq!(
            response.expect(200).header("content-length"),
            length,
            "{target}"
        );
        assert_eq!(
            (response.text().as_str(), response.end),
            (body, End::Whole),
            "{target}"
        );
    }
    // It is held to what it announced.
    let said = "the body ended after 10 of 100 announced bytes";
    breaks_off("exit_zero_after_write", "/?short", "all of it\n", said).await;
}

#[tokio::test]
async fn out_of_memory_is_502() {
    fails("grow_memory", "/", 502, "the guest used up its memory").await;
    // A guest that can live with less may.
    let server = serve("grow_memory", "").await;
    let response = server.get("/?try").await;
    assert!(
        response.expect(200).text().starts_with("got 3"),
        "{}",
        response.text()
    );
    let response = server.get("/?until=16").await;
    assert_eq!(response.expect(200).text(), "got 16 MiB\n");
}

#[tokio::test]
async fn handles_for_ever_are_502() {
    for of in ["environ", "input", "errors", "bytes"] {
        let target = format!("/?of={of}");
        fails(
            "many_handles",
            &target,
            502,
            "the guest used up its handles",
        )
        .await;
    }
    let said = "the guest used up its host memory for its handles";
    fails("many_inputs_of_bytes", "/", 502, said).await;
}

#[tokio::test]
async fn a_stack_overflow_is_502() {
    fails("deep_recursion", "/", 502, "the guest used up its stack").await;
    // The guest's own stack is in its memory, and the host sees an access out of it: below address 0.
    let said = "the guest used up its stack, as it seems (`-zstack-size`";
    fails("deep_recursion", "/?stack=guest", 502, said).await;
}

#[tokio::test]
async fn no_answer_within_the_timeout_is_504() {
    // At once, since each takes its time.
    tokio::join!(
        fails("never_returns", "/", 504, TOO_LATE),
        fails("never_returns", "/?started", 504, TOO_LATE),
        fails("sleep_forever", "/", 504, TOO_LATE),
        fails("sleep_forever", "/?in=start", 504, TOO_LATE),
        fails("spin_in_next", "/?n=0", 504, TOO_LATE),
    );
}

#[tokio::test]
async fn no_next_block_within_the_timeout_cuts_off() {
    tokio::join!(
        breaks_off("never_returns", "/?written", "and then nothing\n", TOO_LATE),
        breaks_off("spin_in_next", "/?n=2", "block\nblock\n", TOO_LATE),
        breaks_off("sleep_forever", "/?in=next", "block\n", TOO_LATE),
    );
}

#[tokio::test]
async fn s58_the_client_sees_no_message_no_backtrace_and_no_path() {
    let server = serve("returns_error", "").await;
    let target = "/?kind=SecretKind&message=secret&traceback=File%20%22/secret/path%22";
    let response = server.get(target).await;
    assert_page(&response, 500, "Internal Server Error");
    let line = failure(&response, "SecretKind: secret").await;
    assert!(
        line.contains("File \"/secret/path\""),
        "the log has it in full: {line}"
    );

    let server = serve("trap_before_head", "").await;
    let response = server.get("/").await;
    assert_page(&response, 502, "Bad Gateway");
    let line = failure(&response, "the guest trapped").await;
    assert!(
        line.contains("wasm backtrace"),
        "the log has it in full: {line}"
    );
    assert!(line.contains("unreachable"), "with its cause: {line}");
}

#[tokio::test]
async fn s58_json_if_asked_for() {
    let server = serve("returns_error", "").await;
    let request = "GET / HTTP/1.1\r\nHost: t\r\nAccept: application/json\r\n\r\n";
    let response = server.send(request).await;
    assert_eq!(
        response.expect(500).header("content-type"),
        Some("application/json")
    );
    let page: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    let expected = serde_json::json!({
        "status": 500,
        "error": "Internal Server Error",
        "request_id": response.id(),
    });
    assert_eq!(page, expected);
}

#[tokio::test]
async fn an_errors_text_cannot_write_lines_of_its_own() {
    let server = serve("returns_error", "").await;
    let response = server
        .get("/?message=a%0aWARN%20fake%0d%1b[31m&traceback=b%0ac")
        .await;
    let line = failure(&response, "GuestError").await;
    assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    assert!(line.contains(r"a\nWARN fake\r\u{1b}[31m\nb\nc"), "{line}");
}

#[tokio::test]
async fn a_failing_head_request_has_no_body() {
    let server = serve("trap_before_head", "").await;
    let mut client = server.connect().await;
    client.send("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let response = client.response("HEAD").await;
    let length: usize = response
        .expect(502)
        .header("content-length")
        .unwrap()
        .parse()
        .unwrap();
    assert!(length > 0);
    client.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(
        client.response("GET").await.expect(200).text(),
        "hello, world\n"
    );
}

#[tokio::test]
async fn s2_a_failed_request_is_not_tried_again() {
    let server = serve("start_response", "").await;
    let response = server.get("/?app=log:called;trap").await;
    response.expect(502);
    failure(&response, "the guest trapped").await;
    assert_eq!(log::of_guest(response.id(), "wsgi.errors"), ["called"]);
}
