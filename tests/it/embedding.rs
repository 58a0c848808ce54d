//! The runtime in servers of other people's, and without any: nothing of it is global.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use http::{Method, Request};
use tokio::net::TcpStream;
use wasm_gw_runtime::{App, AppConfig, Runtime, RuntimeConfig, testing};
use wasm_gw_tests::command::built;
use wasm_gw_tests::guests::guest_path;
use wasm_gw_tests::{Client, PATIENCE, guest};

/// A program of `examples`, ended when it is dropped.
struct Embedding {
    child: Child,
    address: SocketAddr,
}

impl Embedding {
    async fn start(package: &str, guest: &str) -> Self {
        // The examples take an address and do not tell which port they got.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(built(package))
            .arg(guest_path(guest))
            .arg(address.to_string())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let embedding = Self { child, address };
        let begun = std::time::Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "{package} does not listen");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        embedding
    }

    async fn get(&self, target: &str) -> wasm_gw_tests::Response {
        let mut client = Client::connect(self.address).await;
        let host = self.address;
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        client.response("GET").await
    }
}

impl Drop for Embedding {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_app_is_served_by_plain_hyper() {
    let server = Embedding::start("embed-hyper", "environ_dump").await;
    let response = server.get("/a/path?b=c").await;
    let text = response.expect(200).text();
    for part in [
        "/a/path",
        "b=c",
        "127.0.0.1",
        &server.address.port().to_string(),
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

#[tokio::test]
async fn an_app_is_served_beside_the_handlers_of_axum() {
    let server = Embedding::start("embed-axum", "environ_dump").await;
    assert_eq!(
        server.get("/native").await.expect(200).text(),
        "not sandboxed\n"
    );
    let response = server.get("/a/path?b=c").await;
    let text = response.expect(200).text();
    for part in [
        "/a/path",
        "b=c",
        "127.0.0.1",
        &server.address.port().to_string(),
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
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
