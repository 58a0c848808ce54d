//! `start-response`: when it may be called, and what becomes of status and headers (S25 to S32, S34,
//! S42, S44). What they may hold is in `head_checks`, the body in `write`.

use wasm_gw_tests::client::End;
use wasm_gw_tests::{TestApp, TestServer, log};

async fn server() -> TestServer {
    TestApp::of("start_response").serve().await
}

#[tokio::test]
async fn s25_start_returns_the_write_callable() {
    let response = server()
        .await
        .run("app=start:200 OK;write:one ;write:two")
        .await;
    assert_eq!(response.expect(200).text(), "one two");
}

#[tokio::test]
async fn s26_start_sends_nothing() {
    let server = server().await;
    for script in [
        "app=start:200 OK;raise:x",
        "app=start:200 OK&next=raise:x",
        // Empty blocks never flush the headers.
        "app=start:200 OK&next=3*yield;raise:x",
        "next=2*yield;start:200 OK;2*yield;raise:x",
    ] {
        let response = server.run(script).await;
        response.expect(500);
        assert_eq!(response.end, End::Whole, "{script}");
    }
}

#[tokio::test]
async fn s26_the_first_block_that_is_not_empty_sends_the_head() {
    let server = server().await;
    let response = server
        .run("app=start:200 OK&next=2*yield;yield:x;raise:x")
        .await;
    response.expect(200);
    assert_eq!((response.text().as_str(), response.end), ("x", End::CutOff));
}

#[tokio::test]
async fn s27_exc_info_replaces_status_and_headers_while_nothing_is_sent() {
    let server = server().await;
    let first = "start:200 OK,X-First=1,X-Both=1,Content-Length=99,Set-Cookie=a";
    for script in [
        format!("app={first};fail:503 Out of Order,X-Both=2;bytes:late"),
        format!("app={first}&next=2*yield;fail:503 Out of Order,X-Both=2;yield:late"),
        // A replacement that is refused can be replaced in turn.
        format!("app={first};fail:nonsense;fail:503 Out of Order,X-Both=2;bytes:late"),
    ] {
        let response = server.run(&script).await;
        assert_eq!(response.expect(503).reason, "Out of Order");
        assert_eq!(response.header("x-first"), None, "{script}");
        assert_eq!(response.header("x-both"), Some("2"), "{script}");
        assert_eq!(response.header("set-cookie"), None, "{script}");
        assert_eq!(response.text(), "late", "{script}");
        assert_ne!(response.header("content-length"), Some("99"), "{script}");
    }
}

#[tokio::test]
async fn s27_a_replacement_that_is_refused_leaves_no_head_to_send() {
    let server = server().await;
    let script = "app=start:200 OK;fail:nonsense;write:x;bytes:late";
    let response = server.run(script).await;
    response.expect(500);
    log::wait(response.id(), "app write aborted").await;
}

#[tokio::test]
async fn s27_exc_info_may_come_with_the_first_call() {
    let response = server().await.run("app=fail:500 Oops;bytes:page").await;
    assert_eq!(response.expect(500).text(), "page");
}

#[tokio::test]
async fn s28_exc_info_after_the_head_is_headers_sent_and_the_transfer_is_cut() {
    let server = server().await;
    for (script, sent) in [
        ("app=start:200 OK;write:a;restart:500 Oops;write:never", "a"),
        (
            "app=start:200 OK;write:a&next=restart:500 Oops;yield:never",
            "a",
        ),
        (
            "app=start:200 OK&next=yield:a;restart:500 Oops;yield:never",
            "a",
        ),
        // An application that swallows the failure, against A10, is not believed.
        (
            "app=start:200 OK;write:a;fail:500 Oops;write:never;bytes:never",
            "a",
        ),
        (
            "app=start:200 OK&next=yield:a;fail:500 Oops;yield:never",
            "a",
        ),
        ("app=start:200 OK;write:;fail:500 Oops;empty", ""),
    ] {
        let response = server.run(script).await;
        response.expect(200);
        assert_eq!(
            (response.text().as_str(), response.end),
            (sent, End::CutOff),
            "{script}"
        );
        log::wait(response.id(), "headers-sent").await;
    }
}

#[tokio::test]
async fn s28_headers_sent_stays_and_writes_after_it_are_aborted() {
    let server = server().await;
    let response = server
        .run("app=start:200 OK;write:a;2*fail:500 X;write:b;start:200 OK")
        .await;
    response.expect(200);
    log::wait(response.id(), "app start already-started").await;
    assert_eq!(
        log::of_guest(response.id(), "wsgi.errors"),
        [
            "app start ok",
            "app write ok",
            "app fail headers-sent",
            "app fail headers-sent",
            "app write aborted",
            "app start already-started",
        ]
    );
}

