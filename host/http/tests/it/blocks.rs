//! Blocks that are larger than what is sent at once: nothing of them is lost or doubled, and they are
//! not kept twice.

use crate::support::{Ended, TestServer, large};

const DROPPED: &str = "dropped block of /owned";

#[track_caller]
fn assert_is_of_the_block(body: &[u8]) {
    if !large().starts_with(body) {
        let wrong = body.iter().zip(large()).position(|(is, due)| is != due);
        panic!("{} bytes are wrong from {wrong:?} on", body.len());
    }
}

#[test]
fn a_block_is_released_when_the_client_has_taken_it() {
    let server = TestServer::start();
    let mut client = server.connect_narrow();
    let alive = || !server.events.all().iter().any(|event| event == DROPPED);
    // Without framing, so that bytes can be counted.
    client.send("GET /owned HTTP/1.0\r\n\r\n");
    assert_eq!(client.head().status, 200);
    // Something was sent, so all that is ever copied beforehand has been.
    assert!(alive());
    let whole = large().len();
    let mut body = client.take(whole / 2);
    assert!(alive());
    body.extend(client.take(whole / 2));
    // Though the answer is not at its end.
    server.events.wait(DROPPED);
    assert_is_of_the_block(&body);
    drop(client);
    let line = &server.log.lines(1)[0];
    assert!(line.contains(&format!(" 200 {whole} ")), "{line}");
}

#[test]
fn a_block_is_released_when_its_client_has_left() {
    let server = TestServer::start();
    let mut client = server.connect_narrow();
    client.send("GET /owned HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.head().status, 200);
    client.reset();
    server.events.wait(DROPPED);
    assert!(server.log.lines(1)[0].ends_with(" aborted"));
}

#[test]
fn a_large_block_is_sent_in_chunks_and_whole_before_a_failure() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /owned?fail HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = client.head();
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    let (rest, ended) = client.rest();
    assert_eq!(ended, Ended::Closed);
    let whole = large().len();
    let mut body = Vec::new();
    let mut left = &rest[..];
    while !left.is_empty() {
        let line = left.iter().position(|byte| *byte == b'\r').unwrap();
        let size = std::str::from_utf8(&left[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        assert!((1..=64 * 1024).contains(&size), "{size}");
        left = left[line..].strip_prefix(b"\r\n").unwrap();
        body.extend_from_slice(&left[..size]);
        left = left[size..].strip_prefix(b"\r\n").unwrap();
    }
    assert_eq!(body.len(), whole);
    assert_is_of_the_block(&body);
    let line = &server.log.lines(1)[0];
    assert!(line.contains(&format!(" 200 {whole} ")), "{line}");
    assert!(line.ends_with(" aborted"), "{line}");
}

#[test]
fn a_large_block_is_cut_where_its_answer_ends() {
    let server = TestServer::start();
    let mut client = server.connect();
    let whole = large().len();
    for length in [1, 64 * 1024, 64 * 1024 + 1, 1_000_000, whole] {
        let answer = client.get(&format!("/owned?{length}"));
        assert_eq!(answer.body.len(), length);
        assert_is_of_the_block(&answer.body);
    }
    client.send("HEAD /owned?1000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.head().field("content-length"), Some("1000000"));
    assert_eq!(client.get("/hello").text(), "hello");
    let lines = server.log.lines(7);
    for (line, bytes) in lines.iter().zip([1, 65536, 65537, 1_000_000, whole, 0, 5]) {
        assert!(line.contains(&format!(" 200 {bytes} ")), "{line}");
        assert!(!line.ends_with(" aborted"), "{line}");
    }
    let events = server.events.all();
    let dropped = events.iter().filter(|event| *event == DROPPED);
    assert_eq!(dropped.count(), 6);
}
