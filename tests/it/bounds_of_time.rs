//! Who waits for how long: the queue for an instance (503), `timeout` and `max_duration`, and that a
//! slow client is not held against its guest.

use std::time::Duration;

use wasm_gw_runtime::{Allocator, Runtime, RuntimeConfig};
use wasm_gw_tests::client::End;
use wasm_gw_tests::server::runtime_of_its_own;
use wasm_gw_tests::{Client, Response, TestApp, TestServer, eventually, log};

/// A request whose guest runs until the client has sent a line or gone.
async fn occupy(server: &TestServer) -> Client {
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n")
        .await;
    client.head().await.expect(200);
    client
}

async fn assert_busy(response: &Response, limit: &str) {
    assert_eq!(response.expect(503).header("retry-after"), Some("1"));
    let line = log::wait(response.id(), "no instance for this request").await;
    assert_eq!(line.level, "WARN");
    assert!(line.message.contains(limit), "{line:?}");
}

#[tokio::test]
async fn a_full_queue_is_503_and_the_log_names_it() {
    let server = TestApp::of("lockstep")
        .app(|app| (app.concurrency, app.queue) = (1, 0))
        .serve()
        .await;
    let _busy = occupy(&server).await;
    let said = "all 1 instances (concurrency) are in use and 0 requests wait already (queue)";
    assert_busy(&server.get("/").await, said).await;
}

#[tokio::test]
async fn waiting_too_long_is_503_and_the_log_names_it() {
    let server = TestApp::of("lockstep")
        .app(|app| (app.concurrency, app.queue_timeout) = (1, Duration::from_millis(20)))
        .serve()
        .await;
    let _busy = occupy(&server).await;
    assert_busy(&server.get("/").await, "for 20ms (queue timeout)").await;
}

#[tokio::test]
async fn who_waits_is_served_when_an_instance_is_free() {
    let server = TestApp::of("lockstep")
        .app(|app| app.concurrency = 1)
        .serve()
        .await;
    let mut busy = occupy(&server).await;
    let mut waiting = server.connect().await;
    waiting.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    busy.send("x\n").await;
    waiting.response("GET").await.expect(200);
    // Also when the client of the first has gone.
    let busy = occupy(&server).await;
    waiting.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    drop(busy);
    waiting.response("GET").await.expect(200);
}

#[tokio::test]
async fn one_apps_queue_is_not_anothers() {
    let server = TestApp::of("lockstep")
        .app(|app| (app.concurrency, app.queue) = (1, 0))
        .and("/hello", "hello")
        .serve()
        .await;
    let _busy = occupy(&server).await;
    server.get("/").await.expect(503);
    server.get("/hello").await.expect(200);
}

#[tokio::test]
async fn the_instances_of_all_apps_together_are_bounded_and_the_log_names_it() {
    let runtime = Runtime::new(RuntimeConfig {
        instances: 1,
        max_memory: 16 << 20,
        ..RuntimeConfig::default()
    })
    .unwrap();
    assert!(
        matches!(runtime.allocator(), Allocator::Slots { .. }),
        "{}",
        runtime.allocator()
    );
    let server = TestApp::of("lockstep")
        .app(|app| app.limits.memory = 16 << 20)
        .in_runtime(runtime)
        .serve()
        .await;
    let _busy = occupy(&server).await;
    assert_busy(
        &server.get("/").await,
        "all 1 instances of all apps together",
    )
    .await;
}

