//! The runtime in servers of other people's, and without any: nothing of it is global.

use std::net::SocketAddr;

use http::{Method, Request};
use tokio::net::TcpListener;
use wasm_gw_runtime::{App, AppConfig, Runtime, RuntimeConfig, testing};
use wasm_gw_tests::guests::guest_path;
use wasm_gw_tests::{Client, Response, guest};

// The programs themselves, so that nothing is built twice.
#[expect(dead_code, reason = "a program begins with `main`, and these do not")]
#[path = "../../examples/embed-axum/src/main.rs"]
mod embed_axum;
#[expect(dead_code, reason = "a program begins with `main`, and these do not")]
#[path = "../../examples/embed-hyper/src/main.rs"]
mod embed_hyper;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn get(host: SocketAddr, target: &str) -> Response {
    let mut client = Client::connect(host).await;
    client
        .send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
        .await;
    client.response("GET").await
}

/// The application knows what it was asked, and by whom.
async fn answers(host: SocketAddr) {
    let response = get(host, "/a/path?b=c").await;
    let text = response.expect(200).text();
    for part in ["/a/path", "b=c", "127.0.0.1", &host.port().to_string()] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

#[tokio::test]
async fn an_app_is_served_by_plain_hyper() {
    let (listener, host) = listen().await;
    let file = guest_path("environ_dump");
    tokio::spawn(async move { embed_hyper::serve(&file, listener).await });
    answers(host).await;
}

#[tokio::test]
async fn an_app_is_served_beside_the_handlers_of_axum() {
    let (listener, host) = listen().await;
    let file = guest_path("environ_dump");
    tokio::spawn(async move { embed_axum::serve(&file, listener).await });
    answers(host).await;
    assert_eq!(
        get(host, "/native").await.expect(200).text(),
        "not sandboxed\n"
    );
}

fn load(runtime: &Runtime, name: &str) -> App {
    App::load(runtime, AppConfig::new(name), &guest(name)).unwrap()
}

#[tokio::test]
async fn two_runtimes_in_one_process_know_nothing_of_each_other() {
    let runtimes = [(); 2].map(|()| Runtime::new(RuntimeConfig::default()).unwrap());
    for runtime in &runtimes {
        let app = load(runtime, "hello");
        let called = testing::call(&app, Request::get("/").body("").unwrap()).await;
        assert_eq!(called.response.body(), "hello, world\n");
    }
    let [one, two] = runtimes;
    let app = load(&one, "hello");
    drop(two);
    let called = testing::call(&app, Request::get("/").body("").unwrap()).await;
    assert_eq!(called.response.status(), 200);
    one.idle().await;
    assert_eq!(one.instances(), 0);
}

#[tokio::test]
async fn an_app_is_called_without_a_socket() {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    let echo = load(&runtime, "echo");
    let request = Request::builder().method(Method::POST).uri("/?a=b");
    let called = testing::call(&echo, request.body("some text").unwrap()).await;
    assert_eq!(called.response.status(), 200);
    assert!(!called.is_cut);
    let body = String::from_utf8_lossy(called.response.body());
    assert!(body.contains("some text"), "{body}");
    assert!(called.findings().is_empty(), "{:?}", called.findings());
    // It is gone by now.
    assert_eq!(runtime.instances(), 0);

    let panics = load(&runtime, "panics");
    let called = testing::call(&panics, Request::get("/").body("").unwrap()).await;
    assert_eq!(called.response.status(), 502);
    assert_eq!(called.findings()[0].rule.name, "ended");
    assert!(called.log.concat().contains("panicked"), "{:?}", called.log);

    let cut = load(&runtime, "trap_mid_body");
    let called = testing::call(&cut, Request::get("/").body("").unwrap()).await;
    assert!(called.is_cut);
    assert_eq!(called.response.status(), 200);
}
