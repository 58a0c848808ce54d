//! `tests/guests/python-frameworks`: the same small application with Bottle, Falcon and Pyramid.

use serde_json::{Value, json};
use wasm_gw_tests::client::End;
use wasm_gw_tests::visitor::bytes;
use wasm_gw_tests::{TestServer, Visitor};

use super::{has, is_told_in_the_log_only};

async fn serve(framework: &str) -> TestServer {
    super::serve(
        &format!("tests/guests/python-frameworks/{framework}"),
        "app:app",
    )
    .await
}

#[tokio::test]
async fn bottle() {
    let server = serve("bottle").await;
    does_it_all(&server, "bottle").await;
    let page = server.get("/hello/%3Ci%3E").await;
    assert_eq!(page.expect(200).text(), "<p>Hello, &lt;i&gt;!</p>\n");
}

#[tokio::test]
async fn falcon() {
    does_it_all(&serve("falcon").await, "falcon").await;
}

#[tokio::test]
async fn pyramid() {
    does_it_all(&serve("pyramid").await, "pyramid").await;
}

async fn does_it_all(server: &TestServer, framework: &str) {
    let mut visitor = Visitor::of(server);
    let parsed = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    let index = visitor.get("/").await;
    assert_eq!(index.expect(200).text(), format!("{framework}\n"));
    has(
        visitor.get("/hello/you").await.expect(200),
        &["Hello, you!"],
    );

    let form = [("name", "Zoë B"), ("n", "1"), ("n", "2")];
    let said = visitor.submit("/form", &form).await;
    assert_eq!(
        parsed(&said.expect(200).body),
        json!({"name": "Zoë B", "all": ["1", "2"]})
    );

    let file = bytes((1 << 20) + 12_345);
    let said = visitor.upload("/upload", &[("before", "it")], &file).await;
    let expected = json!({
        "name": "a file.bin",
        "size": 1_060_921,
        "sha256": "3f94ae3f0c45264951457d80fce3d2e74b24ea5f7c22b38aae9c30dae00b262a",
    });
    assert_eq!(parsed(&said.expect(200).body), expected);

    let stream = visitor.get("/stream/1000").await;
    assert_eq!(stream.expect(200).end, End::Whole);
    assert_eq!(stream.header("content-length"), None);
    let lines: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    assert_eq!(stream.text(), lines);
    reads_a_block_before_the_next_is_made(server).await;

    visitor.get("/teapot").await.expect(418);
    visitor.get("/nope").await.expect(404);
    let broken = visitor.get("/broken").await;
    is_told_in_the_log_only(&broken, "RuntimeError: broken on purpose", "app.py").await;
}

/// The second line is sent when the answer to the first has come.
async fn reads_a_block_before_the_next_is_made(server: &TestServer) {
    let mut client = server.connect().await;
    client
        .send("POST /shout HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.send("4\r\none\n\r\n").await;
    client.head().await.expect(200);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"ONE\n");
    client.send("4\r\ntwo\n\r\n0\r\n\r\n").await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"TWO\n");
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"");
}
