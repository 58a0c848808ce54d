//! The interface `recording`: what middleware learns of a wrapped application's `start-response`, and
//! that the wrapped one meets the same rules (docs/protocol.md 4.4, M5, M7).

use std::collections::HashMap;

use wasm_gw_tests::{TestApp, log};

/// The guest's report by step.
async fn report(target: &str) -> HashMap<String, String> {
    let response = TestApp::of("recorder").get(target).await;
    let text = response.expect(200).text();
    // Nothing that was recorded goes to the client.
    assert_eq!(response.header("x-inner"), None);
    let steps = text.lines().map(|line| line.split_once(": ").unwrap());
    steps
        .map(|(step, said)| (step.to_owned(), said.to_owned()))
        .collect()
}

#[tokio::test]
async fn r4_4_a_recorder_tells_what_was_started_and_nothing_before() {
    let report = report("/").await;
    assert_eq!(report["before"], "nothing");
    assert_eq!(report["after start"], r#"200 OK [("X-Inner", "1")] None"#);
}

#[tokio::test]
async fn r4_4_the_wrapped_application_meets_the_same_rules() {
    let report = report("/").await;
    assert_eq!(report["second start"], "Err(StartError::AlreadyStarted)");
}

#[tokio::test]
async fn m5_blocks_that_were_written_are_kept_in_order_and_drained_once() {
    let report = report("/").await;
    assert_eq!(report["write one"], "Ok(())");
    assert_eq!(report["written"], "[3, 3]");
    assert_eq!(report["again"], "0");
}

#[tokio::test]
async fn m7_exc_info_replaces_what_was_started_until_it_is_committed() {
    let report = report("/").await;
    assert_eq!(report["restart"], "Ok(())");
    assert_eq!(
        report["after restart"],
        r#"500 Oops [("X-Inner", "2")] Some("failed")"#
    );
    assert_eq!(report["after commit"], "Err(StartError::HeadersSent)");
    assert_eq!(report["at last"], report["after restart"]);
}

#[tokio::test]
async fn r4_4_what_is_written_unseen_is_bounded() {
    // Ten thousand blocks, two of which follow the bulk.
    let enough = report("/?kib=9998").await;
    assert_eq!(
        (&*enough["bulk write"], &*enough["write two"]),
        ("Ok(())", "Ok(())")
    );
    let endless = report("/?endless").await;
    assert!(
        endless["bulk write"].starts_with("Err(WriteError::Other("),
        "{endless:?}"
    );
    assert!(
        endless["bulk write"].contains("too much was written"),
        "{endless:?}"
    );
    let lengths = endless["written"].split(", ").count();
    assert!(lengths <= 10_000, "{lengths} blocks");
}

#[tokio::test]
async fn r4_4_a_recorders_errors_are_told_apart() {
    // A guest that gives it nonsense is refused as by the client's own.
    let server = TestApp::of("recorder_rules").serve().await;
    let text = server.get("/").await.expect(200).text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "status: Err(StartError::BadStatus(\"nonsense\"))",
            "after it: Err(StartError::AlreadyStarted)",
            "hop-by-hop: Err(StartError::HopByHop(\"Upgrade\"))",
            "name: Err(StartError::BadHeaderName(\"a b\"))",
            "value: Err(StartError::BadHeaderValue(\"x\"))",
            "many: Err(StartError::TooLarge)",
            "started: false",
            "good: Ok(())",
            "started: true",
        ]
    );
}

#[tokio::test]
async fn m7_exc_info_of_a_recorder_is_not_logged_as_the_responses() {
    // What becomes of it is for the middleware to decide.
    let response = TestApp::of("recorder").get("/").await;
    response.expect(200);
    let lines = log::of(response.id());
    let told = lines.iter().find(|line| line.message.contains("exc-info"));
    assert!(told.is_none(), "{told:?}");
}
