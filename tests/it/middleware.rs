//! Middleware and applications, composed (docs/protocol.md 1.3): one by raw bindings (`unplugged_middleware`), one by
//! the SDK (`middleware`, whose `?layer=` says what it does). The examples are in `middleware_examples`.

use wasm_gw_runtime::Interfaces;
use wasm_gw_tests::client::{End, Response};
use wasm_gw_tests::guests::composed;
use wasm_gw_tests::script::script;
use wasm_gw_tests::{TestApp, TestServer, Vars, log};

async fn serve(names: &[&str]) -> TestServer {
    TestApp::composed(names).serve().await
}

/// What a client sees of a response, without what differs each time and what the layer `head` adds.
fn seen(response: &Response) -> (u16, String, Vec<(String, String)>, String, End) {
    let ours = ["date", "x-request-id", "x-code", "x-length", "x-exc-info"];
    let headers = response.headers.iter();
    let headers = headers.filter(|(name, _)| !ours.contains(&name.as_str()));
    (
        response.status,
        response.reason.clone(),
        headers.cloned().collect(),
        // An error's page has the id.
        response.text().replace(response.id(), "ID"),
        response.end,
    )
}

/// What the guest `blocks_lifecycle` was called for, once it was dropped; and what `?trace` tells.
async fn calls(request_id: &str) -> Vec<String> {
    log::wait(request_id, "drop").await;
    log::of_guest(request_id, "wsgi.errors")
}

#[tokio::test]
async fn m1_m2_a_composition_is_an_application_like_any_other() {
    let alone = seen(&TestApp::of("hello").get("/").await);
    for names in [
        &["unplugged_middleware", "hello"][..],
        &["middleware", "hello"],
        &["middleware_gzip", "hello"],
        &["middleware", "unplugged_middleware", "hello"],
    ] {
        let interfaces = Interfaces::of(&composed(names)).unwrap();
        assert!(interfaces.is_app(), "{names:?}");
        let mut imports = interfaces.imports.iter();
        assert!(imports.all(|import| import.is_offered), "{interfaces:?}");
        assert_eq!(seen(&serve(names).await.get("/").await), alone, "{names:?}");
    }
}

#[tokio::test]
async fn m2_an_application_is_the_same_behind_middleware() {
    let alone = TestApp::of("start_response").serve().await;
    let raw = serve(&["unplugged_middleware", "start_response"]).await;
    let sdk = serve(&["middleware", "start_response"]).await;
    let both = serve(&["middleware", "middleware", "start_response"]).await;
    for text in [
        "app=start:200 OK;bytes:x",
        "app=start:200 OK;bytes",
        "app=start:200 OK",
        "app=start:200 OK,Content-Length=3;write:a;write:bc",
        "app=start:200 OK;write",
        "app=start:200 OK;write:a;bytes:b",
        "app=start:200 OK;write:a;raise:x",
        "app=start:200 OK&next=yield:a;yield;yield:b",
        "app=start:200 OK,Content-Length=1&next=9*yield:a",
        "app=start:200 OK&next=yield:a;raise:x",
        "app=start:200 OK&next=yield:a;trap",
        "app=start:200 OK;fail:500 Oops,X-A=b&next=yield:x",
        "app=start:200 OK&next=yield;fail:500 Oops,X-A=b;yield:x",
        "app=start:200 OK&next=yield:a;restart:500 Oops",
        "app=start:204 No Content&next=9*yield:x",
        "app=start:200 OK;raise:x",
        "app=start:nonsense;fail:200 OK;bytes:x",
        "next=yield;start:200 OK,X-A=b;yield:a",
        "next=start:200 OK",
        "next=yield:a",
        "app=bytes:a",
        "app=raise:x",
        "app=trap",
    ] {
        let expected = seen(&alone.run(text).await);
        for (server, layer) in [
            (&raw, ""),
            (&sdk, ""),
            (&sdk, "head"),
            (&both, ""),
            (&both, "head"),
        ] {
            let response = server.run(&format!("layer={layer}&{text}")).await;
            assert_eq!(seen(&response), expected, "{text}, layer {layer:?}");
        }
    }
}

