//! Applications in Python: those of `tests/guests/python`, in one component. What they have in common
//! with other languages is in the conformance suite.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use wasm_gw_tests::client::End;
use wasm_gw_tests::{Response, TestApp, log, python_component};

fn guests() -> TestApp {
    let component = python_component("tests/guests/python", "many:app");
    let component = component.unwrap_or_else(|problem| panic!("{problem}"));
    TestApp::of_component("python", component).app(|app| {
        app.grants.env = vec![("GIVEN".into(), "at the run".into())];
    })
}

async fn get(target: &str) -> Response {
    guests().get(target).await
}

async fn post(target: &str, body: &str) -> Response {
    guests().serve().await.post(target, body.as_bytes()).await
}

fn parsed(response: &Response) -> Value {
    serde_json::from_slice(&response.expect(200).body).unwrap()
}

#[tokio::test]
async fn s17_lines_and_bytes_of_a_body_share_one_position() {
    let response = post("/reading/mixed", "l1\nabcde\nf\n\ngh\nij\nklm\nno").await;
    let expected = json!([
        "l1\n",
        "ab",
        "cde\n",
        "f",
        ["\n"],
        "\n",
        "gh\n",
        "ij\nklm\nno",
        "",
        [],
        "",
        []
    ]);
    assert_eq!(parsed(&response), expected);
}

#[tokio::test]
async fn s19_what_is_no_size_reads_all() {
    let response = post("/reading/sizes", "l1\nl2\nabc").await;
    let expected = json!(["", "l1\n", "l2\n", "abc", "", "", "refused"]);
    assert_eq!(parsed(&response), expected);
}

#[tokio::test]
async fn s17_a_read_gives_exactly_its_size() {
    let response = post("/reading/large", &"x".repeat(300_000)).await;
    assert_eq!(parsed(&response), json!([300_000, [19_996, 70_001]]));
}

#[tokio::test]
async fn s17_iteration_gives_a_line_before_the_next_was_sent() {
    let server = guests().serve().await;
    let mut client = server.connect().await;
    client
        .send("POST /reading/line HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.send("4\r\none\n\r\n").await;
    client.head().await.expect(200);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"one\n");
    client.send("4\r\ntwo\n\r\n0\r\n\r\n").await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"two\n");
}

#[tokio::test]
async fn s59_what_was_read_ahead_is_passed_on_with_the_rest() {
    let response = post("/reading/rest_of_lines", "l1\nl2\nabcdefgh").await;
    assert_eq!(response.expect(200).text(), "l2\nabcdefgh");
}

#[tokio::test]
async fn r2_2_a_client_that_left_is_an_error_and_no_short_body() {
    let server = guests().serve().await;
    let mut client = server.connect().await;
    client
        .send("POST /reading/error HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhello")
        .await;
    client.reset();
    log::wait_for_guest("read failed: ConnectionResetError: the client went away").await;
}

#[tokio::test]
async fn r2_2_a_broken_or_slow_body_is_an_error() {
    let broken =
        "POST /reading/error HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    let response = guests().serve().await.send(broken).await;
    assert_eq!(parsed(&response), "OSError");

    let slow = "POST /reading/error HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhello";
    let impatient = guests().http(|http| http.body_timeout = Duration::from_millis(200));
    let response = impatient.serve().await.send(slow).await;
    assert_eq!(parsed(&response), "TimeoutError");
}

#[tokio::test]
async fn a15_the_streams_have_no_other_methods() {
    assert_eq!(parsed(&get("/reading/no_more_methods").await), json!([]));
}

#[tokio::test]
async fn s40_a_list_has_a_length_and_nothing_else_does() {
    let server = guests().serve().await;
    for (target, length) in [
        ("several", Some("6")),
        ("pair", Some("6")),
        ("closing_list", None),
        ("generator", None),
    ] {
        let response = server.get(&format!("/results/{target}")).await;
        assert_eq!(response.expect(200).text(), "onetwo", "{target}");
        assert_eq!(response.header("content-length"), length, "{target}");
    }
}

#[tokio::test]
async fn s41_close_is_called_once_also_after_a_failure() {
    let server = guests().serve().await;
    for target in ["closing_list", "fails", "file"] {
        let response = server.get(&format!("/results/{target}")).await;
        log::wait_of_guest(response.id(), "wsgi.errors", 1).await;
        let closed = log::of_guest(response.id(), "wsgi.errors");
        assert_eq!(closed, ["closed"], "{target}");
    }
}