#[tokio::test]
async fn s29_a_second_call_without_exc_info_is_refused() {
    let server = server().await;
    let lines = server
        .outcomes("start:200 OK;start:201 Created;start:nonsense")
        .await;
    assert_eq!(
        lines,
        [
            "app start ok",
            "app start already-started",
            "app start already-started"
        ]
    );
    // The first stays in force.
    let response = server
        .run("app=start:202 Accepted,X-A=1;start:200 OK,X-A=2;bytes:x")
        .await;
    assert_eq!(response.expect(202).header("x-a"), Some("1"));
    // Also once the body goes.
    let response = server
        .run("app=start:200 OK&next=yield:a;start:200 OK;report")
        .await;
    assert_eq!(
        response.text(),
        "a[\"app start ok\",\"next start already-started\"]"
    );
    // And after a call with exc-info.
    let lines = server.outcomes("fail:500 Oops;start:200 OK").await;
    assert_eq!(lines, ["app fail ok", "app start already-started"]);
}

#[tokio::test]
async fn s30_after_a_bad_first_call_only_exc_info_is_accepted() {
    let server = server().await;
    for bad in [
        "start:nonsense",
        "start:200 OK,a b=c",
        "start:200 OK,Connection=close",
    ] {
        let lines = server.outcomes(&format!("{bad};start:200 OK")).await;
        assert_eq!(lines[1], "app start already-started", "{bad}");
        let response = server.run(&format!("app={bad};bytes:x")).await;
        response.expect(500);
        log::wait(response.id(), "without a call of start-response").await;
    }
}

#[tokio::test]
async fn s31_exc_info_is_logged_and_never_sent() {
    let response = server().await.run("app=fail:500 Oops;bytes:page").await;
    assert_eq!(response.text(), "page");
    let line = log::wait(response.id(), "start-response was called with exc-info").await;
    assert!(
        line.message.contains("Scripted: the script's error"),
        "{line:?}"
    );
}

#[tokio::test]
async fn s32_a_refused_call_can_be_answered_by_the_application() {
    let script = "app=start:200 OK,Upgrade=x;fail:500 My Page;bytes:sorry";
    let response = server().await.run(script).await;
    assert_eq!(response.expect(500).reason, "My Page");
    assert_eq!(response.text(), "sorry");
}

#[tokio::test]
async fn s34_date_and_server_are_added_once_and_the_applications_are_kept() {
    let named = TestApp::of("start_response")
        .app(|app| app.server_header = Some("the-server".parse().unwrap()))
        .serve()
        .await;
    let response = named.run("app=start:200 OK;bytes:x").await;
    assert!(
        response.header("date").unwrap().ends_with(" GMT"),
        "{response:?}"
    );
    assert_eq!(response.header("server"), Some("the-server"));
    let own = "app=start:200 OK,Date=Thu%2C 01 Jan 1970 00:00:00 GMT,Server=mine;bytes:x";
    let response = named.run(own).await;
    assert_eq!(
        response.header("date"),
        Some("Thu, 01 Jan 1970 00:00:00 GMT")
    );
    assert_eq!(response.header("server"), Some("mine"));
    // By default none is named.
    assert_eq!(
        server()
            .await
            .run("app=start:200 OK;bytes:x")
            .await
            .header("server"),
        None
    );
}

#[tokio::test]
async fn s42_start_may_be_called_in_the_first_iteration() {
    let server = server().await;
    let response = server
        .run("next=2*yield;start:201 Made,X-Late=1;yield;yield:a;yield:b")
        .await;
    assert_eq!(response.expect(201).header("x-late"), Some("1"));
    assert_eq!(response.text(), "ab");
    // Also if no block follows.
    let response = server.run("next=start:201 Made").await;
    assert_eq!(response.expect(201).header("content-length"), Some("0"));
}

#[tokio::test]
async fn s44_a_body_without_a_start_is_an_error_of_the_application() {
    let server = server().await;
    for script in [
        "app=bytes:x",
        "app=empty",
        "next=yield:x;start:200 OK;yield:y",
        "next=3*yield",
        "next=end",
        // `close` is too late.
        "next=end&close=start:200 OK",
    ] {
        let response = server.run(script).await;
        response.expect(500);
        let line = log::wait(response.id(), "without a call of start-response").await;
        assert_eq!(line.level, "WARN", "{script}: {line:?}");
    }
}

#[tokio::test]
async fn r1_4_1_the_state_is_checked_before_the_arguments() {
    let server = server().await;
    let lines = server.outcomes("start:200 OK;start:nonsense,a b=c").await;
    assert_eq!(lines[1], "app start already-started");
    let response = server
        .run("app=start:200 OK;write:a;fail:nonsense,a b=c;raise:x")
        .await;
    log::wait(response.id(), "app fail headers-sent").await;
}