#[tokio::test]
async fn m2_a_body_that_the_host_produces_passes_through() {
    let server = serve(&["middleware", "pass_through"]).await;
    let body = vec![b'x'; 1 << 20];
    for layer in ["", "head"] {
        let response = server.post(&format!("/?length&layer={layer}"), &body).await;
        assert!(response.expect(200).body == body, "{layer}");
        assert_eq!(response.header("content-length"), Some("1048576"));
        if layer == "head" {
            assert_eq!(response.header("x-length"), Some("Some(1048576)"));
        }
    }
    // A filter has it read.
    let response = server.post("/?length&layer=upper", b"some text").await;
    assert_eq!(response.expect(200).text(), "SOME TEXT/end");
}

#[tokio::test]
async fn m3_one_block_is_asked_for_each_that_is_asked_for() {
    // The outer one tells what the host asks for, the application what it is asked for.
    let server = serve(&["unplugged_middleware", "middleware", "blocks_lifecycle"]).await;
    let one_each = [
        "asked for a block",
        "next 1",
        "asked for a block",
        "next 2",
        "asked for a block",
        "next 3",
    ];
    let end = ["asked to close", "close 1", "drop"];
    for layer in ["", "head"] {
        let response = server.get(&format!("/?n=2&trace&layer={layer}")).await;
        assert_eq!(response.expect(200).text(), "block\nblock\n");
        let expected = [&one_each[..], &end].concat();
        assert_eq!(calls(response.id()).await, expected, "{layer:?}");
    }
    // What follows the last block is one more.
    let response = server.get("/?n=2&trace&layer=upper").await;
    assert_eq!(response.expect(200).text(), "BLOCK\nBLOCK\n/end");
    let expected = [&one_each[..], &["asked for a block"], &end].concat();
    assert_eq!(calls(response.id()).await, expected);
}

#[tokio::test]
async fn m3_empty_blocks_pass_one_by_one_and_send_nothing() {
    let server = serve(&["unplugged_middleware", "middleware", "start_response"]).await;
    for layer in ["", "head"] {
        let text = "app=start:200 OK&next=log:1;yield;log:2;yield;log:3;yield:x;log:4";
        let response = server.run(&format!("trace&layer={layer}&{text}")).await;
        assert_eq!(response.expect(200).text(), "x");
        log::wait(response.id(), "asked to close").await;
        let said = log::of_guest(response.id(), "wsgi.errors");
        let asked = "asked for a block";
        let expected = [asked, "1", asked, "2", asked, "3", asked, "4"];
        let expected = [&["app start ok"], &expected[..], &["asked to close"]].concat();
        assert_eq!(said, expected, "{layer:?}");
    }

    let server = serve(&["middleware", "empty_blocks"]).await;
    for layer in ["", "head", "upper"] {
        let response = server.get(&format!("/?n=1000&lazy&layer={layer}")).await;
        let text = response.expect(200).text().to_lowercase();
        assert_eq!(text.trim_end_matches("/end"), "at last\n", "{layer:?}");
    }
}

#[tokio::test]
async fn m4_m6_a_block_arrives_before_the_next_is_asked_for() {
    // Client and guest wait for each other in turn: a block that middleware held back would stop both.
    for (names, layer) in [
        (&["unplugged_middleware", "lockstep"][..], ""),
        (&["middleware", "lockstep"], ""),
        (&["middleware", "lockstep"], "head"),
        (&["middleware", "lockstep"], "upper"),
        (&["unplugged_middleware", "middleware", "lockstep"], "upper"),
    ] {
        let server = serve(names).await;
        let mut client = server.connect().await;
        let head = "HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked";
        client
            .send(format!("POST /?layer={layer} {head}\r\n\r\n"))
            .await;
        client.head().await.expect(200);
        let mut expected = "ready\n".to_owned();
        for line in ["one\n", "two\n", "three\n"] {
            let block = client.chunk().await.unwrap().unwrap();
            let text = String::from_utf8(block).unwrap();
            assert_eq!(text.to_lowercase(), expected, "{names:?} {layer:?}");
            client.send(format!("{:x}\r\n{line}\r\n", line.len())).await;
            expected = format!("got {line}");
        }
        client.send("0\r\n\r\n").await;
    }
}

#[tokio::test]
async fn m5_what_is_written_goes_out_once_and_before_what_is_yielded() {
    let server = serve(&["middleware", "start_response"]).await;
    for (text, expected) in [
        (
            "app=start:200 OK;write:one ;write:two &next=yield:three",
            "ONE TWO THREE/end",
        ),
        ("app=start:200 OK;write:one ;bytes:two", "ONE TWO/end"),
        ("app=start:200 OK;write:one", "ONE/end"),
    ] {
        let response = server.run(&format!("layer=upper&{text}")).await;
        assert_eq!(response.expect(200).text(), expected, "{text}");
        assert_eq!(response.header("content-length"), None, "{text}");
    }
}