#[tokio::test]
async fn s59_any_file_is_read_from_where_it_stands() {
    let server = guests().serve().await;
    let file = server.get("/results/file").await;
    assert_eq!(file.expect(200).text(), "3456789");
    let only_read = server.get("/results/only_read").await;
    assert_eq!(only_read.expect(200).text(), "onetwo");
}

#[tokio::test]
async fn blocks_of_any_size_are_sent() {
    let server = guests().serve().await;
    for (target, length) in [
        ("huge", 20 << 20),
        ("huge_block", (17 << 20) + 1),
        ("huge_write", 17 << 20),
    ] {
        let response = server.get(&format!("/results/{target}")).await;
        assert_eq!(response.expect(200).body.len(), length, "{target}");
    }
}

#[tokio::test]
async fn a3_what_is_no_iterable_of_bytes_is_named_in_the_log() {
    let server = guests().serve().await;
    for (target, said) in [
        ("text", "the application returned str"),
        ("plain_bytes", "the application returned bytes"),
        ("none", "the application returned NoneType"),
        ("number", "the application returned int"),
        ("text_block", "a block of a body must be bytes, not str"),
        ("text_write", "a block of a body must be bytes, not str"),
    ] {
        let response = server.get(&format!("/results/{target}")).await;
        response.expect(500);
        log::wait(response.id(), said).await;
    }
    let late = server.get("/results/late_text_block").await;
    assert_ne!(late.expect(200).end, End::Whole);
}

#[tokio::test]
async fn s56_whatever_is_raised_is_logged_once_and_the_instance_is_not_lost() {
    let server = guests().serve().await;
    for (target, said) in [
        ("leaves", "SystemExit: left"),
        ("silent", "<exception str() failed>"),
        ("surrogate", "half \\udc80 again"),
        ("chained", "the direct cause of"),
    ] {
        let response = server.get(&format!("/results/{target}")).await;
        assert!(!response.expect(500).text().contains(said));
        log::wait(response.id(), said).await;
        let lines = log::of(response.id());
        let told = lines
            .iter()
            .filter(|line| line.message.contains("Traceback"));
        assert_eq!(told.count(), 1, "{target}: {lines:#?}");
        let ours = lines.iter().any(|line| line.message.contains("_wasm_gw"));
        assert!(!ours, "{target}: {lines:#?}");
    }
    let interrupted = server.get("/results/interrupted").await;
    log::wait(interrupted.id(), "KeyboardInterrupt").await;
}

#[tokio::test]
async fn a6_wrong_types_are_told_by_exceptions() {
    let server = guests().serve().await;
    let kinds = server.get("/starting/kinds").await;
    assert_eq!(kinds.expect(200).header("x-refused"), Some("9 of 9"));
    let surrogates = server.get("/starting/surrogates").await;
    assert_eq!(surrogates.expect(200).text(), "ValueError");
    let safe = server.get("/starting/safe_strings").await;
    assert_eq!(safe.expect(200).header("x-safe"), Some("yes"));
}

#[tokio::test]
async fn s28_the_very_exception_is_raised_again() {
    let response = get("/starting/raises_the_same").await;
    assert_ne!(response.end, End::Whole);
    log::wait_of_guest(response.id(), "wsgi.errors", 1).await;
    let said = log::of_guest(response.id(), "wsgi.errors");
    assert_eq!(said, ["the same"]);
}

/// `uuid.getnode` was called at the build, and looks a name up: a handle to the network that was opened
/// there would make the call in an instance trap.
#[tokio::test]
async fn s4_no_instance_has_the_chance_of_another() {
    let server = guests().serve().await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let response = server.get("/fresh/chance").await;
        for value in parsed(&response).as_array().unwrap() {
            assert!(seen.insert(value.to_string()), "{value} again");
        }
    }
}

#[tokio::test]
async fn s4_globals_are_as_at_the_build() {
    let server = guests().serve().await;
    for _ in 0..2 {
        assert_eq!(parsed(&server.get("/fresh/memory").await), json!([1]));
    }
}

