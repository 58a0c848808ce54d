//! The examples `middleware-auth` and `middleware-gzip`, around applications.

use std::io::{Read, Write};

use flate2::bufread::GzDecoder;
use wasm_gw_tests::script::{script, start};
use wasm_gw_tests::{Response, TestApp, TestServer, Vars, log};

async fn ask(server: &TestServer, method: &str, target: &str, field: &str) -> Response {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: t\r\n{field}\r\n\r\n");
    server.send(&request).await
}

/// Alice and Bob may pass.
async fn guarded() -> TestServer {
    let users = "alice:wonderland bob:a:b".to_owned();
    TestApp::composed(&["middleware_auth", "environ_dump"])
        .app(|app| app.environ = vec![("auth.users".to_owned(), users)])
        .serve()
        .await
}

#[tokio::test]
async fn auth_lets_those_pass_who_are_known() {
    let server = guarded().await;
    for (field, name) in [
        ("Authorization: Basic YWxpY2U6d29uZGVybGFuZA==", "alice"),
        ("Authorization: bASIC   YWxpY2U6d29uZGVybGFuZA==", "alice"),
        // A colon in the password.
        ("Authorization: Basic Ym9iOmE6Yg==", "bob"),
    ] {
        let vars = Vars::of(&ask(&server, "GET", "/", field).await);
        assert_eq!(vars.get("REMOTE_USER"), Some(name), "{field}");
        assert_eq!(vars.get("AUTH_TYPE"), Some("Basic"), "{field}");
    }
}

#[tokio::test]
async fn auth_asks_all_others_who_they_are() {
    let server = guarded().await;
    for field in [
        "X-Other: 1",
        "Authorization:",
        "Authorization: Basic",
        "Authorization: Basic ",
        // alice:wrong, alice, :wonderland, a shorter and a longer password.
        "Authorization: Basic YWxpY2U6d3Jvbmc=",
        "Authorization: Basic YWxpY2U=",
        "Authorization: Basic OndvbmRlcmxhbmQ=",
        "Authorization: Basic YWxpY2U6d29uZGVybGFu",
        "Authorization: Basic YWxpY2U6d29uZGVybGFuZDI=",
        "Authorization: Basic %%%%",
        "Authorization: Bearer YWxpY2U6d29uZGVybGFuZA==",
        "Authorization: YWxpY2U6d29uZGVybGFuZA==",
        "Remote-User: alice",
    ] {
        let response = ask(&server, "GET", "/", field).await;
        let challenge = response.expect(401).header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Basic realm="), "{field}");
        assert!(!response.text().contains("REMOTE_ADDR"), "{field}");
    }
}

#[tokio::test]
async fn auth_tells_the_application_a_name_and_no_secret() {
    let server = guarded().await;
    let fields = "Authorization: Basic YWxpY2U6d29uZGVybGFuZA==\r\nRemote-User: root\r\n\
                  X-Remote-User: root\r\nX-Forwarded-User: root\r\nX-Other: 1";
    let response = ask(&server, "GET", "/", fields).await;
    let vars = Vars::of(&response);
    assert_eq!(vars.get("REMOTE_USER"), Some("alice"));
    assert_eq!(vars.fields(), [("HTTP_X_OTHER", "1")]);
    assert!(!response.text().contains("wonderland"));
}

#[tokio::test]
async fn auth_that_knows_nobody_lets_nobody_pass() {
    let server = TestApp::composed(&["middleware_auth", "hello"])
        .serve()
        .await;
    let response = server.get("/").await;
    log::wait(response.expect(500).id(), "set auth.users").await;
}

async fn zipping() -> TestServer {
    TestApp::composed(&["middleware_gzip", "start_response"])
        .serve()
        .await
}

async fn unaltered(server: &TestServer, text: &str) -> Response {
    ask(server, "GET", &script(text), "Accept-Encoding: identity").await
}

async fn zipped(server: &TestServer, text: &str) -> Response {
    ask(server, "GET", &script(text), "Accept-Encoding: gzip").await
}

fn is_zipped(response: &Response) -> bool {
    response.header("content-encoding") == Some("gzip")
}

/// The text that was compressed: exactly one member, with nothing after it.
fn unzip(response: &Response) -> String {
    assert!(is_zipped(response), "{response:?}");
    let mut decoder = GzDecoder::new(response.body.as_slice());
    let mut text = String::new();
    decoder.read_to_string(&mut text).unwrap();
    assert!(decoder.into_inner().is_empty());
    text
}

