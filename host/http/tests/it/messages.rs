//! What a well-behaved client sees: framing, persistence, pipelining.

use crate::support::{Ended, TestServer, post};

#[test]
fn requests_follow_each_other_on_one_connection() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..3 {
        let answer = client.get("/hello");
        assert_eq!(answer.status_line, "HTTP/1.1 200 OK");
        assert_eq!(answer.text(), "hello");
        assert_eq!(answer.field("content-length"), Some("5"));
        assert_eq!(answer.field("connection"), None);
        assert!(answer.field("date").is_some());
    }
    client.send(post("/echo", "body")).answer();
    assert_eq!(client.get("/hello").status, 200);
}

#[test]
fn the_service_gets_the_facts_of_the_connection() {
    let server = TestServer::start();
    let mut client = server.connect();
    let answer = client.get("/facts");
    let id = answer.field("x-request-id").unwrap().to_owned();
    let remote = client.local_addr();
    let expected = format!(
        "ConnInfo {{ scheme: Http, local: Tcp({}), remote: Tcp({remote}), public: None }}\n{id}\n0ns\nSome(0)\n3\n",
        server.tcp(),
    );
    assert_eq!(answer.text(), expected);
    let second = client
        .send("POST /facts HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc")
        .answer();
    assert_ne!(second.field("x-request-id"), Some(id.as_str()));
    // The length is passed on, hyper's handle for an upgrade is not.
    assert!(second.text().ends_with("\n0ns\nSome(3)\n3\n"), "{second:?}");
    let chunked = "POST /facts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(client.send(chunked).answer().text().contains("\nNone\n"));
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let server = TestServer::start();
    let mut client = server.connect();
    let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nTrailer: ignored\r\n\r\n";
    for request in [
        chunked,
        &post("/echo", "abcdefg"),
        "\r\n\r\nGET /hello HTTP/1.0\r\n\r\n",
    ] {
        for byte in request.as_bytes() {
            client.send([*byte]);
        }
        let answer = client.answer();
        let expected = if request.contains("/echo") {
            "abcdefg"
        } else {
            "hello"
        };
        assert_eq!(answer.text(), expected, "{request}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start();
    let mut client = server.connect();
    let mut all = String::new();
    for index in 0..40 {
        all += &post("/echo", &format!("number {index}"));
        all += "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
    }
    client.send(all);
    for index in 0..40 {
        assert_eq!(client.answer().text(), format!("number {index}"));
        assert_eq!(client.answer().text(), "first blocksecond block");
    }
    assert_eq!(server.log.lines(80).len(), 80);
}

#[test]
fn many_clients_at_once_do_not_meet() {
    let server = TestServer::parallel();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..10 {
                    let mut client = server.connect();
                    for index in 0..10 {
                        let text = format!("{number} {round} {index}");
                        client.send(post("/echo", &text));
                        assert_eq!(client.answer().text(), text);
                        assert_eq!(client.get("/stream").text(), "first blocksecond block");
                    }
                    client.send("GET /fail HTTP/1.0\r\n\r\n").head();
                    let end = (b"first blocksecond block".to_vec(), Ended::Reset);
                    assert_eq!(client.rest(), end);
                }
            });
        }
    });
    let lines = server.log.lines(16 * 10 * 21);
    let aborted = lines.iter().filter(|line| line.ends_with(" aborted"));
    assert_eq!(aborted.count(), 160);
}

#[test]
fn unknown_length_is_chunked_for_1_1_and_ends_by_close_for_1_0() {
    let server = TestServer::start();
    let answer = server.connect().get("/stream");
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.field("content-length"), None);
    assert_eq!(answer.text(), "first blocksecond block");

    let mut client = server.connect();
    client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.head();
    assert_eq!(answer.status_line, "HTTP/1.0 200 OK");
    assert_eq!(answer.field("transfer-encoding"), None);
    assert_eq!(answer.field("content-length"), None);
    assert_eq!(answer.field("connection"), None);
    let (body, ended) = client.rest();
    assert_eq!(body, b"first blocksecond block");
    assert_eq!(ended, Ended::Closed);
}

