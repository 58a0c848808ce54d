//! The end of a response, seen by the guest: `close` exactly once, and when (S41, A12), its own
//! deadline, what a client that goes away does to the guest, and that nothing is left of it.

use std::time::{Duration, Instant};

use wasm_gw_tests::client::{End, Response};
use wasm_gw_tests::script::script;
use wasm_gw_tests::server::runtime_of_its_own;
use wasm_gw_tests::{Client, TestApp, TestServer, eventually, log};

/// The guest that logs each call of its `blocks`.
async fn lifecycle() -> TestServer {
    TestApp::of("blocks_lifecycle").serve().await
}

/// Waits until the guest's blocks were dropped, and tells what was called before.
async fn calls(request_id: &str) -> Vec<String> {
    log::wait(request_id, "drop").await;
    log::of_guest(request_id, "wsgi.errors")
}

async fn send(server: &TestServer, request: &str) -> Client {
    let mut client = server.connect().await;
    client.send(request).await;
    client
}

async fn head(client: &mut Client) -> Response {
    let head = client.head().await;
    head.expect(200);
    head
}

#[tokio::test]
async fn s41_close_runs_once_at_the_end_and_the_destructor_after_it() {
    let server = lifecycle().await;
    let response = server.get("/?n=2").await;
    assert_eq!(
        (response.text().as_str(), response.end),
        ("block\nblock\n", End::Whole)
    );
    let expected = ["next 1", "next 2", "next 3", "close 1", "drop"];
    assert_eq!(calls(response.id()).await, expected);
    let response = server.get("/?n=0").await;
    assert_eq!(calls(response.id()).await, ["next 1", "close 1", "drop"]);
}

#[tokio::test]
async fn s41_close_runs_once_after_an_error_in_next() {
    let server = lifecycle().await;
    let response = server.get("/?n=5&error=1").await;
    response.expect(500);
    assert_eq!(calls(response.id()).await, ["next 1", "close 1", "drop"]);
    let response = server.get("/?n=5&error=2").await;
    assert_eq!(
        (response.text().as_str(), response.end),
        ("block\n", End::CutOff)
    );
    assert_eq!(
        calls(response.id()).await,
        ["next 1", "next 2", "close 1", "drop"]
    );
}

#[tokio::test]
async fn s41_close_runs_once_after_head() {
    let server = lifecycle().await;
    let mut client = send(&server, "HEAD /?n=5 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let response = client.response("HEAD").await;
    // The first block makes the head; what follows it nobody needs (A12).
    assert_eq!(
        calls(response.expect(200).id()).await,
        ["next 1", "close 1", "drop"]
    );
}

#[tokio::test]
async fn s41_close_runs_once_when_the_host_ends_the_body_early() {
    let server = TestApp::of("start_response").serve().await;
    let close = "close=log:closed";
    for (text, status) in [
        // Content-Length is reached; no start; a block after headers-sent; too large a block.
        ("app=start:200 OK,Content-Length=1&next=9*yield:x", 200),
        ("next=9*yield:x", 500),
        ("app=start:200 OK&next=yield:x;fail:500 Oops;9*yield:x", 200),
        ("app=start:200 OK&next=yieldfill:16777217", 500),
        ("app=start:204 No Content&next=9*yield:x", 204),
    ] {
        let response = server.run(&format!("{text}&{close}")).await;
        response.expect(status);
        log::wait(response.id(), "closed").await;
        let said = log::of_guest(response.id(), "wsgi.errors");
        let closes = said.iter().filter(|line| *line == "closed").count();
        assert_eq!(closes, 1, "{text}: {said:?}");
    }
}

#[tokio::test]
async fn s41_no_close_after_a_trap() {
    // The instance must not be entered again. With its place, the next request may run: then it is
    // over, and no close can follow.
    let server = TestApp::of("trap_mid_body")
        .app(|app| app.concurrency = 1)
        .serve()
        .await;
    let first = server.get("/?n=1").await;
    assert_eq!(first.expect(200).end, End::CutOff);
    server.get("/?n=0").await.expect(502);
    assert!(log::of_guest(first.id(), "wsgi.errors").is_empty());
    let lines = log::of(first.id());
    assert_eq!(
        lines.len(),
        1,
        "one line, and none of a close that failed: {lines:?}"
    );
}

/// How a client can go.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    /// It ends its side and waits.
    Fin,
    /// It closes with bytes unread, as browsers do.
    Close,
    Reset,
}

impl Leaves {
    const ALL: [Self; 3] = [Self::Fin, Self::Close, Self::Reset];

    /// Goes. One that waits must be kept for as long as the test does.
    async fn go(self, mut client: Client) -> Option<Client> {
        match self {
            Leaves::Fin => {
                client.finish().await;
                return Some(client);
            }
            Leaves::Close => drop(client),
            Leaves::Reset => client.reset(),
        }
        None
    }
}

