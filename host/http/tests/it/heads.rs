//! Heads that are refused, by hyper and by us: each gets a page, a request id and a log line.

use wasm_gw_http::HttpConfig;
use wasm_gw_protocol::HeadLimits;

use crate::support::{TestServer, post};

/// Sends a head on a new connection and asserts that it is refused there, completely.
#[track_caller]
fn refused(server: &TestServer, head: &[u8], status: u16) {
    let mut client = server.connect();
    client.send(head);
    let answer = client.answer();
    answer.assert_page(status);
    assert_eq!(answer.field("connection"), Some("close"));
    client.finish();
    client.assert_closed();
}

#[test]
fn what_hyper_cannot_parse_gets_our_page_and_a_line() {
    let server = TestServer::start();
    let get = |line: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n").into_bytes();
    let cases: Vec<(Vec<u8>, u16)> = vec![
        (b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        (b"GET /<> HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        (b"GET foo/bar HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        (b"GET /\r\n\r\n".into(), 400),
        (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n".into(), 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n".into(), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".into(), 400),
        (get("Name : value"), 400),
        (get("N me: value"), 400),
        (get("Name"), 400),
        (get("A: b\r\n folded"), 400),
        (get("A: \0"), 400),
        (get("A: a\rb"), 400),
        (get("A: \x0b"), 400),
        (get("Content-Length: 5, 5"), 400),
        (get("Content-Length: +5"), 400),
        (get("Content-Length: 5_0"), 400),
        (get("Content-Length: -0"), 400),
        (get("Content-Length: 0x5"), 400),
        (get("Content-Length: 18446744073709551616"), 400),
        (get("Content-Length: 5\r\nContent-Length: 6"), 400),
        (get("Content-Length: 18446744073709551615"), 431),
        (get("Content-Length: 18446744073709551614"), 431),
        (get("Transfer-Encoding: gzip"), 400),
        (get("Transfer-Encoding: chunked, gzip"), 400),
        (
            b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            400,
        ),
        // 101 fields, where hyper takes 100.
        (get(&["A: b"; 100].join("\r\n")), 431),
        // A head that never ends.
        (get(&"A: b\r\n".repeat(30_000)), 431),
        // More than hyper takes at all, whole and cut off.
        (
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(65_535)).into(),
            414,
        ),
        (format!("GET /{}", "a".repeat(200_000)).into(), 414),
    ];
    for (head, status) in &cases {
        refused(&server, head, *status);
    }
    let lines = server.log.lines(cases.len());
    for (line, (head, status)) in lines.iter().zip(&cases) {
        let head = String::from_utf8_lossy(head);
        assert!(line.contains(&format!(" {status} ")), "{head}: {line}");
        assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    }
    assert!(lines[0].contains("] \"G@T / -\" 400 "), "{}", lines[0]);
    assert!(lines[9].contains("] \"PRI * -\" 400 "), "{}", lines[9]);
    assert_eq!(server.events.all(), [""; 0]);
}

#[test]
fn what_comes_behind_a_refused_head_is_not_taken_for_it() {
    // hyper takes these heads out of its buffer before it refuses them.
    for line in ["Content-Length: 5, 5", "Transfer-Encoding: gzip"] {
        let server = TestServer::start();
        let mut client = server.connect();
        client.send(format!(
            "POST /real HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\nDELETE /forged HTTP/1.1\r\n"
        ));
        client.answer().assert_page(400);
        let lines = server.log.lines(1);
        assert!(lines[0].contains("\"POST /real -\" 400 "), "{}", lines[0]);

        // Behind an answered request the head is not known, which is said.
        let mut client = server.connect();
        client.send(format!(
            "GET /first HTTP/1.1\r\nHost: x\r\n\r\n\
             POST /real HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\nDELETE /forged HTTP/1.1\r\n"
        ));
        client.answer();
        client.answer().assert_page(400);
        let lines = server.log.lines(3);
        assert!(lines[2].contains("\"- - -\" 400 "), "{}", lines[2]);
    }
}

#[test]
fn close_is_heard_beside_bytes_that_hyper_does_not_read() {
    let server = TestServer::start();
    for value in [&b"close, \xff"[..], b"\xff, close", b"close, \xc3\xa9"] {
        let mut client = server.connect();
        let mut request = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: ".to_vec();
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n\r\nGET /tail HTTP/1.1\r\nHost: x\r\n\r\n");
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.field("connection"), Some("close"), "{value:?}");
        client.assert_closed();
    }
}

#[test]
fn a_refusal_after_answers_leaves_them_whole() {
    let server = TestServer::start();
    let mut client = server.connect();
    assert_eq!(client.get("/hello").text(), "hello");
    client.send(
        "GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /stream HTTP/1.1\r\nHost: x\r\n\r\nbad\r\n\r\n",
    );
    assert_eq!(client.answer().text(), "hello");
    assert_eq!(client.answer().text(), "first blocksecond block");
    let page = client.answer();
    page.assert_page(400);
    assert_eq!(page.field("connection"), Some("close"));
    client.assert_closed();
    assert_eq!(server.log.lines(4).len(), 4);
}

#[test]
fn a_refusal_does_not_overtake_an_answer_that_is_not_written_out() {
    // The answer has ended and is not written out, and now the body ends as well: hyper reads
    // on. What it says then cannot be told from the answer, and stays hyper's. How much the
    // kernel takes is not known, so that some of these lengths are met in that state.
    let server = TestServer::start();
    let lengths = (1..100).map(|index| index * 64 * 1024);
    for length in lengths.clone() {
        let mut client = server.connect_narrow();
        let target = format!("/duplex?{length}");
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"
        ));
        assert_eq!(client.head().status, 200);
        client.send("67890bad\r\n\r\n");
        server.events.wait(&format!("body ended beside {length}"));
        let body = client.take(length);
        assert!(body.iter().all(|byte| *byte == b'x'), "{length}");
        let refusal = client.answer();
        assert_eq!(refusal.status, 400);
        assert_eq!(refusal.field("connection"), Some("close"));
        client.assert_closed();
    }
    let lines = server.log.lines(2 * lengths.len());
    for (pair, length) in lines.chunks(2).zip(lengths) {
        let answer = format!("\"POST /duplex?{length} HTTP/1.1\" 200 {length} ");
        assert!(pair[0].contains(&answer), "{}", pair[0]);
        assert!(
            pair[1].contains("\"- - -\" 400 ") || pair[1].contains("\"bad "),
            "{}",
            pair[1]
        );
    }
}

