//! Guests written with the `http` crate's types: a service, and an axum router that knows nothing of the gateway.

use std::fs;

use wasm_gw_tests::command::Process;
use wasm_gw_tests::guests::example_path;
use wasm_gw_tests::{Client, Response, TestApp, log};

#[tokio::test]
async fn a_request_is_what_was_sent_from_below_the_mount() {
    let server = TestApp::of("http_types").mounted("/a/b").serve().await;
    let response = server.get("/a/%62/c%2Fd/caf%C3%A9?e=%20f").await;
    let text = response.expect(200).text();
    let first = text.lines().next().unwrap();
    assert_eq!(first, "GET /c%2Fd/caf%C3%A9?e=%20f HTTP/1.1 from 127.0.0.1");
    assert!(text.contains("\"host\": "), "{text}");
    assert!(server.get("/a/b").await.text().starts_with("GET / "));

    let mut client = server.connect().await;
    client
        .send(
            "POST /a/b/x HTTP/1.1\r\nHost: t\r\nX-One: 1\r\nX-One: 2\r\nContent-Type: a/b\r\n\
             Content-Length: 2\r\nConnection: close\r\n\r\nab",
        )
        .await;
    let text = client.response("POST").await.expect(200).text();
    for part in [
        "POST /x ",
        "\"x-one\": \"1,2\"",
        "\"content-type\": \"a/b\"",
        "\"content-length\": \"2\"",
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    assert!(!text.contains("\"connection\""), "{text}");
}

#[tokio::test]
async fn bodies_pass_block_by_block() {
    let server = TestApp::of("http_types").serve().await;
    let mut client = server.connect().await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.send("3\r\none\r\n").await;
    client.head().await.expect(200);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"one");
    client.send("3\r\ntwo\r\n").await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"two");
    client.send("0\r\n\r\n").await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"");

    let large = vec![b'x'; 1 << 20];
    let response = server.post("/echo", &large).await;
    assert!(response.expect(200).body == large);
    let small = server.post("/echo", b"small").await;
    assert_eq!(small.expect(200).header("content-length"), Some("5"));
    assert_eq!(small.text(), "small");
}

#[tokio::test]
async fn a_future_is_driven_as_long_as_it_wakes_itself() {
    let server = TestApp::of("http_types").serve().await;
    assert_eq!(server.get("/wakes").await.expect(200).text(), "awake\n");
    let response = server.get("/waits").await;
    response.expect(500);
    log::wait(response.id(), "waits for something that never comes").await;
    let mut client = server.connect().await;
    client.send("GET /fails HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let response = client.head().await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"block\n");
    log::wait(response.id(), "as asked").await;
}

#[tokio::test]
async fn an_axum_router_runs_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let app = example_path("axum_todo");
    let grant = format!("--dir={}::/data", folder.path().display());
    let server = Process::of(&[app.to_str().unwrap(), &grant]).await;
    let ask = async |method: &str, target: &str, body: &str| -> Response {
        let mut client = Client::connect(server.address()).await;
        let length = body.len();
        client
            .send(format!(
                "{method} {target} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
            ))
            .await;
        client.response(method).await
    };
    for body in ["text=write+%3Ctests%3E", "text=run+them"] {
        let added = ask("POST", "/things", body).await;
        assert_eq!(added.expect(303).header("location"), Some("./"));
    }
    let list = ask("GET", "/things", "").await;
    assert_eq!(
        list.expect(200).header("content-type"),
        Some("application/json")
    );
    let expected = r#"[{"id":1,"text":"write <tests>"},{"id":2,"text":"run them"}]"#;
    assert_eq!(list.text(), expected);
    let page = ask("GET", "/", "").await;
    assert!(
        page.expect(200)
            .text()
            .contains("<li>write &lt;tests></li>"),
        "{}",
        page.text()
    );
    ask("DELETE", "/things/1", "").await.expect(204);
    ask("DELETE", "/things/1", "").await.expect(404);
    ask("DELETE", "/things/x", "").await.expect(400);
    ask("POST", "/things", "text=+").await.expect(422);
    ask("PUT", "/things", "").await.expect(405);
    assert_eq!(
        fs::read_to_string(folder.path().join("2")).unwrap(),
        "run them"
    );
}
