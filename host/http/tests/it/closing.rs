//! Answers survive the close, whatever the client is still sending.

use std::io::Write;

use wasm_gw_http::HttpConfig;

use crate::support::{Ended, TestServer, ms, timed};

const MIB: usize = 1024 * 1024;

#[test]
fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let server = TestServer::with(HttpConfig {
        max_body: 1000,
        linger_bytes: 8 * MIB as u64,
        ..HttpConfig::default()
    });
    for target in ["/hello", "/ignore"] {
        let mut client = server.connect();
        client.send(format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            4 * MIB
        ));
        for _ in 0..64 {
            client.send(vec![b'x'; 4 * MIB / 64]);
        }
        client.answer().assert_page(413);
        client.finish();
        assert_eq!(client.rest(), (vec![], Ended::Closed));
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_goes_on_sending() {
    let server = TestServer::with(HttpConfig {
        linger_bytes: 8 * MIB as u64,
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.send(format!(
        "POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        4 * MIB
    ));
    for _ in 0..64 {
        client.send(vec![b'x'; 4 * MIB / 64]);
    }
    assert_eq!(client.answer().text(), "ignored");
    client.finish();
    client.assert_closed();
}

#[test]
fn what_is_discarded_is_bounded_in_bytes_and_in_time() {
    let server = TestServer::with(HttpConfig {
        linger_timeout: ms(200),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    client.send("bad\r\n\r\n");
    let (failed, took) = timed(|| {
        // Trickles: the bytes alone would not end it.
        (0..400).any(|_| {
            std::thread::sleep(ms(10));
            client.stream.write_all(b"x").is_err()
        })
    });
    assert!(failed && took >= ms(150), "{took:?}");

    let server = TestServer::start();
    let mut client = server.connect();
    client.send("bad\r\n\r\n");
    let (failed, took) = timed(|| {
        let block = vec![b'x'; MIB];
        // 1 MiB, and what fits into the buffers of both sides.
        (0..64).any(|_| client.stream.write_all(&block).is_err())
    });
    assert!(failed && took < ms(1500), "{took:?}");
}

#[test]
fn a_closing_answer_survives_a_pipelined_request_behind_it() {
    let server = TestServer::start();
    for _ in 0..20 {
        let mut client = server.connect();
        client.send("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.answer().body.len(), 8 * MIB);
        client.assert_closed();
    }
}

#[test]
fn a_large_answer_is_written_out_before_the_close_though_an_upgrade_was_asked_for() {
    // hyper does not wait for the last bytes after such a request if its body was not read
    // (`connection.rs`); with no body it does.
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(
        "GET /large HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: close, Upgrade\r\n\r\n",
    );
    assert_eq!(client.answer().body.len(), 8 * MIB);
    client.assert_closed();
}