#[tokio::test]
async fn what_a_request_makes_is_counted_and_what_was_at_the_build_is_not() {
    let expected = json!({"immortal": [true, false], "collects": true, "gone": [true, true]});
    assert_eq!(parsed(&get("/fresh/counted").await), expected);
}

#[tokio::test]
async fn the_environment_is_that_of_the_run() {
    let said = parsed(&get("/fresh/surroundings").await);
    assert_eq!(said["environment"], json!({"GIVEN": "at the run"}));
    assert_eq!(said["clock"], true, "{said}");
}

#[tokio::test]
async fn a_late_import_finds_its_module() {
    let said = parsed(&get("/fresh/late").await);
    let expected = json!([
        "this_is_late",
        "quopri",
        "urllib.robotparser",
        "xn--4ca.de",
        "not_there"
    ]);
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_time_zone_of_the_package_for_them_is_found() {
    let said = parsed(&get("/fresh/zone").await);
    assert_eq!(said, "2026-01-01T00:00:00+00:30");
}

#[tokio::test]
async fn passwords_are_hashed_as_elsewhere() {
    let said = parsed(&get("/hashing/passwords").await);
    let expected = json!([
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
         49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
        "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56\
         a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d",
        "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
        "ValueError",
        "ValueError",
        "ValueError"
    ]);
    assert_eq!(said, expected);
}

#[tokio::test]
async fn the_current_folder_is_the_application_s() {
    let said = parsed(&get("/surroundings/folder").await);
    assert_eq!(said, json!(["some words", "some words", true]));
}

#[tokio::test]
async fn an_application_is_some_user() {
    let said = parsed(&get("/surroundings/user").await);
    assert_eq!(said, json!(["some words", true, true]));
}

#[tokio::test]
async fn what_is_printed_is_in_the_log_by_lines() {
    let response = get("/fresh/output").await;
    log::wait_of_guest(response.id(), "stdout", 2).await;
    let stdout = log::of_guest(response.id(), "stdout");
    assert_eq!(stdout, ["printed 1 2", "without an end"]);
    log::wait_of_guest(response.id(), "stderr", 2).await;
    let stderr = log::of_guest(response.id(), "stderr");
    assert_eq!(stderr, ["WARNING logged", "of errors"]);
}

#[tokio::test]
async fn what_a_sandbox_has_not_says_so() {
    let server = guests().serve().await;
    for (target, said) in [
        (
            "thread",
            "RuntimeError: an application cannot start threads",
        ),
        ("pool", "RuntimeError: an application cannot start threads"),
        (
            "process",
            "OSError: [Errno 58] wasi does not support processes",
        ),
        ("connection", "there is no network"),
        ("queue", "RuntimeError: this would wait for ever"),
        ("file", "FileNotFoundError"),
    ] {
        let response = server.get(&format!("/blocked/{target}")).await;
        assert!(
            response.expect(200).text().contains(said),
            "{target}: {}",
            response.text()
        );
    }
    assert_eq!(parsed(&server.get("/blocked/bounded_wait").await), false);
    assert_eq!(parsed(&server.get("/blocked/event_loop").await), 2);
}

#[tokio::test]
async fn the_checker_of_the_standard_library_has_no_complaint() {
    let server = guests().serve().await;
    for (target, body) in [
        ("page", "page"),
        ("stream", "one\ntwo\n"),
        ("wrapped", "0123456789"),
    ] {
        let response = server.get(&format!("/validated/{target}")).await;
        assert_eq!(response.expect(200).text(), body);
        assert_eq!(response.end, End::Whole, "{target}");
    }
    let echo = server.post("/validated/echo", b"abc\ndef\nghi\njkl").await;
    assert_eq!(echo.expect(200).text(), "abc\ndef\nghi\njkl.");
}

#[test]
fn a_build_that_fails_tells_the_applications_own_frames() {
    for (target, told, silent) in [
        (
            "failing.imports:app",
            "No module named 'not_installed'",
            "importlib",
        ),
        ("failing.leaves:app", "SystemExit: done", "_wasm_gw"),
        ("failing.number:app", "cannot be called", "Traceback"),
    ] {
        let said = python_component("tests/guests/python", target).unwrap_err();
        assert!(said.contains(told), "{target}: {said}");
        assert!(!said.contains(silent), "{target}: {said}");
    }
}