#[tokio::test]
async fn s41_close_runs_once_when_the_client_goes_in_mid_body() {
    let server = lifecycle().await;
    for leaves in Leaves::ALL {
        let request = "GET /?n=1000000&ms=1 HTTP/1.1\r\nHost: t\r\n\r\n";
        let mut client = send(&server, request).await;
        let id = head(&mut client).await.id().to_owned();
        client.chunk().await.unwrap().unwrap();
        let _waiting = leaves.go(client).await;
        let calls = calls(&id).await;
        assert_eq!(calls[calls.len() - 2..], ["close 1", "drop"], "{leaves:?}");
        let count = calls
            .iter()
            .filter(|call| call.starts_with("close"))
            .count();
        assert_eq!(count, 1, "{leaves:?}");
        let line = server.access_log_of(&id).await;
        assert!(line.ends_with(" aborted"), "{line}");
    }
}

#[tokio::test]
async fn s41_close_runs_when_a_client_goes_that_does_not_read() {
    // The guest waits for room at the socket, and wakes from that.
    let server = TestApp::of("close_marker").serve().await;
    for leaves in Leaves::ALL {
        let request = "GET /?endless&bytes=262144 HTTP/1.1\r\nHost: t\r\n\r\n";
        let mut client = send(&server, request).await;
        let id = head(&mut client).await.id().to_owned();
        let _waiting = leaves.go(client).await;
        log::wait(&id, "closed").await;
    }
}

#[tokio::test]
async fn s41_close_runs_when_a_client_is_cut_for_not_reading() {
    let server = TestApp::of("close_marker")
        .http(|http| http.write_timeout = Duration::from_millis(50))
        .serve()
        .await;
    let request = "GET /?endless&bytes=262144 HTTP/1.1\r\nHost: t\r\n\r\n";
    let mut client = send(&server, request).await;
    let id = head(&mut client).await.id().to_owned();
    log::wait(&id, "closed").await;
    assert!(client.rest().await.is_err(), "the connection is reset");
}

#[tokio::test]
async fn s41_close_runs_when_the_client_goes_before_the_head() {
    let server = TestApp::of("start_response").serve().await;
    for leaves in Leaves::ALL {
        // The first line of the log tells who it is.
        let mark = format!("here{leaves:?}");
        let text = format!("app=start:200 OK;log:{mark}&next=1000000*yield&close=log:closed");
        let request = format!("GET {} HTTP/1.1\r\nHost: t\r\n\r\n", script(&text));
        let client = send(&server, &request).await;
        let id = log::wait_for_guest(&mark).await;
        let _waiting = leaves.go(client).await;
        log::wait(&id, "closed").await;
    }
}

