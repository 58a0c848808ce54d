//! Instances that serve many requests of an app: for how long, side by side, and what of one request the next
//! must not meet all the same (S4, 2.1).

use std::time::Duration;

use wasm_gw_runtime::{AllocatorChoice, Isolation, Reuse, Runtime, RuntimeConfig};
use wasm_gw_tests::metrics::Metrics;
use wasm_gw_tests::server::runtime_of_its_own;
use wasm_gw_tests::{Client, Response, TestApp, TestServer, eventually, log};

/// The guest `remembers`, whose instances are used again.
fn app(change: impl FnOnce(&mut Reuse)) -> TestApp {
    let mut reuse = Reuse::default();
    change(&mut reuse);
    TestApp::of("remembers").app(|app| app.isolation = Isolation::App(reuse))
}

/// A server that counts its own instances only.
struct Server {
    runtime: Runtime,
    http: TestServer,
}

impl Server {
    async fn of(app: TestApp) -> Self {
        let runtime = runtime_of_its_own();
        let http = app.in_runtime(runtime.clone()).serve().await;
        Self { runtime, http }
    }

    /// Asks, and waits until nobody has the instance any more: it may be parked after its answer has come.
    async fn get(&self, target: &str) -> Response {
        let response = self.http.get(target).await;
        self.runtime.idle().await;
        response
    }

    /// Asks the guest to do something, which it answers with its count.
    async fn does(&self, what: &str) -> String {
        self.get(&format!("/?do={what}")).await.expect(200).text()
    }

    async fn begin_to_wait(&self) -> Client {
        let mut client = self.http.connect().await;
        client
            .send("POST /?do=wait HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n")
            .await;
        client
    }

    fn parked(&self) -> f64 {
        number(&self.runtime, "instances_parked")
    }
}

fn number(runtime: &Runtime, name: &str) -> f64 {
    Metrics::parse(&runtime.metrics()).gauge(name)
}

