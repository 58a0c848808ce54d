//! Components that no compiler of ours makes; `tests/components` makes them.

use wasm_gw_tests::{TestApp, log};

#[tokio::test]
async fn the_smallest_component_answers() {
    let response = TestApp::of("made_by_hand").get("/").await;
    assert_eq!(response.expect(200).text(), "made by hand\n");
}

#[tokio::test]
async fn one_made_for_preview_1_runs_by_the_adapter() {
    let response = TestApp::of("preview1").get("/").await;
    assert_eq!(response.expect(200).text(), "made by hand\n");
    log::wait(response.id(), "made by hand").await;
    assert_eq!(log::of_guest(response.id(), "stdout"), ["made by hand"]);
}

#[tokio::test]
async fn a_table_grows_within_its_limit_and_no_further() {
    let within = TestApp::of("table_grow_100000").get("/").await;
    assert_eq!(within.expect(200).text(), "made by hand\n");

    let limited = TestApp::of("table_grow_100000");
    let response = limited
        .app(|app| app.limits.table_elements = 50_000)
        .get("/")
        .await;
    response.expect(502);
    log::wait(response.id(), "the guest used up its table elements").await;

    // The most that a table can ask for at all.
    TestApp::of("table_grow_most").get("/").await.expect(502);
}