#[tokio::test]
async fn s41_a_write_tells_that_the_client_is_gone_and_the_guest_goes_on_to_its_end() {
    let server = TestApp::of("endless_write").serve().await;
    for leaves in Leaves::ALL {
        let mut client = send(&server, "GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        let id = head(&mut client).await.id().to_owned();
        let _waiting = leaves.go(client).await;
        let line = log::wait(&id, "write: ").await;
        assert_eq!(
            line.message, "write: WriteError::Disconnected",
            "{leaves:?}"
        );
    }
}

#[tokio::test]
async fn s41_a_client_that_goes_is_no_error_of_the_application() {
    // Whether the guest yields, writes, or passes the write's error on.
    for (guest, target) in [
        ("close_marker", "/?endless&bytes=65536"),
        ("endless_write", "/"),
        (
            "start_response",
            "/?app=start:200%20OK;write:x;1000*fill:65536;raise:x",
        ),
        ("gigabyte", "/"),
    ] {
        let own = runtime_of_its_own();
        let server = TestApp::of(guest)
            .in_runtime(own.clone())
            .app(|app| app.limits.disconnect_grace = Duration::from_secs(3600))
            .serve()
            .await;
        let request = format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n");
        let mut client = send(&server, &request).await;
        let id = head(&mut client).await.id().to_owned();
        drop(client);
        eventually("the end of the instance", || {
            (own.instances() == 0).then_some(())
        })
        .await;
        let lines = log::of(&id);
        let warned = lines
            .iter()
            .find(|line| line.level == "WARN" || line.level == "ERROR");
        assert!(warned.is_none(), "{guest}: {warned:?}");
    }
}

#[tokio::test]
async fn s41_a_guest_that_spins_is_stopped_a_grace_after_its_client_went() {
    for (guest, target) in [("spin_in_next", "/"), ("never_returns", "/?written")] {
        let own = runtime_of_its_own();
        let server = TestApp::of(guest)
            .in_runtime(own.clone())
            .app(|app| {
                app.limits.timeout = Duration::from_secs(3600);
                app.limits.disconnect_grace = Duration::from_millis(50);
            })
            .serve()
            .await;
        let request = format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n");
        let mut client = send(&server, &request).await;
        let id = head(&mut client).await.id().to_owned();
        drop(client);
        eventually("the end of the instance", || {
            (own.instances() == 0).then_some(())
        })
        .await;
        log::wait(&id, "ran on after its client had gone").await;
    }
}

#[tokio::test]
async fn s41_the_work_of_a_request_is_not_cancelled_by_its_client() {
    // Within the grace it runs to its next gateway call, which is after its work.
    let server = TestApp::of("start_response").serve().await;
    let text = "app=log:begun;sleep:50;start:200 OK;log:done";
    let request = format!("GET {} HTTP/1.1\r\nHost: gone\r\n\r\n", script(text));
    let client = send(&server, &request).await;
    let id = log::wait_for_guest("begun").await;
    drop(client);
    log::wait(&id, "done").await;
    assert_eq!(
        log::of_guest(&id, "wsgi.errors"),
        ["begun", "app start disconnected", "done"]
    );
}

#[tokio::test]
async fn s41_close_has_a_deadline_of_its_own() {
    for target in ["/", "/?sleep"] {
        let own = runtime_of_its_own();
        let server = TestApp::of("close_forever")
            .in_runtime(own.clone())
            .app(|app| app.limits.close_timeout = Duration::from_millis(50))
            .serve()
            .await;
        let begin = Instant::now();
        let response = server.get(target).await;
        assert_eq!(
            (response.text().as_str(), response.end),
            ("all of it\n", End::Whole)
        );
        let line = log::wait(response.id(), "close failed").await;
        assert!(
            line.message.contains("no answer within the timeout"),
            "{line:?}"
        );
        eventually("the end of the instance", || {
            (own.instances() == 0).then_some(())
        })
        .await;
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "not the request's timeout of 30 s"
        );
    }
}

#[tokio::test]
async fn s41_a_destructor_that_spins_or_traps_is_ended_and_the_response_is_whole() {
    for (target, said) in [("/?spin", "no answer within the timeout"), ("/", "trapped")] {
        let server = TestApp::of("trap_in_destructor")
            .app(|app| app.limits.close_timeout = Duration::from_millis(50))
            .serve()
            .await;
        let response = server.get(target).await;
        assert_eq!(
            (response.text().as_str(), response.end),
            ("all of it\n", End::Whole)
        );
        let line = log::wait(response.id(), "close failed").await;
        assert!(line.message.contains(said), "{line:?}");
    }
}

#[tokio::test]
async fn s41_what_goes_wrong_in_close_leaves_the_response_valid() {
    for (guest, said) in [
        ("close_error", "CloseError: close failed"),
        ("trap_in_close", "trapped"),
    ] {
        let server = TestApp::of(guest).and("/hello", "hello").serve().await;
        let mut client = send(&server, "GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        let response = client.response("GET").await;
        assert_eq!(response.expect(200).text(), "all of it\n");
        assert_eq!(response.end, End::Whole);
        let line = log::wait(response.id(), "close failed").await;
        assert!(line.message.contains(said), "{line:?}");
        let text = server.access_log_of(response.id()).await;
        assert!(!text.ends_with(" aborted"), "{text}");
        // The connection goes on.
        client.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n").await;
        client.response("GET").await.expect(200);
    }
}

#[tokio::test]
async fn no_instance_is_left_after_any_end() {
    let own = runtime_of_its_own();
    for (guest, target) in [
        ("hello", "/"),
        ("leaks_handles", "/"),
        ("returns_error", "/?written"),
        ("trap_before_head", "/"),
        ("trap_mid_body", "/"),
        ("trap_in_close", "/"),
        ("exit_zero_after_write", "/"),
        ("exit_one_after_write", "/"),
        ("exit_zero_before_start", "/?in=next"),
        ("many_handles", "/"),
    ] {
        let server = TestApp::of(guest).in_runtime(own.clone()).serve().await;
        server.get(target).await;
        eventually(&format!("the end of {guest}"), || {
            (own.instances() == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn s41_a_server_that_stops_can_wait_for_close() {
    let own = runtime_of_its_own();
    let server = TestApp::of("close_forever")
        .in_runtime(own.clone())
        .app(|app| app.limits.close_timeout = Duration::from_millis(100))
        .serve()
        .await;
    let response = server.get("/").await;
    // The response is whole, and its guest is not.
    assert_eq!(own.instances(), 1);
    assert_eq!(server.stop().await.cut, 0);
    own.idle().await;
    assert_eq!(own.instances(), 0);
    log::wait(response.id(), "close failed").await;
}
