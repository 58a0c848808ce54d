//! What a client that asks wrongly is told, and what is written about it: the statuses of the failures
//! that clients cause, the error page, the request id. Those of guests are in `faults`.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use wasm_gw_tests::{Response, TestApp, TestServer, Vars, log, raw};

async fn server() -> TestServer {
    TestApp::of("echo")
        .mounted("/app")
        .http(|http| http.max_body = 10)
        .serve()
        .await
}

/// One request for each way in which a client can fail, but for slowness; headers go after the first
/// line.
fn failures() -> Vec<(String, u16, &'static str)> {
    let long = "a".repeat(9000);
    let get =
        |target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
    let post = |lines: &str, body: &str| {
        format!("POST /app HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n{body}")
    };
    vec![
        (get("/a%00", ""), 400, "Bad Request"),
        ("GET /app HTTP/1.1\r\n\r\n".into(), 400, "Bad Request"),
        (get("/app", "Host: twice\r\n"), 400, "Bad Request"),
        (
            get("/app", "Authorization: a\r\nAuthorization: b\r\n"),
            400,
            "Bad Request",
        ),
        (
            post("Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
            400,
            "Bad Request",
        ),
        (
            post("Transfer-Encoding: chunked", "zz\r\n"),
            400,
            "Bad Request",
        ),
        (get("/elsewhere", ""), 404, "Not Found"),
        (get("/apps", ""), 404, "Not Found"),
        (
            "TRACE /app HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            405,
            "Method Not Allowed",
        ),
        (
            post("Content-Length: 11", "01234567890"),
            413,
            "Payload Too Large",
        ),
        (
            post(
                "Transfer-Encoding: chunked",
                "b\r\n01234567890\r\n0\r\n\r\n",
            ),
            413,
            "Payload Too Large",
        ),
        (get(&format!("/app/{long}"), ""), 414, "URI Too Long"),
        (
            get("/app", "Expect: the-spanish-inquisition\r\n"),
            417,
            "Expectation Failed",
        ),
        (get("https://test/app", ""), 421, "Misdirected Request"),
        (
            get("/app", &format!("X: {long}\r\n")),
            431,
            "Request Header Fields Too Large",
        ),
        (
            "CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            501,
            "Not Implemented",
        ),
        (
            format!("{} /app HTTP/1.1\r\nHost: test\r\n\r\n", "M".repeat(33)),
            501,
            "Not Implemented",
        ),
        (
            post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
            501,
            "Not Implemented",
        ),
    ]
}

/// Those that the HTTP library refuses, whose headers nobody can read.
fn unreadable() -> Vec<(String, u16, &'static str)> {
    let get = |lines: &str| format!("GET /app HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n");
    vec![
        (
            "GET /a b HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            400,
            "Bad Request",
        ),
        (get("X : a"), 400, "Bad Request"),
        (get("Content-Length: +5"), 400, "Bad Request"),
        (
            get(&vec!["X: a"; 100].join("\r\n")),
            431,
            "Request Header Fields Too Large",
        ),
        (
            format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000)),
            414,
            "URI Too Long",
        ),
    ]
}

/// The page for people, and everything about it.
#[track_caller]
fn assert_page(response: &Response, status: u16, reason: &str) {
    assert_eq!(
        (response.status, response.reason.as_str()),
        (status, reason)
    );
    let page = format!("{status} {reason}\nrequest id: {}\n", response.id());
    assert_eq!(response.text(), page);
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(
        response.header("content-length"),
        Some(page.len().to_string().as_str())
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.header("date").is_some());
    assert_eq!(response.header("allow").is_some(), status == 405);
    assert_eq!(response.header("retry-after"), None);
    let said = format!("{:?}", response.headers).to_lowercase() + &page.to_lowercase();
    for name in ["wasm", "hyper", "rust", "gateway", "server"] {
        assert!(!said.contains(name), "{name}: {said}");
    }
    let id = response.id();
    assert!(
        id.len() == 32 && id.bytes().all(|byte| b"0123456789abcdef".contains(&byte)),
        "{id}"
    );
}

#[tokio::test]
async fn each_failure_of_a_client_has_its_status_page_and_line() {
    let server = server().await;
    for (request, status, reason) in failures().into_iter().chain(unreadable()) {
        let response = server.send(&request).await;
        assert_page(&response, status, reason);
        raw::check(&server, &request, |response| {
            assert_page(response, status, reason)
        })
        .await;
        let line = server.access_log_of(response.id()).await;
        assert!(
            line.contains(&format!("\" {status} {} \"", response.body.len())),
            "{line}"
        );
    }
}