#[tokio::test]
async fn m5_what_is_written_in_the_iterable_is_not_lost_unnoticed() {
    // Without middleware `write` would have said `body-started` (A13).
    let server = serve(&["middleware", "start_response"]).await;
    let text = "layer=upper&app=start:200 OK&next=yield:a;write:b;yield:c";
    let response = server.run(text).await;
    assert_eq!(
        (response.text().as_str(), response.end),
        ("AC", End::CutOff)
    );
    log::wait(response.id(), "BodyStarted").await;

    let text = "layer=head&next=start:200 OK;write:b;yield:a";
    let response = server.run(text).await;
    log::wait(response.expect(500).id(), "BodyStarted").await;
}

#[tokio::test]
async fn m7_exc_info_may_be_passed_on_or_swallowed() {
    let server = serve(&["middleware", "start_response"]).await;
    for text in [
        "app=start:200 OK;fail:500 Oops&next=yield:x",
        "app=start:200 OK&next=2*yield;fail:500 Oops;yield:x",
    ] {
        let response = server.run(&format!("layer=head&{text}")).await;
        let told = response.expect(500).header("x-exc-info");
        assert_eq!(told, Some(r#"Some("the script's error")"#), "{text}");
        assert_eq!(response.text(), "x");
        log::wait(response.id(), "the script's error").await;

        let response = server.run(&format!("layer=calm&{text}")).await;
        assert_eq!(response.expect(200).reason, "Calm", "{text}");
        let lines = log::of(response.id());
        let told = lines.iter().find(|line| line.message.contains("exc-info"));
        assert!(told.is_none(), "{told:?}");
    }
}

#[tokio::test]
async fn m7_an_application_is_told_when_its_head_is_out() {
    let server = serve(&["middleware", "start_response"]).await;
    for text in [
        "app=start:200 OK&next=yield:a;restart:500 Oops",
        "app=start:200 OK;write:a&next=restart:500 Oops",
    ] {
        let response = server.run(&format!("layer=head&{text}")).await;
        assert_eq!(
            (response.expect(200).text().as_str(), response.end),
            ("a", End::CutOff),
            "{text}"
        );
        log::wait(response.id(), "next restart headers-sent").await;
    }
}

#[tokio::test]
async fn m7_an_exception_is_raised_again_as_it_was() {
    let target = "/?kind=ValueError&message=it%20is%20so&traceback=line%201";
    let alone = TestApp::of("returns_error").get(target).await;
    let alone = log::wait(alone.expect(500).id(), "it is so").await.message;
    for layer in ["", "head", "upper"] {
        let server = serve(&["middleware", "unplugged_middleware", "returns_error"]).await;
        let response = server.get(&format!("{target}&layer={layer}")).await;
        let line = log::wait(response.expect(500).id(), "it is so").await;
        assert_eq!(line.message, alone, "{layer:?}");
    }
}

#[tokio::test]
async fn m7_an_exception_may_be_answered_by_middleware() {
    let server = serve(&["middleware", "returns_error"]).await;
    let response = server.get("/?layer=page&message=it%20is%20so").await;
    assert_eq!(response.expect(500).reason, "Sorry");
    assert_eq!(response.text(), "we are sorry\n");
    log::wait(response.id(), "it is so").await;

    let server = serve(&["middleware", "hello"]).await;
    let response = server.get("/?layer=page").await;
    assert_eq!(response.expect(200).text(), "hello, world\n");
}

#[tokio::test]
async fn m8_a_head_is_decided_upon_when_it_is_the_last_one() {
    let server = serve(&["middleware", "start_response"]).await;
    // The length that the application announced goes, and the host tells the new one.
    let text = "layer=upper&app=start:200 OK;fail:200 OK,Content-Length=1;bytes:x";
    let response = server.run(text).await;
    assert_eq!(response.expect(200).text(), "X/end");
    assert_eq!(response.header("content-length"), Some("5"));

    for (text, length) in [
        ("app=start:200 OK;bytes:abc", "Some(3)"),
        ("app=start:200 OK", "Some(0)"),
        ("app=start:200 OK,Content-Length=1&next=yield:a", "Some(1)"),
        ("app=start:200 OK&next=yield:a", "None"),
        ("app=start:200 OK;write:a;bytes:abc", "None"),
    ] {
        let response = server.run(&format!("layer=head&{text}")).await;
        let told = response.expect(200).header("x-length");
        assert_eq!(told, Some(length), "{text}");
        assert_eq!(response.header("x-code"), Some("200"), "{text}");
    }
}

/// The ways through.
const WAYS: [(&[&str], &str); 5] = [
    (&["unplugged_middleware", "blocks_lifecycle"], ""),
    (&["middleware", "blocks_lifecycle"], ""),
    (&["middleware", "blocks_lifecycle"], "head"),
    (
        &["unplugged_middleware", "middleware", "blocks_lifecycle"],
        "upper",
    ),
    (
        &["middleware_gzip", "middleware", "blocks_lifecycle"],
        "upper",
    ),
];

fn closes(calls: &[String]) -> Vec<&str> {
    let calls = calls.iter().map(String::as_str);
    calls.filter(|call| !call.starts_with("next")).collect()
}

#[tokio::test]
async fn m9_close_is_passed_on_once_at_whatever_end() {
    for (names, layer) in WAYS {
        let server = serve(names).await;
        for (method, query, status) in [
            ("GET", "n=2", 200),
            ("GET", "n=0", 200),
            ("HEAD", "n=5", 200),
            ("GET", "n=5&error=1", 500),
            ("GET", "n=5&error=2", 200),
        ] {
            let target = format!("/?{query}&layer={layer}");
            let fields = "Host: t\r\nAccept-Encoding: gzip";
            let request = format!("{method} {target} HTTP/1.1\r\n{fields}\r\n\r\n");
            let response = server.send(&request).await;
            let calls = calls(response.expect(status).id()).await;
            assert_eq!(closes(&calls), ["close 1", "drop"], "{names:?} {target}");
        }
    }
}

#[tokio::test]
async fn m9_close_is_passed_on_once_when_the_client_leaves() {
    for (names, layer) in WAYS {
        let server = serve(names).await;
        let mut client = server.connect().await;
        let target = format!("/?n=1000000&ms=1&layer={layer}");
        let fields = "Host: t\r\nAccept-Encoding: gzip";
        client
            .send(format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n"))
            .await;
        let id = client.head().await.expect(200).id().to_owned();
        client.chunk().await.unwrap().unwrap();
        drop(client);
        let calls = calls(&id).await;
        assert_eq!(closes(&calls), ["close 1", "drop"], "{names:?} {layer:?}");
    }
}

#[tokio::test]
async fn m9_a_body_that_middleware_does_not_use_is_closed() {
    let server = serve(&["middleware", "blocks_lifecycle"]).await;
    let response = server.get("/?layer=drop").await;
    assert_eq!(response.expect(200).text(), "dropped\n");
    assert_eq!(calls(response.id()).await, ["close 1", "drop"]);

    // Neither does what was not accepted of its head leave it open.
    let server = serve(&["middleware", "start_response"]).await;
    let text =
        "layer=head&app=start:200 OK,Content-Length=1;write:ab&next=yield:c&close=log:closed";
    let response = server.run(text).await;
    log::wait(response.expect(500).id(), "closed").await;
    let said = log::of_guest(response.id(), "wsgi.errors");
    let closed = said.iter().filter(|line| *line == "closed").count();
    assert_eq!(closed, 1, "{said:?}");
}

#[tokio::test]
async fn m13_middleware_may_change_what_the_application_sees() {
    let server = serve(&["middleware", "environ_dump"]).await;
    let vars = Vars::of(&server.get("/a/b?layer=shift").await);
    assert_eq!(vars.get("SCRIPT_NAME"), Some("/a"));
    assert_eq!(vars.get("PATH_INFO"), Some("/b"));

    let server = serve(&["middleware", "echo"]).await;
    let response = server.post("/?layer=input", b"sent").await;
    assert_eq!(response.expect(200).text(), "replaced");
}

#[tokio::test]
async fn a_trap_in_the_application_is_the_compositions() {
    let server = serve(&["middleware", "start_response"]).await;
    let response = server
        .get(&script("layer=head&app=start:200 OK;trap"))
        .await;
    log::wait(response.expect(502).id(), "the guest trapped").await;
}
