//! One request through everything.

use wasm_gw_tests::TestApp;

#[tokio::test]
async fn a_component_answers_http() {
    let response = TestApp::of("hello").get("/").await;
    response.expect(200);
    assert_eq!(response.header("content-type"), Some("text/plain"));
    assert_eq!(response.header("content-length"), Some("13"));
    assert_eq!(response.text(), "hello, world\n");
    assert_eq!(response.id().len(), 32);
}

#[tokio::test]
async fn each_request_has_an_instance_of_its_own() {
    let server = TestApp::of("counter").serve().await;
    for _ in 0..20 {
        assert_eq!(server.get("/").await.text().trim(), "1");
    }
}
