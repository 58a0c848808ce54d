//! Answers that break off: what was sent before arrives, and the client can tell.

use crate::support::{Client, Ended, TestServer};

const BLOCKS: &str = "first blocksecond block";

#[test]
fn a_chunked_answer_breaks_off_without_its_last_chunk() {
    let server = TestServer::start();
    for target in ["/fail", "/fail?late"] {
        let mut client = server.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let answer = client.head();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
        let (rest, ended) = client.rest();
        assert_eq!(
            String::from_utf8(rest).unwrap(),
            "B\r\nfirst block\r\nC\r\nsecond block\r\n"
        );
        assert_eq!(ended, Ended::Closed);
    }
    for line in server.log.lines(2) {
        assert!(line.contains(" 200 23 \""), "{line}");
        assert!(line.ends_with(" aborted"), "{line}");
    }
}

#[test]
fn an_answer_of_announced_length_breaks_off_short() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /fail?1000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.head().field("content-length"), Some("1000"));
    let (rest, ended) = client.rest();
    assert_eq!(String::from_utf8(rest).unwrap(), BLOCKS);
    assert_eq!(ended, Ended::Closed);
    assert!(server.log.lines(1)[0].ends_with(" aborted"));
}

#[test]
fn less_than_announced_is_an_abort() {
    let server = TestServer::start();
    for version in ["1.1", "1.0"] {
        let mut client = server.connect();
        client.send(format!(
            "GET /announce?24 HTTP/{version}\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
        ));
        client.head();
        let (rest, ended) = client.rest();
        assert_eq!(String::from_utf8(rest).unwrap(), BLOCKS);
        assert_eq!(ended, Ended::Closed);
    }
    for line in server.log.lines(2) {
        assert!(line.ends_with(" aborted"), "{line}");
    }
}

#[test]
fn an_answer_that_ends_by_close_breaks_off_by_reset() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /fail HTTP/1.0\r\n\r\n");
    assert_eq!(client.head().status, 200);
    let (rest, ended) = client.rest();
    assert_eq!(String::from_utf8(rest).unwrap(), BLOCKS);
    assert_eq!(ended, Ended::Reset);
    assert!(server.log.lines(1)[0].ends_with(" aborted"));
}

#[test]
fn an_abort_with_a_body_unread_still_delivers() {
    // The close must not turn into a reset that overtakes the blocks.
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST /fail HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    client.send(vec![b'x'; 50_000]);
    client.head();
    let (rest, ended) = client.rest();
    assert!(
        String::from_utf8(rest)
            .unwrap()
            .ends_with("second block\r\n")
    );
    assert_eq!(ended, Ended::Closed);
}

#[test]
fn a_service_that_panics_takes_only_its_connection() {
    let server = TestServer::start();
    let mut client: Client = server.connect();
    client.send("GET /panic HTTP/1.1\r\nHost: x\r\n\r\n");
    client.assert_closed();
    let line = &server.log.lines(1)[0];
    assert!(
        line.contains(" 499 0 \"") && line.ends_with(" aborted"),
        "{line}"
    );
    assert_eq!(server.connect().get("/hello").text(), "hello");
}
