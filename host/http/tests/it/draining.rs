//! The end of a server: what rests is closed, what is in progress finishes or is cut.

use std::net::TcpStream;

use wasm_gw_http::HttpConfig;

use crate::support::{TestServer, ms, post};

/// A client may keep a connection for its next request, or open one ahead of it; what it has sent by the
/// time that it is told is not lost.
#[test]
fn a_connection_that_rests_since_lately_gets_one_more_answer() {
    let mut server = TestServer::start();
    let mut rested = server.connect();
    rested.get("/hello");
    let mut fresh = server.connect();
    let mut silent = server.connect();
    // Accepted once a later connection is.
    server.connect().get("/hello");
    server.begin_stop();
    while TcpStream::connect(server.tcp()).is_ok() {
        std::thread::yield_now();
    }
    for client in [&mut rested, &mut fresh] {
        let answer = client.get("/hello");
        assert_eq!(answer.text(), "hello");
        assert_eq!(answer.field("connection"), Some("close"));
        client.assert_closed();
    }
    silent.assert_closed();
    drop((fresh, rested, silent));
    assert_eq!(server.stop().cut, 0);
}

/// The answer under way has not said that it is the last, so the client may ask again as soon as it is whole.
#[test]
fn an_answer_that_did_not_say_so_is_not_the_last() {
    let mut server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.head();
    assert_eq!(head.field("connection"), None);
    server.begin_stop();
    while TcpStream::connect(server.tcp()).is_ok() {
        std::thread::yield_now();
    }
    // More than a connection that rests may have.
    std::thread::sleep(ms(1100));
    client.take(head.field("content-length").unwrap().parse().unwrap());
    let last = client.get("/hello");
    assert_eq!(last.text(), "hello");
    assert_eq!(last.field("connection"), Some("close"));
    client.assert_closed();
    drop(client);
    assert_eq!(server.stop().cut, 0);
}

#[test]
fn a_connection_that_rests_for_longer_closes_at_once() {
    let mut server = TestServer::start();
    let mut rested = server.connect();
    rested.get("/hello");
    let mut fresh = server.connect();
    server.connect().get("/hello");
    std::thread::sleep(ms(1100));
    let mut lately = server.connect();
    lately.get("/hello");
    server.begin_stop();
    fresh.assert_closed();
    rested.assert_closed();
    // It was not closed together with them.
    assert_eq!(lately.get("/hello").text(), "hello");
}

#[test]
fn who_waits_in_the_queue_is_served() {
    let mut server = TestServer::with(HttpConfig {
        max_connections: Some(1),
        max_connections_per_address: Some(1000),
        ..HttpConfig::default()
    });
    let mut first = server.connect();
    first.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo");
    server.events.wait("called /echo");
    // More than tokio gives a task at once.
    let mut waiting: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for client in &mut waiting[..290] {
        client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    server.begin_stop();
    while TcpStream::connect(server.tcp()).is_ok() {
        std::thread::yield_now();
    }
    for client in &mut waiting[290..] {
        client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for client in &mut waiting {
        let answer = client.answer();
        assert_eq!(answer.text(), "hello");
        assert_eq!(answer.field("connection"), Some("close"));
        client.assert_closed();
    }
    first.send("dy");
    assert_eq!(first.answer().text(), "body");
    drop((first, waiting));
    assert_eq!(server.stop().cut, 0);
}

#[test]
fn an_exchange_in_progress_finishes_and_new_clients_are_refused() {
    let mut server = TestServer::start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n");
    server.events.wait("called /echo");
    let mut slow = server.connect();
    slow.send("GET /hello HT");
    let mut second = server.connect();
    second.get("/hello");
    second.send("GET /hello HT");
    server.connect().get("/hello");
    let mut old = server.connect();
    old.send("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\n");
    old.send("bo");
    server.connect().get("/hello");
    server.begin_stop();
    while TcpStream::connect(server.tcp()).is_ok() {
        std::thread::yield_now();
    }
    client.send("body");
    let answer = client.answer();
    assert_eq!(answer.text(), "body");
    assert_eq!(answer.field("connection"), Some("close"));
    client.assert_closed();
    // A head that is begun is in progress as well, be it the first or a later one.
    second.send("TP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(second.answer().field("connection"), Some("close"));
    second.assert_closed();
    slow.send("TP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(slow.answer().field("connection"), Some("close"));
    slow.assert_closed();
    old.send("dy");
    assert_eq!(old.answer().field("connection"), Some("close"));
    old.assert_closed();
    drop((client, slow, second, old));
    assert_eq!(server.stop().cut, 0);
}

#[test]
fn exchanges_that_outlast_the_drain_are_cut() {
    let mut server = TestServer::with(HttpConfig {
        graceful_timeout: ms(150),
        ..HttpConfig::default()
    });
    let mut hanging = server.connect();
    hanging.send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut stalled = server.connect();
    stalled.send("GET /stall HTTP/1.0\r\n\r\n");
    stalled.head();
    assert_eq!(stalled.take(23).len(), 23);
    let mut head = server.connect();
    head.send("GET /never HTT");
    // Accepted, and read, once a later connection is answered.
    server.connect().get("/hello");
    server.events.wait("called /hang");
    let log = server.log.clone();
    let events = server.events.clone();
    server.begin_stop();
    assert_eq!(server.stop().cut, 2);
    events.wait("dropped /hang");
    events.wait("dropped body of /stall");
    let lines = log.lines(3).join("\n");
    assert!(
        lines.contains(" 499 0 ") && lines.contains(" 200 23 "),
        "{lines}"
    );
    hanging.assert_closed();
    // What ends by close must not look whole.
    assert_eq!(stalled.rest(), (vec![], crate::support::Ended::Reset));
    head.assert_closed();
}

#[test]
fn a_server_that_is_stopped_at_once_still_answers_what_it_has() {
    for _ in 0..5 {
        let server = TestServer::start();
        let mut client = server.connect();
        client.send(post("/echo", "body"));
        server.events.wait("called /echo");
        let stopping = std::thread::spawn(move || server.stop());
        assert_eq!(client.answer().text(), "body");
        client.assert_closed();
        drop(client);
        assert_eq!(stopping.join().unwrap().cut, 0);
    }
}
