//! A guest without the standard library: the SDK brings memory and words for a panic, and nothing of WASI.

use wasm_gw_tests::{TestApp, guest, log};

#[test]
fn it_imports_nothing_but_the_gateway() {
    let has = |name: &[u8]| guest("bare").windows(name.len()).any(|part| part == name);
    assert!(has(b"wasm-gw:gateway/"));
    assert!(!has(b"wasi:"));
}

#[tokio::test]
async fn its_memory_keeps_what_is_in_it() {
    let server = TestApp::of("bare").serve().await;
    // Lines of all lengths, in blocks that are as aligned as 2,000 reallocations leave them.
    let body: String = (0..2000)
        .map(|number: usize| "x".repeat(number % 97) + "\n")
        .collect();
    let response = server.post("/", body.as_bytes()).await;
    assert!(response.expect(200).body == body.as_bytes());
}

#[tokio::test]
async fn what_a_panic_says_is_in_the_log() {
    let server = TestApp::of("bare").serve().await;
    let response = server.get("/?panic").await;
    response.expect(502);
    log::wait(response.id(), "bare.rs").await;
    log::wait(response.id(), "asked to").await;
    log::wait(response.id(), "the guest trapped").await;
}

#[tokio::test]
async fn what_a_panic_says_is_in_the_log_also_when_the_environ_is_gone() {
    let server = TestApp::of("bare").serve().await;
    for query in ["dropped", "copied", "given"] {
        let response = server.get(&format!("/?{query}")).await;
        response.expect(502);
        log::wait(response.id(), "asked to").await;
    }
    // In a block the head is out.
    for query in ["block", "moved"] {
        let mut client = server.connect().await;
        client
            .send(format!("GET /?{query} HTTP/1.1\r\nHost: t\r\n\r\n"))
            .await;
        let response = client.head().await;
        log::wait(response.id(), "a block is asked to").await;
    }
}