#[tokio::test]
async fn guests_that_spin_do_not_keep_the_sockets_waiting() {
    // On one thread: between two turns of such a guest all must be heard that is ready by then.
    let server = TestApp::of("never_returns")
        .app(|app| app.limits.timeout = Duration::from_secs(3))
        .and("/hello", "hello")
        .serve()
        .await;
    let mut spinning = server.connect().await;
    spinning.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    for _ in 0..20 {
        server.get("/hello").await.expect(200);
    }
    let early = spinning.stream.try_read(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn the_timeout_is_for_each_block_and_not_for_the_whole() {
    let server = TestApp::of("blocks_slow")
        .app(|app| app.limits.timeout = Duration::from_millis(400))
        .serve()
        .await;
    let response = server.get("/?n=10&ms=60").await;
    assert_eq!((response.body.len(), response.end), (9 * 8 + 9, End::Whole));
}

#[tokio::test]
async fn a_client_that_sends_slowly_is_not_held_against_the_guest() {
    let sends = async |guest: &str| {
        let server = patient(guest).await;
        let mut client = server.connect().await;
        client
            .send("POST /?length HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n")
            .await;
        for byte in ["a", "b"] {
            // The time that must not count has to pass.
            tokio::time::sleep(PAUSE).await;
            client.send(byte).await;
        }
        let response = client.response("POST").await;
        assert_eq!(response.expect(200).text(), "ab", "{guest}");
    };
    tokio::join!(sends("echo"), sends("echo_stream"), sends("pass_through"));
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_held_against_the_guest() {
    let reads = async |guest: &str, target: &str| {
        let server = patient(guest).await;
        let mut client = server.connect().await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"))
            .await;
        client.head().await.expect(200);
        // More than the sockets between them hold, so that the guest waits all this time.
        tokio::time::sleep(2 * PAUSE).await;
        client.skip(48 << 20).await;
        // It was whole, and the connection goes on.
        client.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n").await;
        client.response("GET").await.expect(200);
    };
    let writes = "/?app=start:200%20OK,Content-Length=50331648;48*fill:1048576;empty";
    tokio::join!(
        reads("gigabyte", "/?mib=48&length"),
        reads("start_response", writes)
    );
}

/// Two of these are longer than the timeout of [`patient`].
const PAUSE: Duration = Duration::from_millis(350);

async fn patient(guest: &str) -> TestServer {
    TestApp::of(guest)
        .app(|app| app.limits.timeout = Duration::from_millis(500))
        .and("/hello", "hello")
        .serve()
        .await
}

/// A guest whose whole request is bounded, in a runtime that counts its instance.
async fn short_lived(guest: &str) -> (TestServer, Runtime) {
    let own = runtime_of_its_own();
    let server = TestApp::of(guest)
        .in_runtime(own.clone())
        .app(|app| app.limits.max_duration = Some(Duration::from_millis(150)))
        .serve()
        .await;
    (server, own)
}

const TOO_LONG: &str = "the request took longer than its maximum duration";

#[tokio::test]
async fn max_duration_bounds_what_each_block_keeps_in_time() {
    let (server, _) = short_lived("blocks_slow").await;
    let response = server.get("/?n=1000&ms=10").await;
    assert_eq!(response.expect(200).end, End::CutOff);
    log::wait(response.id(), TOO_LONG).await;
}

#[tokio::test]
async fn max_duration_bounds_a_client_that_sends_slowly() {
    for guest in ["echo", "pass_through"] {
        let (server, own) = short_lived(guest).await;
        let mut client = server.connect().await;
        client
            .send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\na")
            .await;
        if guest == "echo" {
            let response = client.response("POST").await;
            log::wait(response.expect(504).id(), TOO_LONG).await;
        } else {
            let head = client.head().await;
            log::wait(head.expect(200).id(), TOO_LONG).await;
        }
        eventually("the end of the instance", || {
            (own.instances() == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn max_duration_bounds_a_client_that_reads_slowly() {
    for (guest, target) in [
        ("endless_write", "/"),
        ("close_marker", "/?endless&bytes=65536"),
        ("gigabyte", "/"),
    ] {
        let (server, own) = short_lived(guest).await;
        let mut client = server.connect().await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"))
            .await;
        let head = client.head().await;
        // It does not read on, and still holds the connection.
        log::wait(head.expect(200).id(), TOO_LONG).await;
        eventually("the end of the instance", || {
            (own.instances() == 0).then_some(())
        })
        .await;
        if guest == "close_marker" {
            log::wait(head.id(), "closed").await;
        }
    }
}