#[tokio::test]
async fn the_reason_of_a_refusal_is_in_the_log_once_and_not_on_the_page() {
    let server = server().await;
    for (request, _, _) in failures() {
        let response = server.send(&request).await;
        // No warning: whoever looks after the server can do nothing about a client's mistakes.
        let lines = log::of(response.id());
        let levels: Vec<&str> = lines.iter().map(|line| line.level.as_str()).collect();
        assert_eq!(levels, ["INFO"], "{request:.80?}: {lines:?}");
        let told = format!("{:?}", lines[0]);
        assert!(
            told.contains(&response.status.to_string()) || told.contains("reading"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn an_error_is_json_if_that_was_asked_for() {
    let server = server().await;
    for (request, status, reason) in failures() {
        let (line, rest) = request.split_once("\r\n").unwrap();
        let request = format!("{line}\r\nAccept: application/json, */*;q=0.1\r\n{rest}");
        raw::check(&server, &request, |response| {
            assert_eq!(response.status, status, "{line:.80}");
            assert_eq!(response.header("content-type"), Some("application/json"));
            assert_eq!(response.header("cache-control"), Some("no-store"));
            let page: Value = serde_json::from_slice(&response.body).unwrap();
            let id = response.id();
            let expected = serde_json::json!({"status": status, "error": reason, "request_id": id});
            assert_eq!(page, expected);
        })
        .await;
    }
}

#[tokio::test]
async fn json_is_sent_to_those_who_prefer_it() {
    let server = server().await;
    for (accept, json) in [
        ("application/json", true),
        ("APPLICATION/JSON", true),
        ("application/problem+json", true),
        ("application/json, text/plain, */*", true),
        ("text/html;q=0.5, application/json;q=0.9", true),
        ("text/html, application/xhtml+xml, */*;q=0.8", false),
        ("*/*", false),
        ("", false),
        ("application/json;q=0", false),
        ("text/plain, application/json;q=0.5", false),
        ("application/jsonp", false),
        ("nonsense;;,,q=,", false),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\n\r\n");
        raw::check(&server, &request, |response| {
            let is_json = response.header("content-type") == Some("application/json");
            assert_eq!((response.status, is_json), (404, json), "{accept}");
        })
        .await;
    }
}

#[tokio::test]
async fn an_error_for_head_has_no_page_but_its_length() {
    let server = server().await;
    let of =
        |target: &str, lines: &str| format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
    for (request, status) in [
        (of("/elsewhere", ""), 404),
        (of("https://test/", ""), 421),
        (of("/app", "Expect: x\r\n"), 417),
        (of("/app", "Content-Length: 11\r\n"), 413),
        // By the HTTP library; what it read tells that nothing follows the head.
        (of("/app", "X : y\r\n"), 400),
    ] {
        for (mut client, response) in raw::answers(&server, request.as_bytes()).await {
            assert_eq!(response.status, status);
            let length: usize = response.header("content-length").unwrap().parse().unwrap();
            assert!(length > 40);
            let _ = client.try_finish().await;
            assert!(client.is_closed().await, "{request}");
        }
    }
}

#[tokio::test]
async fn a_slow_head_is_408_and_a_silent_connection_is_closed() {
    let server = TestApp::of("hello")
        .http(|http| http.header_timeout = Duration::from_millis(400))
        .serve()
        .await;
    for begun in [
        "G",
        "GET /slow",
        "GET /slow HTTP/1.1\r\n",
        "GET /slow HTTP/1.1\r\nHost: test\r\n",
    ] {
        let mut client = server.connect().await;
        client.send(begun).await;
        let response = client.response("GET").await;
        assert_page(&response, 408, "Request Timeout");
        assert!(response.closes());
        let _ = client.try_finish().await;
        assert!(client.is_closed().await);
        let line = server.access_log_of(response.id()).await;
        assert!(line.contains(" 408 "), "{line}");
        assert_eq!(line.contains("\"GET /slow "), begun.len() > 1, "{line}");
    }
    // Who has sent nothing waits for nothing; an empty line is nothing.
    for nothing in ["", "\r\n"] {
        let mut client = server.connect().await;
        client.send(nothing).await;
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let server = TestApp::of("echo")
        .http(|http| http.body_timeout = Duration::from_millis(60))
        .serve()
        .await;
    let request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabc";
    let response = server.send(request).await;
    assert_page(&response, 408, "Request Timeout");
    assert!(response.closes());
}

#[tokio::test]
async fn one_id_names_a_request_everywhere() {
    let dump = TestApp::of("environ_dump").serve().await;
    let mut client = dump.connect().await;
    let mut ids = HashSet::new();
    for _ in 0..20 {
        // A client cannot choose it.
        client
            .send("GET / HTTP/1.1\r\nHost: test\r\nX-Request-Id: mine\r\n\r\n")
            .await;
        let response = client.response("GET").await;
        assert_eq!(
            Vars::of(&response).get("wasm_gw.request_id"),
            Some(response.id())
        );
        dump.access_log_of(response.id()).await;
        assert!(ids.insert(response.id().to_owned()));
    }
    let stdio = TestApp::of("stdio").serve().await;
    let response = stdio.get("/").await;
    for (stream, text) in [
        ("stdout", "to stdout"),
        ("stderr", "to stderr"),
        ("wsgi.errors", "to errors"),
    ] {
        assert_eq!(log::of_guest(response.id(), stream), [text]);
    }
    // A failure's page, its header, its log line.
    let trap = TestApp::of("trap_before_head").serve().await;
    let response = trap.get("/").await;
    assert!(response.text().contains(response.id()));
    log::wait(response.id(), "trapped").await;
    trap.access_log_of(response.id()).await;
}

#[tokio::test]
async fn each_request_has_one_line_whatever_becomes_of_it() {
    let server = server().await;
    let mut ids = Vec::new();
    for (request, _, _) in failures() {
        ids.push(server.send(&request).await.id().to_owned());
    }
    for _ in 0..3 {
        ids.push(server.get("/app").await.id().to_owned());
    }
    for id in &ids {
        server.access_log_of(id).await;
    }
    let lines = server.access_log();
    for id in &ids {
        assert_eq!(lines.matches(id.as_str()).count(), 1, "{lines}");
    }
    assert_eq!(lines.lines().count(), ids.len(), "{lines}");
}