const TEXT: &str = "start:200 OK,Content-Type=text/plain";

#[tokio::test]
async fn gzip_gives_the_same_body_however_it_is_made() {
    let server = zipping().await;
    for text in [
        format!("app={TEXT};bytesfill:10000"),
        format!("app={TEXT}&next=yieldfill:300;yield;yield:abc;yieldfill:300"),
        // Started late.
        format!("next=yield;{TEXT};yieldfill:300;yield:abc"),
        format!("next={TEXT}"),
        // Written, with what may follow.
        format!("app={TEXT};fill:300;write:abc;fill:300"),
        format!("app={TEXT};fill:300;bytes:abc"),
        format!("app={TEXT};fill:300&next=yield:abc;yieldfill:300"),
        // Begun twice.
        "app=start:404 No;fail:200 OK,Content-Type=text/plain&next=yieldfill:300".to_owned(),
        format!("app={TEXT}&next=20000*yield:abc"),
    ] {
        let expected = unaltered(&server, &text).await;
        assert_eq!(expected.header("content-encoding"), None);
        let response = zipped(&server, &text).await;
        assert_eq!(unzip(response.expect(200)), expected.text(), "{text}");
        assert_eq!(response.header("vary"), Some("Accept-Encoding"));
    }
    let response = zipped(&server, &format!("app={TEXT};bytesfill:10000")).await;
    let length = response.body.len();
    assert!(length < 200, "{length}");
    assert_eq!(
        response.header("content-length"),
        Some(&*length.to_string())
    );
}