async fn counts(runtime: &Runtime, name: &str, expected: f64) {
    eventually(&format!("{name} {expected}"), || {
        (number(runtime, name) == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_instance_serves_one_request_after_the_other() {
    let server = Server::of(app(|_| {})).await;
    for (what, expected) in [
        ("count", "1\n"),
        ("count", "2\n"),
        ("iter", "3\nmore\n"),
        ("count", "4\n"),
    ] {
        assert_eq!(server.does(what).await, expected);
        assert_eq!(server.parked(), 1.0);
    }
}

#[tokio::test]
async fn by_default_it_serves_one() {
    let server = Server::of(TestApp::of("remembers")).await;
    for _ in 0..3 {
        assert_eq!(server.does("count").await, "1\n");
        assert_eq!(server.parked(), 0.0);
    }
}

#[tokio::test]
async fn r2_1_the_run_flags_tell_an_app_how_it_is_isolated() {
    let by_app = |concurrency| {
        TestApp::of("environ_dump").app(move |app| {
            app.isolation = Isolation::App(Reuse::default());
            app.concurrency = concurrency;
        })
    };
    for (concurrency, multiprocess) in [(1, false), (2, true)] {
        let text = by_app(concurrency).get("/").await.expect(200).text();
        let flags = text.lines().filter(|line| line.starts_with("run."));
        assert_eq!(
            flags.collect::<Vec<_>>(),
            [
                "run.multithread=false",
                &format!("run.multiprocess={multiprocess}"),
                "run.run-once=false",
                "run.input-terminated=true"
            ]
        );
    }
}

#[tokio::test]
async fn requests_at_once_have_instances_side_by_side() {
    let server = Server::of(app(|_| {})).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.begin_to_wait().await);
    }
    counts(&server.runtime, "instances_live", 3.0).await;
    for client in &mut clients {
        client.send("x").await;
        assert_eq!(client.response("POST").await.expect(200).text(), "1\n");
    }
    server.runtime.idle().await;
    assert_eq!(server.parked(), 3.0);
    // The one that was used last is used next.
    for expected in ["2\n", "3\n", "4\n"] {
        assert_eq!(server.does("count").await, expected);
    }
    assert_eq!(server.parked(), 3.0);
}

/// As many as take turns are few, and whoever waits for its first turn takes what they have left.
#[tokio::test]
async fn many_requests_at_once_that_compute_are_served_by_few_instances() {
    let server = Server::of(app(|_| {})).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = server.http.connect().await;
        client
            .send("GET /?do=spin&ms=20 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        clients.push(client);
    }
    for client in &mut clients {
        client.response("GET").await.expect(200);
    }
    server.runtime.idle().await;
    let parked = server.parked();
    assert!((1.0..=20.0).contains(&parked), "{parked} instances");
}

#[tokio::test]
async fn an_instance_ends_after_its_requests() {
    let server = Server::of(app(|reuse| reuse.requests = 2)).await;
    for expected in ["1\n", "2\n", "1\n", "2\n", "1\n"] {
        assert_eq!(server.does("count").await, expected);
    }
}

#[tokio::test]
async fn an_instance_ends_after_its_time_though_nobody_asks() {
    let server = Server::of(app(|reuse| reuse.time = Duration::from_millis(300))).await;
    assert_eq!(server.does("count").await, "1\n");
    counts(&server.runtime, "instances_parked", 0.0).await;
    assert_eq!(server.does("count").await, "1\n");
}

#[tokio::test]
async fn an_instance_ends_above_its_memory() {
    let server = Server::of(app(|reuse| reuse.memory = 12 << 20)).await;
    assert_eq!(server.does("grow&mib=2").await, "1\n");
    assert_eq!(server.does("grow&mib=2").await, "2\n");
    assert_eq!(server.does("grow&mib=12").await, "3\n");
    assert_eq!(server.parked(), 0.0);
    assert_eq!(server.does("count").await, "1\n");
}

#[tokio::test]
async fn an_instance_ends_with_any_failure() {
    let server = Server::of(app(|_| {})).await;
    for (how, status) in [
        ("error", 500),
        ("trap", 502),
        ("exit", 200),
        ("error-in-close", 200),
        ("error-in-next", 200),
    ] {
        assert_eq!(server.does("count").await, "1\n", "before {how}");
        assert_eq!(server.does("count").await, "2\n");
        server.get(&format!("/?do={how}")).await.expect(status);
        assert_eq!(server.parked(), 0.0, "after {how}");
    }
}

#[tokio::test]
async fn an_instance_ends_when_its_time_is_over() {
    let app = app(|_| {}).app(|app| app.limits.timeout = Duration::from_millis(500));
    let server = Server::of(app).await;
    assert_eq!(server.does("count").await, "1\n");
    server.get("/?do=spin&ms=60000").await.expect(504);
    assert_eq!(server.does("count").await, "1\n");
}

/// The limits of a request begin anew with each.
#[tokio::test]
async fn each_request_has_its_own_time_and_log() {
    let server = Server::of(app(|_| {}).app(|app| {
        app.limits.cpu = Duration::from_millis(400);
        app.limits.log_bytes = 300;
    }))
    .await;
    for expected in ["1\n", "2\n", "3\n"] {
        assert_eq!(server.does("spin&ms=200").await, expected);
    }
    for text in ["first", "second"] {
        let response = server
            .get(&format!("/?do=print&lines=100&text={text}"))
            .await;
        // Under the id of this request, and cut after as much as the one before.
        log::wait(response.expect(200).id(), "the guest's log is cut here").await;
        let lines = log::of_guest(response.id(), "stdout");
        assert!((2..10).contains(&lines.len()), "{lines:?}");
        assert!(lines.iter().all(|line| text.starts_with(line)), "{lines:?}");
    }
    assert_eq!(server.parked(), 1.0);
}

#[tokio::test]
async fn handles_that_a_guest_keeps_are_of_no_use_to_it() {
    let server = Server::of(app(|_| {})).await;
    // One that has read nothing of its body leaves it to the server.
    let mut client = server.http.connect().await;
    for _ in 0..2 {
        client
            .send("POST /?do=keep HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nsecret")
            .await;
        client.response("POST").await.expect(200);
        server.runtime.idle().await;
    }
    assert_eq!(
        server.does("use").await,
        "3 start StartError::Disconnected, write WriteError::Disconnected, read 0\n"
    );
    // Nor did it spoil the answer, or the instance.
    assert_eq!(server.does("count").await, "4\n");
}

#[tokio::test]
async fn what_a_request_makes_the_host_keep_goes_with_it() {
    let server = Server::of(app(|_| {}).app(|app| app.limits.host_bytes = 1 << 20)).await;
    let mut level = None;
    for _ in 0..20 {
        let response = server.get("/?do=host").await;
        assert_eq!(response.expect(200).body.len(), 300 << 10);
        server.get("/?do=iter").await.expect(200);
        let post = server.http.post("/?do=count", &[b'x'; 100 << 10]).await;
        post.expect(200);
        server.runtime.idle().await;
        assert_eq!(server.parked(), 1.0);
        let committed = number(&server.runtime, "memory_committed_bytes");
        assert_eq!(*level.get_or_insert(committed), committed);
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_instance_it_had() {
    let server = Server::of(app(|_| {})).await;
    assert_eq!(server.does("count").await, "1\n");
    let client = server.begin_to_wait().await;
    counts(&server.runtime, "instances_live", 1.0).await;
    client.reset();
    server.runtime.idle().await;
    assert_eq!(server.parked(), 0.0);
    assert_eq!(server.does("count").await, "1\n");
}

/// What the guest `remembers` shares with others.
async fn beside(config: RuntimeConfig, other: &str) -> Server {
    log::keep();
    let runtime = Runtime::new(RuntimeConfig {
        allocator: AllocatorChoice::OnDemand,
        ..config
    })
    .unwrap();
    let app = app(|_| {}).and("/other", other).in_runtime(runtime.clone());
    let http = app.serve().await;
    Server { runtime, http }
}

#[tokio::test]
async fn parked_instances_give_their_places_to_others() {
    let config = RuntimeConfig {
        instances: 2,
        ..RuntimeConfig::default()
    };
    let server = beside(config, "echo").await;
    let mut clients = [server.begin_to_wait().await, server.begin_to_wait().await];
    counts(&server.runtime, "instances_live", 2.0).await;
    for client in &mut clients {
        client.send("x").await;
        client.response("POST").await.expect(200);
    }
    server.runtime.idle().await;
    assert_eq!(server.parked(), 2.0);
    server.get("/other").await.expect(200);
    assert_eq!(server.parked(), 1.0);
}

/// One instance has room, and more requests than that come: they take it one after the other.
#[tokio::test]
async fn requests_that_wait_for_memory_take_the_instance_as_it_is() {
    let config = RuntimeConfig {
        memory_total: Some(4 << 20),
        ..RuntimeConfig::default()
    };
    let server = beside(config, "hello").await;
    let mut first = server.begin_to_wait().await;
    counts(&server.runtime, "instances_live", 1.0).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut client = server.http.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        waiting.push(client);
    }
    let queued = |metrics: &Metrics| metrics.of("queue_length", &[("app", "remembers")]) == 3.0;
    eventually("three that wait", || {
        queued(&Metrics::parse(&server.runtime.metrics())).then_some(())
    })
    .await;
    first.send("x").await;
    first.response("POST").await.expect(200);
    let mut counted = Vec::new();
    for client in &mut waiting {
        counted.push(client.response("GET").await.expect(200).text());
    }
    counted.sort();
    assert_eq!(counted, ["2\n", "3\n", "4\n"]);
    // Another app takes what they have left.
    server.runtime.idle().await;
    server.get("/other").await.expect(200);
    assert_eq!(server.parked(), 0.0);
}

#[tokio::test]
async fn parked_instances_give_their_memory_to_others() {
    let of_all = |memory| RuntimeConfig {
        memory_total: Some(memory),
        ..RuntimeConfig::default()
    };
    let server = beside(of_all(64 << 20), "hold_memory").await;
    assert_eq!(server.does("grow&mib=24").await, "1\n");
    assert_eq!(server.parked(), 1.0);
    // Another has begun, and grows into what only the parked one can give.
    let response = server.get("/other?mib=40").await;
    assert_eq!(response.expect(200).text(), "holds 40960 KiB\n");
    assert_eq!(server.parked(), 0.0);

    // Another cannot begin without it.
    let server = beside(of_all(8 << 20), "data_residue").await;
    assert_eq!(server.does("grow&mib=4").await, "1\n");
    assert_eq!(server.parked(), 1.0);
    server.get("/other?mib=0").await.expect(200);
    assert_eq!(server.parked(), 0.0);
}
