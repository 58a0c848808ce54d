//! Components that no compiler of ours makes; `tests/components` makes them.

use wasm_gw_runtime::{App, AppConfig};
use wasm_gw_tests::server::runtime;
use wasm_gw_tests::{TestApp, guest, log};

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

/// wasmtime compiles some instructions whose other half it was built without, and aborts the process when a guest
/// comes to one (RUSTSEC-2026-0570 and its like). So they are refused before.
#[tokio::test]
async fn what_wasmtime_was_built_without_is_refused() {
    for name in ["subtype", "type_test", "type_cast", "notify", "exception"] {
        let loaded = App::load(&runtime(), AppConfig::new(name), &guest(name));
        let message = loaded.err().map(|error| error.to_string());
        let message = message.unwrap_or_else(|| panic!("{name} was loaded"));
        assert!(
            message.contains("features that this host does not run"),
            "{name}: {message}"
        );
    }
}
