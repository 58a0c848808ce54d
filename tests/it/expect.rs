//! `Expect: 100-continue` and other expectations: S51.

use wasm_gw_tests::{Client, TestApp, TestServer, raw};

const LENGTH: (&str, &str) = ("Content-Length: 4", "body");
const CHUNKED: (&str, &str) = ("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n");

fn head(version: &str, expect: &str, framing: &str) -> String {
    format!("POST / HTTP/{version}\r\nHost: test\r\nExpect: {expect}\r\n{framing}\r\n\r\n")
}

async fn echo() -> TestServer {
    TestApp::of("echo").serve().await
}

/// Sends a head that expects to be told to go on, and nothing else yet.
async fn ask(server: &TestServer, framing: &str) -> Client {
    let mut client = server.connect().await;
    client.send(head("1.1", "100-continue", framing)).await;
    client
}

#[tokio::test]
async fn s51_100_is_sent_when_the_body_is_read() {
    // By the guest before it starts; within its iterator; by the host in its stead.
    for guest in ["echo", "echo_stream", "pass_through"] {
        let server = TestApp::of(guest).serve().await;
        let mut client = server.connect().await;
        for (framing, body) in [LENGTH, CHUNKED] {
            client.send(head("1.1", "100-continue", framing)).await;
            let interim = client.head().await;
            assert_eq!((interim.status, interim.reason.as_str()), (100, "Continue"));
            assert_eq!(interim.version, "HTTP/1.1");
            client.send(body).await;
            // Not skipping informational ones: there is one only.
            let head = client.head().await;
            assert_eq!(head.status, 200, "{guest} {framing}");
            match head.header("content-length") {
                Some(_) => client.skip(4).await,
                None => while !client.chunk().await.unwrap().unwrap().is_empty() {},
            }
        }
    }
}

#[tokio::test]
async fn s51_a_body_that_does_not_wait_is_read() {
    let server = echo().await;
    for (framing, body) in [LENGTH, CHUNKED] {
        for expect in [
            "100-continue",
            "100-Continue",
            "100-CONTINUE, 100-continue",
            "100-continue\r\nExpect: 100-continue",
            ", 100-continue,",
            "",
            "\r\nExpect:",
        ] {
            let request = head("1.1", expect, framing) + body;
            raw::stays(&server, request, |response| {
                assert_eq!(response.expect(200).text(), "body", "{expect:?}");
            })
            .await;
        }
    }
}

#[tokio::test]
async fn s51_without_a_read_there_is_no_100_and_the_connection_ends() {
    let server = TestApp::of("read_nothing").serve().await;
    for (framing, _) in [LENGTH, CHUNKED] {
        let mut client = ask(&server, framing).await;
        let head = client.head().await;
        assert_eq!(head.status, 200);
        assert!(head.closes());
        client.skip("unread\n".len() as u64).await;
        // This may be the body or the next request.
        client
            .send("GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n")
            .await;
        let _ = client.try_finish().await;
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn s51_a_refused_body_is_not_asked_for() {
    let server = TestApp::of("echo")
        .mounted("/app")
        .http(|http| http.max_body = 3)
        .serve()
        .await;
    for (target, framing, status) in [
        ("/app", LENGTH.0, 413),
        ("/other", "Content-Length: 3", 404),
        ("/other", CHUNKED.0, 404),
    ] {
        let mut client = server.connect().await;
        let request =
            head("1.1", "100-continue", framing).replacen(" / ", &format!(" {target} "), 1);
        client.send(request).await;
        // The page, with no 100 before it, and then the end.
        assert_eq!(client.head().await.status, status);
        let _ = client.try_finish().await;
        let page = client.rest().await.unwrap();
        assert!(page.starts_with(format!("{status} ").as_bytes()));
    }
}

#[tokio::test]
async fn s51_an_answer_may_begin_before_the_body_comes() {
    let server = TestApp::of("lockstep").serve().await;
    let mut client = ask(&server, CHUNKED.0).await;
    // Whether the guest's first read comes before its first block is out, or after, when there is
    // nothing left to go on with, is not determined.
    let mut head = client.head().await;
    if head.status == 100 {
        head = client.head().await;
    }
    head.expect(200);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"ready\n");
    client.send("5\r\nline\n\r\n").await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"got line\n");
    client.send("0\r\n\r\n").await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn s51_without_a_body_there_is_nothing_to_continue_with() {
    let server = echo().await;
    for framing in ["Content-Length: 0", "X: no length"] {
        let mut client = ask(&server, framing).await;
        assert_eq!(client.head().await.status, 200, "{framing}");
    }
}

#[tokio::test]
async fn s51_http_1_0_expects_nothing() {
    let server = echo().await;
    for expect in ["100-continue", "200-ok", "100-continue, x"] {
        let mut client = server.connect().await;
        client.send(head("1.0", expect, LENGTH.0)).await;
        client.send(LENGTH.1).await;
        let head = client.head().await;
        assert_eq!(head.status, 200, "{expect}");
        client.skip(4).await;
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn s51_an_unknown_expectation_is_417() {
    let server = echo().await;
    for expect in [
        "200-ok",
        "x",
        "100",
        "100-continues",
        "100-continue, x",
        "x, 100-continue",
        "100-continue\r\nExpect: x",
        "100-continue;q=1",
        "100-continue=1",
        "\"100-continue\"",
        "100 continue",
        "\u{e9}",
    ] {
        for (framing, body) in [LENGTH, CHUNKED] {
            let request = head("1.1", expect, framing)
                + body
                + "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";
            raw::closes(&server, request, |response| {
                assert_eq!(response.status, 417, "{expect}");
            })
            .await;
        }
        let request = head("1.1", expect, "X: y");
        raw::stays(&server, request, |response| {
            assert_eq!(response.status, 417, "{expect}")
        })
        .await;
    }
}
