//! Request bodies: limits, times, Expect, and nothing of one body taken for the next request.

use std::io::Write;

use wasm_gw_http::HttpConfig;

use crate::support::{TestServer, ms, post};

fn chunked(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn a_chunked_body_over_the_limit_fails_while_it_is_read() {
    let server = TestServer::with(HttpConfig {
        max_body: 8,
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.send(chunked("/echo", "8\r\nabcdefgh\r\n0\r\n\r\n"));
    assert_eq!(client.answer().text(), "abcdefgh");
    client.send(chunked("/echo", "5\r\nabcde\r\n4\r\nfghi\r\n0\r\n\r\n"));
    let answer = client.answer();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.field("connection"), Some("close"));
    client.assert_closed();
    server.events.wait("body TooLarge");
}

#[test]
fn a_malformed_chunk_is_the_clients_fault_and_closes() {
    let server = TestServer::start();
    let cases = [
        "zz\r\n",
        "+1\r\na\r\n",
        "1_0\r\n",
        " 1\r\na\r\n",
        "\r\n",
        "10000000000000000\r\n",
        "1;a\nb\r\nx\r\n",
        "1\r\nabc\r\n",
        "1\nx\r\n",
        "1\r\nx\r\n0\r\nno trailer\r\n\r\n",
        &format!("1;{}\r\nx\r\n", "e".repeat(17_000)),
    ];
    for case in cases {
        let mut client = server.connect();
        client.send(chunked("/echo", case));
        client.send("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{case:?}");
        assert_eq!(answer.field("connection"), Some("close"), "{case:?}");
        client.assert_closed();
    }
    let events = server.events.all();
    assert!(!events.iter().any(|event| event.contains("smuggled")));
    let faults = events.iter().filter(|event| *event == "body Malformed");
    assert_eq!(faults.count(), cases.len());
}

#[test]
fn blanks_after_a_chunk_size_are_accepted() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(chunked("/echo", "3 \r\nabc\r\n0 \r\n\r\n"));
    assert_eq!(client.answer().text(), "abc");
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn a_bare_line_feed_after_the_last_chunk_swallows_what_follows() {
    // hyper takes it for a trailer section. The connection stays in step.
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(chunked(
        "/echo",
        "3\r\nabc\r\n0\r\n\nGET /swallowed HTTP/1.1\r\nHost: x\r\n\r\n",
    ));
    assert_eq!(client.answer().text(), "abc");
    assert_eq!(client.get("/hello").text(), "hello");
    assert_eq!(server.events.all(), ["called /echo", "called /hello"]);
}

#[test]
fn a_client_that_pauses_in_its_body_is_told() {
    let server = TestServer::with(HttpConfig {
        body_timeout: ms(100),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    let answer = client.answer();
    assert_eq!(answer.status, 408);
    assert_eq!(answer.field("connection"), Some("close"));
    client.assert_closed();
    server.events.wait("body TimedOut");
}

#[test]
fn a_body_may_take_longer_than_its_longest_pause() {
    let server = TestServer::with(HttpConfig {
        body_timeout: ms(300),
        min_rate: 5,
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    for byte in b"abcdefghij" {
        std::thread::sleep(ms(60));
        client.send([*byte]);
    }
    assert_eq!(client.answer().text(), "abcdefghij");
}

#[test]
fn a_byte_now_and_then_is_as_silence() {
    for (min_rate, status) in [(256, 408), (0, 200)] {
        let server = TestServer::with(HttpConfig {
            body_timeout: ms(300),
            min_rate,
            ..HttpConfig::default()
        });
        let mut client = server.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
        for byte in b"abcdefghij" {
            std::thread::sleep(ms(60));
            // The server may have closed.
            let _ = client.stream.write_all(&[*byte]);
        }
        assert_eq!(client.answer().status, status, "{min_rate} bytes a second");
    }
}

#[test]
fn a_client_that_stops_in_its_body_is_gone() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    server.events.wait("called /echo");
    client.finish();
    client.assert_closed();
    assert!(server.log.lines(1)[0].contains(" 499 0 "));
}

#[test]
fn continue_is_sent_when_the_body_is_read() {
    let server = TestServer::start();
    let mut client = server.connect();
    for framing in ["Content-Length: 4", "Transfer-Encoding: chunked"] {
        client.send(format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n{framing}\r\n\r\n"
        ));
        let interim = client.head();
        assert_eq!(interim.status_line, "HTTP/1.1 100 Continue");
        client.send(if framing.starts_with('C') {
            "body"
        } else {
            "4\r\nbody\r\n0\r\n\r\n"
        });
        assert_eq!(client.answer().text(), "body");
    }
    assert_eq!(server.log.lines(2).len(), 2);
}

#[test]
fn continue_is_not_sent_for_a_body_nobody_reads() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(
        "POST /ignore HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.answer().text(), "ignored");
    // What the client sends now may be a body or a request.
    client.send("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    client.assert_closed();
    assert_eq!(server.events.all(), ["called /ignore"]);
}

#[test]
fn http_1_0_expects_nothing() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    server.events.wait("called /echo");
    client.send("body");
    assert_eq!(client.answer().text(), "body");
}

#[test]
fn an_unread_body_is_drained_if_it_is_there_and_closes_if_not() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(post("/ignore", "short"));
    assert_eq!(client.answer().text(), "ignored");
    assert_eq!(client.get("/hello").text(), "hello");

    client.send("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegin");
    assert_eq!(client.answer().text(), "ignored");
    client.send("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    client.assert_closed();

    let mut client = server.connect();
    client.send("POST /taste HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegin");
    assert_eq!(client.answer().text(), "true");
    client.send("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    client.assert_closed();
    assert!(
        !server
            .events
            .all()
            .iter()
            .any(|event| event.contains("smuggled"))
    );
}

#[test]
fn both_framings_at_once_close_and_serve_nothing_behind() {
    let server = TestServer::start();
    for fields in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive",
    ] {
        let mut client = server.connect();
        client.send(format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        let answer = client.answer();
        assert_eq!(answer.text(), "abc");
        assert_eq!(answer.field("connection"), Some("close"));
        client.assert_closed();
    }
    assert_eq!(server.events.all(), ["called /echo"; 3]);
}

#[test]
fn two_equal_lengths_are_one() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    );
    assert_eq!(client.answer().text(), "abc");
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn only_chunked_is_a_transfer_coding() {
    let server = TestServer::start();
    for (coding, status) in [
        ("gzip, chunked", 501),
        ("deflate, chunked", 501),
        ("unknown, chunked", 501),
        ("gzip\r\nTransfer-Encoding: chunked", 501),
        ("identity, chunked", 400),
        ("chunked, chunked", 400),
        ("chunked\r\nTransfer-Encoding: chunked", 400),
        (", chunked", 400),
        ("identity\r\nTransfer-Encoding: chunked", 400),
    ] {
        let mut client = server.connect();
        client.send(format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        let answer = client.answer();
        answer.assert_page(status);
        assert_eq!(answer.field("connection"), Some("close"), "{coding}");
        client.assert_closed();
    }
    assert_eq!(server.events.all(), [""; 0]);
    let mut client = server.connect();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n",
    );
    assert_eq!(client.answer().text(), "a");
}