#[test]
fn http_1_0_stays_only_if_asked_and_length_is_known() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.field("connection"), Some("keep-alive"));
        assert_eq!(answer.text(), "hello");
    }
    client.send("GET /hello HTTP/1.0\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.field("connection"), None);
    client.assert_closed();

    let mut client = server.connect();
    client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n");
    assert_eq!(client.answer().field("connection"), None);
    client.assert_closed();
}

#[test]
fn connection_close_is_obeyed_in_both_directions() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().field("connection"), Some("close"));
    client.assert_closed();

    let mut client = server.connect();
    let answer = client.get("/header?connection=close");
    assert_eq!(answer.field("connection"), Some("close"));
    client.assert_closed();
}

#[test]
fn head_has_the_fields_and_no_body() {
    let server = TestServer::start();
    let mut client = server.connect();
    let mut head = |target: &str| {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        client.head()
    };
    assert_eq!(head("/hello").field("content-length"), Some("5"));
    // Of unknown length: neither an invented zero nor chunks that never come.
    let unknown = head("/stream");
    assert_eq!(unknown.field("content-length"), None);
    assert_eq!(unknown.field("transfer-encoding"), None);
    // What the application announces stays, whatever its body is.
    assert_eq!(head("/announce?99").field("content-length"), Some("99"));
    assert_eq!(head("/announce?0").field("content-length"), Some("0"));
    assert_eq!(head("/status?200").field("content-length"), None);
    assert_eq!(client.get("/hello").text(), "hello");
    for line in &server.log.lines(6)[..5] {
        assert!(line.contains(" 200 0 \""), "{line}");
    }
}

#[test]
fn statuses_without_a_body_have_none() {
    let server = TestServer::start();
    let mut client = server.connect();
    for status in [204, 304] {
        let answer = client.get(&format!("/status?{status}"));
        assert_eq!(answer.status, status);
        assert_eq!(answer.field("content-length"), None);
        assert_eq!(answer.field("transfer-encoding"), None);
    }
    assert_eq!(client.get("/status?200").field("content-length"), Some("0"));
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn the_reason_phrase_is_the_applications() {
    let server = TestServer::start();
    let answer = server.connect().get("/reason");
    assert_eq!(answer.status_line, "HTTP/1.1 200 Quite Fine");
}

#[test]
fn an_application_cannot_frame_its_answer() {
    let server = TestServer::start();
    let mut client = server.connect();
    let answer = client.get("/header?transfer-encoding=gzip,chunked");
    assert_eq!(answer.field("transfer-encoding"), None);
    assert_eq!(answer.text(), "ok");
    for target in [
        "/status?103",
        "/status?101",
        "/header?content-length=2x",
        "/header?content-length=%2B2",
    ] {
        let answer = client.get(target);
        answer.assert_page(500);
    }
    // Its own request id is its own business.
    let answer = client.get("/header?x-request-id=mine");
    assert_eq!(answer.field("x-request-id"), Some("mine"));
}

#[test]
fn more_than_announced_is_cut() {
    let server = TestServer::start();
    let mut client = server.connect();
    let answer = client.get("/announce?15");
    assert_eq!(answer.text(), "first blockseco");
    assert_eq!(client.get("/hello").text(), "hello");
    assert!(server.log.lines(2)[0].contains(" 200 15 \""));
}

#[test]
fn a_body_that_looks_like_a_refusal_is_a_body() {
    let server = TestServer::start();
    let mut client = server.connect();
    let expected = "HTTP/1.1 400 Bad Request\r\n\r\nHTTP/1.1 431 Too Large\r\n\r\n";
    assert_eq!(client.get("/lookalike").text(), expected);
    assert_eq!(client.get("/hello").text(), "hello");
    let mut client = server.connect();
    client.send("GET /lookalike HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().text(), expected);
}
