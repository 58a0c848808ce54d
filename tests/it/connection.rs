//! What a connection carries: one request after the other, over TCP and unix sockets, until it closes
//! or the server drains.

use std::time::Duration;

use wasm_gw_http::Drained;
use wasm_gw_runtime::{App, AppConfig, Site};
use wasm_gw_tests::client::{Client, End};
use wasm_gw_tests::{TestApp, TestServer, Vars, eventually, guest, raw};

fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

async fn dump() -> TestServer {
    TestApp::of("environ_dump").serve().await
}

#[tokio::test]
async fn a_connection_is_kept_unless_somebody_closes_it() {
    let server = dump().await;
    let mut client = server.connect().await;
    let mut port = None;
    for number in 0..20 {
        client.send(get(&format!("/{number}"), "")).await;
        let response = client.response("GET").await;
        assert_eq!(response.header("connection"), None);
        let vars = Vars::of(&response);
        assert_eq!(vars.get("PATH_INFO"), Some(format!("/{number}").as_str()));
        let this = vars.get("REMOTE_PORT").map(str::to_owned);
        assert_eq!(port.get_or_insert(this.clone()), &this);
    }
    for value in [
        "close",
        "Close",
        "CLOSE",
        "x, close",
        "keep-alive, close",
        "close\r\nConnection: x",
    ] {
        let request = get("/", &format!("Connection: {value}\r\n"));
        let bytes = request + &get("/more", "");
        raw::closes(&server, bytes, |response| {
            assert_eq!(Vars::of(response).get("PATH_INFO"), Some("/"), "{value}");
        })
        .await;
    }
    raw::stays(
        &server,
        get("/", "Connection: keep-alive\r\n"),
        |response| {
            response.expect(200);
        },
    )
    .await;
}

#[tokio::test]
async fn an_http_1_0_connection_is_kept_if_asked_for() {
    let server = dump().await;
    for lines in [
        "",
        "Connection: close\r\n",
        "Connection: keep-alive, close\r\n",
        "Keep-Alive: 5\r\n",
    ] {
        let request = format!("GET / HTTP/1.0\r\n{lines}\r\n");
        let bytes = request + &get("/more", "");
        raw::closes(&server, bytes, |response| {
            assert_eq!(response.expect(200).version, "HTTP/1.0");
        })
        .await;
    }
    for value in ["keep-alive", "Keep-Alive", "x, keep-alive"] {
        let request = format!("GET / HTTP/1.0\r\nConnection: {value}\r\n\r\n");
        raw::stays(&server, request, |response| {
            assert_eq!(response.expect(200).version, "HTTP/1.0");
            assert_eq!(response.header("connection"), Some("keep-alive"));
        })
        .await;
    }
}

#[tokio::test]
async fn a_hundred_pipelined_requests_are_answered_in_order() {
    let server = TestApp::of("echo")
        .and("/dump", "environ_dump")
        .serve()
        .await;
    let mut all = String::new();
    let mut methods = Vec::new();
    for number in 0..100 {
        let body = format!("body {number}");
        let length = body.len();
        let (method, rest) = match number % 4 {
            0 => (
                "GET",
                format!("/dump/{number} HTTP/1.1\r\nHost: test\r\n\r\n"),
            ),
            1 => (
                "POST",
                format!("/ HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}"),
            ),
            2 => (
                "PUT",
                format!(
                    "/ HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
                ),
            ),
            _ => (
                "HEAD",
                format!("/dump/{number} HTTP/1.1\r\nHost: test\r\n\r\n"),
            ),
        };
        all += &format!("{method} {rest}");
        methods.push(method);
    }
    let all = all.as_bytes();
    for cuts in 0..2 {
        let mut client = server.connect().await;
        let mut rest = all;
        while !rest.is_empty() {
            let most = if cuts == 0 {
                rest.len()
            } else {
                fastrand::usize(1..=rest.len().min(500))
            };
            client.send(&rest[..most]).await;
            rest = &rest[most..];
            tokio::task::yield_now().await;
        }
        for (number, method) in methods.iter().enumerate() {
            let response = client.response(method).await;
            response.expect(200);
            match *method {
                "GET" => {
                    let path = format!("/{number}");
                    assert_eq!(Vars::of(&response).get("PATH_INFO"), Some(path.as_str()));
                }
                "HEAD" => assert_eq!(response.text(), ""),
                _ => assert_eq!(response.text(), format!("body {number}")),
            }
        }
    }
}