#[tokio::test]
async fn gzip_holds_no_block_back() {
    let server = TestApp::composed(&["middleware_gzip", "lockstep"])
        .serve()
        .await;
    let mut client = server.connect().await;
    let fields = "Host: t\r\nAccept-Encoding: gzip\r\nTransfer-Encoding: chunked";
    client
        .send(format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n"))
        .await;
    assert!(is_zipped(client.head().await.expect(200)));
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    let mut expected = b"ready\n".to_vec();
    for line in ["one\n", "two\n", "three\n"] {
        let block = client.chunk().await.unwrap().unwrap();
        decoder.write_all(&block).unwrap();
        decoder.flush().unwrap();
        assert_eq!(*decoder.get_ref(), expected);
        client.send(format!("{:x}\r\n{line}\r\n", line.len())).await;
        expected.extend_from_slice(format!("got {line}").as_bytes());
    }
    client.send("0\r\n\r\n").await;
}

#[tokio::test]
async fn gzip_is_for_those_who_accept_it() {
    let server = zipping().await;
    let target = script(&format!("app={TEXT};bytesfill:1000"));
    for (accepted, expected) in [
        ("gzip", true),
        ("GZip", true),
        ("x-gzip", true),
        ("br, gzip;q=0.5", true),
        ("gzip ; Q=0.1", true),
        ("*", true),
        ("br, *;q=0.001", true),
        ("gzip, identity", true),
        ("gzip;q=0.5, identity;q=0.4", true),
        ("", false),
        ("br, deflate", false),
        ("gzip;q=0", false),
        ("gzip;q=0.000", false),
        ("*;q=0", false),
        ("gzip;q=0, *", false),
        ("identity, gzip;q=0.5", false),
        ("gzip;q=", false),
        ("gzip;q=2", false),
        ("gzip;q=NaN", false),
    ] {
        let field = format!("Accept-Encoding: {accepted}");
        let response = ask(&server, "GET", &target, &field).await;
        assert_eq!(is_zipped(response.expect(200)), expected, "{accepted}");
        // Either way, for caches.
        assert_eq!(
            response.header("vary"),
            Some("Accept-Encoding"),
            "{accepted}"
        );
    }
    let response = server.get(&target).await;
    assert!(!is_zipped(response.expect(200)));
}

#[tokio::test]
async fn gzip_leaves_alone_what_it_cannot_better() {
    let server = zipping().await;
    let kind = ("Content-Type", "text/plain");
    for (status, headers, body) in [
        ("200 OK", &[][..], "bytesfill:1000"),
        ("200 OK", &[("Content-Type", "image/png")], "bytesfill:1000"),
        (
            "200 OK",
            &[kind, ("Content-Encoding", "br")],
            "bytesfill:1000",
        ),
        (
            "200 OK",
            &[kind, ("Cache-Control", "public, No-Transform")],
            "bytesfill:1000",
        ),
        (
            "206 Partial Content",
            &[kind, ("Content-Range", "bytes 0-999/2000")],
            "bytesfill:1000",
        ),
        ("204 No Content", &[kind], "empty"),
        ("304 Not Modified", &[kind], "empty"),
        ("200 OK", &[kind], "bytesfill:255"),
    ] {
        let text = format!("app={};{body}", start("start", status, headers));
        let expected = unaltered(&server, &text).await;
        let response = zipped(&server, &text).await;
        assert_eq!(response.status, expected.status);
        assert!(response.body == expected.body, "{status} {headers:?}");
        assert!(!is_zipped(&response), "{status} {headers:?}");
        assert_eq!(response.header("vary"), None, "{status} {headers:?}");
    }
    for kind in [
        "text/html; charset=utf-8",
        "application/json",
        "Application/Problem+JSON",
        "image/svg+xml",
    ] {
        let head = start("start", "200 OK", &[("Content-Type", kind)]);
        let response = zipped(&server, &format!("app={head};bytesfill:256")).await;
        assert_eq!(unzip(&response).len(), 256, "{kind}");
    }
}

#[tokio::test]
async fn gzip_makes_the_head_fit() {
    let server = zipping().await;
    for (given, expected) in [
        (&["Origin"][..], "Origin, Accept-Encoding"),
        (&["Origin", "Accept"], "Origin, Accept, Accept-Encoding"),
        (&["accept-encoding"], "accept-encoding"),
        (&["*"], "*"),
    ] {
        let mut headers = vec![
            ("Content-Type", "text/plain"),
            ("Content-Length", "1000"),
            ("Accept-Ranges", "bytes"),
            ("ETag", "\"a\""),
        ];
        headers.extend(given.iter().map(|&value| ("Vary", value)));
        let text = format!(
            "app={}&next=yieldfill:1000",
            start("start", "200 OK", &headers)
        );
        let response = zipped(&server, &text).await;
        assert_eq!(unzip(&response).len(), 1000);
        assert_eq!(response.header("vary"), Some(expected));
        assert_eq!(response.header("etag"), Some("W/\"a\""));
        assert_eq!(response.header("content-length"), None);
        assert_eq!(response.header("accept-ranges"), None);

        let response = unaltered(&server, &text).await;
        assert_eq!(response.expect(200).header("etag"), Some("\"a\""));
        assert_eq!(response.header("content-length"), Some("1000"));
        assert_eq!(response.header("accept-ranges"), Some("bytes"));
    }
}

#[tokio::test]
async fn gzip_answers_head_as_it_is() {
    let server = zipping().await;
    let target = script(&format!("app={TEXT};bytesfill:1000"));
    let response = ask(&server, "HEAD", &target, "Accept-Encoding: gzip").await;
    assert!(!is_zipped(response.expect(200)));
    assert_eq!(response.header("content-length"), Some("1000"));
    assert_eq!(response.header("vary"), Some("Accept-Encoding"));
}

#[tokio::test]
async fn gzip_leaves_to_the_host_what_the_host_produces() {
    let server = TestApp::composed(&["middleware_gzip", "pass_through"])
        .serve()
        .await;
    let body = "x".repeat(1 << 20);
    let fields = format!(
        "Accept-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let request = format!("POST /?type=text/plain HTTP/1.1\r\nHost: t\r\n{fields}");
    let response = server.send(&request).await;
    assert!(!is_zipped(response.expect(200)));
    assert!(response.body == body.as_bytes());
}

#[tokio::test]
async fn m1_m2_two_layers_are_one_application() {
    let users = "alice:wonderland".to_owned();
    let names = ["middleware_auth", "middleware_gzip", "start_response"];
    let server = TestApp::composed(&names)
        .app(|app| app.environ = vec![("auth.users".to_owned(), users)])
        .serve()
        .await;
    let target = script(&format!("app={TEXT}&next=yieldfill:1000"));
    let fields = "Accept-Encoding: gzip\r\nAuthorization: Basic YWxpY2U6d29uZGVybGFuZA==";
    let response = ask(&server, "GET", &target, fields).await;
    assert_eq!(unzip(response.expect(200)).len(), 1000);
    let response = ask(&server, "GET", &target, "Accept-Encoding: gzip").await;
    response.expect(401);
}
