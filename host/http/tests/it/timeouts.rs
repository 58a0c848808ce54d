//! Slow heads, resting connections, clients that do not read. Times are short by configuration,
//! and everything waits for what is to happen.

use std::io::Read;

use wasm_gw_http::HttpConfig;

use crate::support::{TestServer, ms, post, timed};

#[test]
fn a_head_that_is_begun_and_not_completed_gets_408() {
    let server = TestServer::with(HttpConfig {
        header_timeout: ms(150),
        ..HttpConfig::default()
    });
    for begun in ["G", "GET /slow HTTP/1.1\r\nHost: x\r\n"] {
        let mut client = server.connect();
        client.send(begun);
        let (answer, took) = timed(|| client.answer());
        answer.assert_page(408);
        assert_eq!(answer.field("connection"), Some("close"));
        client.assert_closed();
        assert!(took >= ms(100), "{took:?}");
    }
    let lines = server.log.lines(2);
    assert!(lines[0].contains("] \"- - -\" 408 "), "{}", lines[0]);
    assert!(lines[1].contains("] \"GET /slow -\" 408 "), "{}", lines[1]);
}

#[test]
fn a_head_that_trickles_gets_408_all_the_same() {
    let server = TestServer::with(HttpConfig {
        header_timeout: ms(200),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.stream.set_read_timeout(Some(ms(20))).unwrap();
    let mut sent = 0;
    // Until the answer is there.
    while client.stream.peek(&mut [0]).is_err() {
        client.send("G");
        sent += 1;
        assert!(sent < 400);
    }
    client.stream.set_read_timeout(None).unwrap();
    client.answer().assert_page(408);
}

#[test]
fn the_second_head_of_a_connection_has_the_same_time() {
    let server = TestServer::with(HttpConfig {
        header_timeout: ms(150),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    assert_eq!(client.get("/hello").status, 200);
    client.send("GET /");
    client.answer().assert_page(408);
    client.assert_closed();

    // Even if the first one's body was not read by the service.
    let mut client = server.connect();
    client.send(post("/ignore", "unread"));
    assert_eq!(client.answer().text(), "ignored");
    client.send("GET /");
    client.answer().assert_page(408);
    client.assert_closed();

    // Even if its beginning came together with the first request.
    let mut client = server.connect();
    client.send(post("/echo", "x") + "GET /par");
    assert_eq!(client.answer().text(), "x");
    client.answer().assert_page(408);
    client.assert_closed();
    let lines = server.log.lines(6);
    assert!(lines[5].contains("] \"GET /par -\" 408 "), "{}", lines[5]);
}

#[test]
fn a_connection_that_sends_nothing_is_closed_in_silence() {
    let server = TestServer::with(HttpConfig {
        header_timeout: ms(100),
        ..HttpConfig::default()
    });
    server.connect().assert_closed();
    // Empty lines are nothing.
    server.connect().send("\r\n").assert_closed();
}

#[test]
fn a_resting_connection_is_closed_in_silence() {
    let server = TestServer::with(HttpConfig {
        keep_alive_timeout: ms(100),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.get("/hello");
    client.assert_closed();

    // Longer than a head may take.
    let server = TestServer::with(HttpConfig {
        header_timeout: ms(50),
        keep_alive_timeout: ms(200),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.get("/hello");
    let ((), took) = timed(|| client.assert_closed());
    assert!(took >= ms(150), "{took:?}");
    assert_eq!(server.log.lines(1).len(), 1);
}

#[test]
fn a_connection_may_rest_longer_than_a_head_may_take() {
    let server = TestServer::with(HttpConfig {
        header_timeout: ms(50),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    for _ in 0..2 {
        assert_eq!(client.send(post("/echo", "body")).answer().text(), "body");
        std::thread::sleep(ms(150));
        // Empty lines before a request do not count, there either.
        client.send("\r\n");
    }
    let chunked =
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    assert_eq!(client.send(chunked).answer().text(), "a");
}

#[test]
fn an_exchange_may_take_longer_than_all_of_these() {
    let server = TestServer::with(HttpConfig {
        header_timeout: ms(50),
        keep_alive_timeout: ms(50),
        write_timeout: ms(50),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
    for byte in b"abc" {
        std::thread::sleep(ms(80));
        client.send([*byte]);
    }
    assert_eq!(client.answer().text(), "abc");
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let server = TestServer::with(HttpConfig {
        write_timeout: ms(150),
        ..HttpConfig::default()
    });
    let mut client = server.connect_narrow();
    client.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    server.events.wait("dropped body of /endless");
    let line = &server.log.lines(1)[0];
    assert!(
        line.contains(" 200 ") && line.ends_with(" aborted"),
        "{line}"
    );
}

#[test]
fn a_client_that_reads_slowly_is_not() {
    let server = TestServer::with(HttpConfig {
        write_timeout: ms(400),
        ..HttpConfig::default()
    });
    let mut client = server.connect_narrow();
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    let length = 8 * 1024 * 1024;
    assert_eq!(
        client.head().field("content-length"),
        Some(&*length.to_string())
    );
    // Twice as long as it may stand still, in pauses of half of that.
    for _ in 0..4 {
        std::thread::sleep(ms(200));
        client.take(1024 * 1024);
    }
    client.take(length - 4 * 1024 * 1024);
    assert!(!server.log.lines(1)[0].ends_with(" aborted"));
}

#[test]
fn a_client_that_reads_more_slowly_than_the_least_rate_is() {
    let server = TestServer::with(HttpConfig {
        write_timeout: ms(400),
        min_rate: 1 << 30,
        ..HttpConfig::default()
    });
    let mut client = server.connect_narrow();
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut piece = [0; 4 * 1024];
    while client.stream.read(&mut piece).is_ok_and(|count| count > 0) {
        std::thread::sleep(ms(20));
    }
    assert!(server.log.lines(1)[0].ends_with(" aborted"));
}
