//! Clients that leave: the service's future, or its body, is dropped.

use wasm_gw_http::HttpConfig;

use crate::support::TestServer;

fn unread_post(target: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{}",
        "x".repeat(50_000)
    )
}

#[test]
fn a_closed_side_drops_the_future_though_a_body_is_unread() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(unread_post("/hang"));
    server.events.wait("called /hang");
    client.finish();
    server.events.wait("dropped /hang");
    let line = &server.log.lines(1)[0];
    assert!(line.contains("\"POST /hang HTTP/1.1\" 499 0 "), "{line}");
    assert!(line.ends_with(" aborted"), "{line}");
}

#[test]
fn a_reset_drops_the_future_though_a_body_is_unread() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(unread_post("/hang"));
    server.events.wait("called /hang");
    client.reset();
    server.events.wait("dropped /hang");
    assert!(server.log.lines(1)[0].contains(" 499 0 "));
}

#[test]
fn leaving_is_noticed_without_a_body_and_behind_pipelined_requests() {
    let server = TestServer::start();
    for behind in ["", "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"] {
        for target in ["/hang", "/stall"] {
            let mut client = server.connect();
            client.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n{behind}"));
            server.events.wait(&format!("called {target}"));
            drop(client);
        }
    }
    let lines = server.log.lines(4);
    for line in &lines {
        let status = if line.contains("/hang") {
            " 499 0 "
        } else {
            " 200 23 "
        };
        assert!(
            line.contains(status) && line.ends_with(" aborted"),
            "{line}"
        );
    }
    let events = server.events.all();
    let dropped = events.iter().filter(|event| event.starts_with("dropped"));
    assert_eq!(dropped.count(), 4, "{events:?}");
    assert!(!events.iter().any(|event| event == "called /hello"));
}

#[test]
fn leaving_while_the_answer_streams_drops_the_body() {
    let server = TestServer::start();
    for reset in [false, true] {
        let mut client = server.connect();
        client.send(unread_post("/stall"));
        assert_eq!(client.head().status, 200);
        if reset {
            client.reset();
        } else {
            drop(client);
        }
    }
    let lines = server.log.lines(2);
    for line in &lines {
        assert!(
            line.contains(" 200 23 ") && line.ends_with(" aborted"),
            "{line}"
        );
    }
    let events = server.events.all();
    let dropped = events
        .iter()
        .filter(|event| *event == "dropped body of /stall");
    assert_eq!(dropped.count(), 2, "{events:?}");
}

#[test]
fn a_client_that_closes_its_side_gets_an_answer_that_is_ready() {
    let server = TestServer::with(HttpConfig {
        max_connections: Some(1),
        max_connections_per_address: Some(2),
        ..HttpConfig::default()
    });
    for round in 0..20 {
        // While another one is served, all of it arrives, and the end as well.
        let mut before = server.connect();
        before.send("GET /stall HTTP/1.1\r\nHost: x\r\n\r\n");
        before.head();
        let mut client = server.connect();
        client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
        client.finish();
        drop(before);
        assert_eq!(client.answer().text(), "hello", "{round}");
        assert_eq!(client.answer().text(), "hello", "{round}");
        client.assert_closed();
    }
}

#[test]
fn half_a_head_is_no_request() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET /hello HTTP/1.1\r\nHo");
    client.finish();
    client.assert_closed();
    server.connect().get("/hello");
    assert_eq!(server.log.lines(1).len(), 1);
}