#[test]
fn refusals_come_before_the_service_and_in_order() {
    let server = TestServer::start();
    let big = "v".repeat(8200);
    let cases = [
        (
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(8192)),
            414,
        ),
        (
            format!(
                "GET /{} HTTP/1.1\r\nHost: x\r\nA: {big}\r\n\r\n",
                "a".repeat(8192)
            ),
            414,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\nA: {big}\r\n\r\n"),
            431,
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
                format!("A: {}\r\n", "v".repeat(8000)).repeat(9)
            ),
            431,
        ),
        (
            format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", "M".repeat(33)),
            501,
        ),
        ("CONNECT h:443 HTTP/1.1\r\nHost: x\r\n\r\n".into(), 501),
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 405),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n".into(),
            417,
        ),
    ];
    let mut client = server.connect();
    for (request, status) in &cases {
        // Nothing is unread, so the connection stays.
        client.send(request);
        let answer = client.answer();
        answer.assert_page(*status);
        assert_eq!(answer.field("connection"), None);
        assert_eq!(answer.field("allow").is_some(), *status == 405);
    }
    client
        .send("GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n")
        .answer();
    assert_eq!(server.events.all(), ["called /"]);
    for (line, (_, status)) in server.log.lines(cases.len() + 1).iter().zip(&cases) {
        assert!(line.contains(&format!(" {status} ")), "{line}");
    }
}

#[test]
fn a_refusal_with_a_body_unread_closes() {
    let server = TestServer::with(HttpConfig {
        max_body: 10,
        ..HttpConfig::default()
    });
    refused(&server, post("/hello", "eleven byte").as_bytes(), 413);
    refused(
        &server,
        b"POST /hello HTTP/1.1\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx",
        417,
    );
    assert_eq!(
        server
            .connect()
            .send(post("/echo", "ten bytes."))
            .answer()
            .text(),
        "ten bytes."
    );
}

#[test]
fn pages_are_json_for_those_who_ask() {
    let server = TestServer::start();
    let answer = server
        .connect()
        .send("TRACE / HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n")
        .answer();
    assert_eq!(answer.status, 405);
    let page: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(page["status"], 405);
    assert_eq!(page["request_id"], answer.field("x-request-id").unwrap());
}

#[test]
fn other_limits_of_the_number_of_fields_hold_too() {
    for limit in [3, 200] {
        let server = TestServer::with(HttpConfig {
            head: HeadLimits {
                fields: limit,
                ..HeadLimits::default()
            },
            ..HttpConfig::default()
        });
        let mut client = server.connect();
        let fields = |count| "A: b\r\n".repeat(count);
        let request = |count| format!("GET /hello HTTP/1.1\r\n{}\r\n", fields(count));
        assert_eq!(client.send(request(limit)).answer().status, 200);
        client.send(request(limit + 1)).answer().assert_page(431);
    }
}

#[test]
fn bare_line_feeds_end_lines() {
    // RFC 9112 2.2 allows it, and httparse cannot be told otherwise.
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /hello HTTP/1.1\nHost: x\n\n");
    assert_eq!(client.answer().text(), "hello");
}