#[tokio::test]
async fn pipelined_failures_leave_the_answers_around_them_whole() {
    let server = TestApp::of("environ_dump").mounted("/app").serve().await;
    let first = get("/app/1", "");
    let last = get("/app/2", "");
    for (between, status) in [
        (get("/elsewhere", ""), 404),
        (get("/app/%00", ""), 400),
        (get("/app", "Expect: x\r\n"), 417),
    ] {
        let bytes = format!("{first}{between}{last}");
        for (mut client, response) in raw::answers(&server, bytes.as_bytes()).await {
            assert_eq!(Vars::of(&response).get("PATH_INFO"), Some("/1"));
            assert_eq!(client.response("GET").await.status, status);
            assert_eq!(
                Vars::of(&client.response("GET").await).get("PATH_INFO"),
                Some("/2")
            );
        }
    }
    // Where nobody knows where the next one begins, there is no next one.
    let bytes = format!("{first}{}{last}", get("/app", "Content-Length: +5\r\n"));
    for (mut client, response) in raw::answers(&server, bytes.as_bytes()).await {
        assert_eq!(Vars::of(&response).get("PATH_INFO"), Some("/1"));
        let refusal = client.response("GET").await;
        assert_eq!((refusal.status, refusal.closes()), (400, true));
        let _ = client.try_finish().await;
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_goes_on_sending() {
    let server = TestApp::of("read_nothing")
        .http(|http| http.max_body = 600_000)
        .serve()
        .await;
    for (length, status) in [(500_000, 200), (700_000, 413)] {
        let mut client = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
        client.send(head).await;
        // Another server would have reset the connection by now, and the answer with it.
        let piece = get("/smuggled", "").repeat(100);
        let mut sent = 0;
        while sent < length {
            client.send(&piece).await;
            sent += piece.len();
            tokio::task::yield_now().await;
        }
        let response = client.response("POST").await;
        assert_eq!((response.status, response.end), (status, End::Whole));
        client.finish().await;
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_closed_without_a_word() {
    let server = TestApp::of("hello")
        .http(|http| http.keep_alive_timeout = Duration::from_millis(60))
        .serve()
        .await;
    for version in ["1.1", "1.0"] {
        let mut client = server.connect().await;
        let request =
            format!("GET / HTTP/{version}\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
        client.send(request).await;
        client.response("GET").await.expect(200);
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn many_connections_are_served_side_by_side() {
    let server = TestApp::of("lockstep").serve().await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        let mut client = server.connect().await;
        let head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(head).await;
        client.head().await.expect(200);
        assert_eq!(client.chunk().await.unwrap().unwrap(), b"ready\n");
        clients.push(client);
    }
    // All of them are in the middle of their answers now.
    for (number, client) in clients.iter_mut().enumerate() {
        let line = format!("line {number:02}\n");
        client.send(format!("8\r\n{line}\r\n0\r\n\r\n")).await;
        assert_eq!(
            client.chunk().await.unwrap().unwrap(),
            format!("got {line}").as_bytes()
        );
        assert_eq!(client.chunk().await.unwrap().unwrap(), b"");
    }
}

#[tokio::test]
async fn a_unix_socket_serves_as_tcp_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = TestApp::of("echo").unix(path.clone()).serve().await;
    let mut client = Client::connect_unix(&path).await;
    let post = "POST /here HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc";
    for _ in 0..3 {
        client.send(post.repeat(2)).await;
        for _ in 0..2 {
            let response = client.response("POST").await;
            assert_eq!(response.expect(200).text(), "abc");
            let line = server.access_log_of(response.id()).await;
            assert!(line.starts_with("unix: - - ["), "{line}");
        }
    }
    client.send("nonsense\r\n\r\n").await;
    assert_eq!(client.response("GET").await.status, 400);
    drop(client);
    // Both listeners are one server.
    assert_eq!(server.post("/", b"tcp").await.text(), "tcp");
    // And one drain.
    assert_eq!(server.stop().await, Drained { cut: 0 });
    assert!(tokio::net::UnixStream::connect(&path).await.is_err());
    // What a former server left behind is in nobody's way.
    let _again = TestApp::of("echo").unix(path.clone()).serve().await;
    let mut client = Client::connect_unix(&path).await;
    client.send(post).await;
    assert_eq!(client.response("POST").await.text(), "abc");
}

#[tokio::test]
async fn two_apps_cannot_share_a_mount() {
    let runtime = wasm_gw_tests::server::runtime();
    let app = |name: &str, mount: &str| {
        let mut config = AppConfig::new(name);
        config.mount = wasm_gw_protocol::Mount::parse(mount).unwrap();
        App::load(&runtime, config, &guest("hello")).unwrap()
    };
    let error = Site::new(vec![
        app("one", "/a"),
        app("two", "/b"),
        app("three", "/a/"),
    ])
    .err();
    let error = error.unwrap().to_string();
    for name in ["`/a`", "`one`", "`three`"] {
        assert!(error.contains(name), "{error}");
    }
    assert!(Site::new(vec![app("one", ""), app("two", "/a"), app("three", "/a/b")]).is_ok());
}

/// A request in the middle of its answer.
async fn in_flight(server: &TestServer) -> Client {
    let mut client = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(head).await;
    client.head().await.expect(200);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"ready\n");
    client
}

/// Waits until the server does not listen any more.
async fn not_listening(server: &TestServer) {
    let address = server.address;
    eventually("a closed listener", || {
        std::net::TcpStream::connect(address).is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drain_finishes_what_was_accepted_and_takes_nothing_new() {
    let mut server = TestApp::of("lockstep").serve().await;
    let mut streaming = in_flight(&server).await;
    let mut resting = server.connect().await;
    resting.send(get("/", "")).await;
    resting.response("GET").await.expect(200);

    server.ask_to_stop();
    assert!(resting.is_closed().await);
    drop(resting);
    not_listening(&server).await;
    streaming.send("5\r\nlast\n\r\n0\r\n\r\n").await;
    assert_eq!(streaming.chunk().await.unwrap().unwrap(), b"got last\n");
    assert_eq!(streaming.chunk().await.unwrap().unwrap(), b"");
    // A further request is not taken from it.
    let _ = streaming.try_send(get("/more", "").as_bytes()).await;
    let _ = streaming.try_finish().await;
    assert!(!streaming.rest().await.is_ok_and(|rest| !rest.is_empty()));
    drop(streaming);
    assert_eq!(server.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn a_drain_says_close_where_the_head_is_still_to_come() {
    let mut server = TestApp::of("echo").serve().await;
    let mut client = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    client.send(head).await;
    // The guest reads.
    assert_eq!(client.head().await.status, 100);
    server.ask_to_stop();
    not_listening(&server).await;
    client.send("body").await;
    let response = client.response("POST").await;
    assert_eq!(response.expect(200).text(), "body");
    assert!(response.closes());
    assert!(client.is_closed().await);
    drop(client);
    assert_eq!(server.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn what_outlasts_a_drain_is_cut_and_counted() {
    let server = TestApp::of("lockstep")
        .http(|http| http.graceful_timeout = Duration::from_millis(60))
        .serve()
        .await;
    let mut clients = [in_flight(&server).await, in_flight(&server).await];
    assert_eq!(server.stop().await, Drained { cut: 2 });
    for client in &mut clients {
        // No final chunk: the client can tell.
        assert!(!matches!(client.chunk().await, Ok(Some(_))));
    }
}
