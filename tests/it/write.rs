//! The body as an application gives it: by `write`, as one block, as an iterator, against the length
//! it announced (S40, S45 to S50, A13, what `test_wsgiref` tests of them). How a body is framed
//! for HTTP is in `framing`.

use wasm_gw_tests::client::{End, Response};
use wasm_gw_tests::{TestApp, TestServer, log};

async fn server() -> TestServer {
    TestApp::of("start_response").serve().await
}

/// What the script's steps came to, from the log.
fn steps(response: &Response) -> Vec<String> {
    log::of_guest(response.id(), "wsgi.errors")
}

#[tokio::test]
async fn s26_the_first_write_sends_the_head_even_if_it_is_empty() {
    // The error comes too late for a page of its own.
    let response = server().await.run("app=start:200 OK;write:;raise:x").await;
    response.expect(200);
    assert_eq!((response.text().as_str(), response.end), ("", End::CutOff));
}

#[tokio::test]
async fn s40_one_block_gets_its_length() {
    let server = server().await;
    let response = server.run("app=start:200 OK;bytes:hello").await;
    assert_eq!(response.header("content-length"), Some("5"));
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(
        (response.text().as_str(), response.end),
        ("hello", End::Whole)
    );
    // Bytes as they are.
    let response = server.run("app=start:200 OK;bytes:%00%ff%0d%0a%0a").await;
    assert_eq!(response.body, [0x00, 0xff, 0x0d, 0x0a, 0x0a]);
}

#[tokio::test]
async fn s40_after_a_write_one_block_says_nothing_of_the_length() {
    // The second application of wsgiref's testContentLength.
    let server = server().await;
    for script in [
        "app=start:200 OK;write:hello;bytes:world",
        "app=start:200 OK;write:;write:hello;bytes:world",
        "app=start:200 OK;write:hello&next=yield:world",
    ] {
        let response = server.run(script).await;
        assert_eq!(response.header("content-length"), None, "{script}");
        assert_eq!(
            response.header("transfer-encoding"),
            Some("chunked"),
            "{script}"
        );
        assert_eq!(
            (response.text().as_str(), response.end),
            ("helloworld", End::Whole)
        );
    }
}

#[tokio::test]
async fn s40_an_iterator_has_no_length() {
    let response = server()
        .await
        .run("app=start:200 OK&next=yield:hello")
        .await;
    assert_eq!(response.header("content-length"), None);
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    assert_eq!(
        (response.text().as_str(), response.end),
        ("hello", End::Whole)
    );
}

#[tokio::test]
async fn s45_never_more_than_the_content_length() {
    let server = server().await;
    let start = "app=start:200 OK,Content-Length=5";
    for script in [
        format!("{start};bytes:hello world"),
        format!("{start}&next=yield:hello world"),
        format!("{start}&next=yield:hel;yield;yield:lo world"),
        format!("{start};write:he;bytes:llo world"),
        format!("{start};write:he&next=yield:llo world"),
    ] {
        // The connection stays in step.
        let mut client = server.connect().await;
        for _ in 0..2 {
            let target = wasm_gw_tests::script::script(&script);
            client
                .send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
                .await;
            let response = client.response("GET").await;
            assert_eq!(response.header("content-length"), Some("5"), "{script}");
            assert_eq!(
                (response.text().as_str(), response.end),
                ("hello", End::Whole)
            );
            log::wait(response.id(), "cut off at its Content-Length of 5").await;
        }
    }
}

#[tokio::test]
async fn s45_the_iterator_is_not_asked_again_once_the_length_is_reached() {
    let server = TestApp::of("close_marker").serve().await;
    for (length, calls) in [(16, 1), (20, 2), (32, 2), (0, 1)] {
        let response = server.get(&format!("/?n=10&length={length}")).await;
        assert_eq!(response.body.len(), length);
        assert_eq!(response.end, End::Whole);
        log::wait(response.id(), "closed").await;
        assert_eq!(
            log::of_guest(response.id(), "wsgi.errors"),
            [format!("dropped {calls}"), "closed".to_owned()],
            "{length}"
        );
    }
}

#[tokio::test]
async fn s45_a_write_beyond_the_length_is_refused_whole() {
    let start = "app=start:200 OK,Content-Length=5";
    let script = format!("{start};write:abc;write:def;write:de;write:f;write:;empty");
    let response = server().await.run(&script).await;
    assert_eq!(
        (response.text().as_str(), response.end),
        ("abcde", End::Whole)
    );
    log::wait(response.id(), "app write content-length-exceeded").await;
    assert_eq!(
        steps(&response)[1..],
        [
            "app write ok",
            "app write content-length-exceeded",
            "app write ok",
            "app write content-length-exceeded",
            "app write ok",
        ]
    );
}

#[tokio::test]
async fn s45_a_first_write_beyond_the_length_sends_nothing() {
    let server = server().await;
    let script = "app=start:200 OK,Content-Length=2;write:abc;fail:500 Oops;bytes:page";
    let response = server.run(script).await;
    assert_eq!(response.expect(500).text(), "page");
}

#[tokio::test]
async fn s46_too_little_is_cut_off_and_never_padded() {
    let server = server().await;
    let start = "app=start:200 OK,Content-Length=9";
    for (script, sent) in [
        (format!("{start}&next=yield:abc"), "abc"),
        (
            format!("{start}&next=yield:abc;yield;yield:def;end"),
            "abcdef",
        ),
        (format!("{start};write:abc"), "abc"),
        (format!("{start};write:"), ""),
        (format!("{start};write:abc;write:def;empty"), "abcdef"),
    ] {
        let response = server.run(&script).await;
        assert_eq!(response.expect(200).header("content-length"), Some("9"));
        assert_eq!(
            (response.text().as_str(), response.end),
            (sent, End::CutOff),
            "{script}"
        );
        let said = format!("the body ended after {} of 9 announced bytes", sent.len());
        let line = log::wait(response.id(), &said).await;
        assert_eq!(line.level, "WARN");
    }
}

#[tokio::test]
async fn s46_too_little_before_the_head_is_out_is_a_500() {
    let server = server().await;
    let start = "app=start:200 OK,Content-Length=9";
    for script in [
        format!("{start};bytes:abc"),
        format!("{start};empty"),
        format!("{start}&next=3*yield"),
    ] {
        let response = server.run(&script).await;
        assert_eq!(response.expect(500).end, End::Whole, "{script}");
        log::wait(response.id(), "of 9 announced bytes").await;
    }
}

#[tokio::test]
async fn s46_a_body_cut_off_closes_the_connection_and_the_access_log_tells() {
    let server = server().await;
    let mut client = server.connect().await;
    let target = "/?app=start:200%20OK,Content-Length=9&next=yield:abc";
    let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
    client.send(request.repeat(2)).await;
    let response = client.response("GET").await;
    assert_eq!(response.end, End::CutOff);
    assert!(
        client.is_closed().await,
        "the pipelined request must not be answered"
    );
    let line = server.access_log_of(response.id()).await;
    assert!(line.contains(" 200 3 "), "{line}");
    assert!(line.ends_with(" aborted"), "{line}");
}

#[tokio::test]
async fn s47_nothing_sent_is_a_length_of_zero() {
    let server = server().await;
    for script in [
        "app=start:200 OK;empty",
        "app=start:200 OK;bytes:",
        "app=start:200 OK&next=end",
        "app=start:200 OK&next=3*yield",
        "next=yield;start:200 OK;yield",
        "app=start:200 OK,Content-Length=0;empty",
    ] {
        let response = server.run(script).await;
        assert_eq!(
            response.expect(200).header("content-length"),
            Some("0"),
            "{script}"
        );
        assert_eq!(response.header("transfer-encoding"), None, "{script}");
        assert_eq!(response.end, End::Whole);
    }
}

#[tokio::test]
async fn s49_every_writer_writes_to_the_one_response() {
    let script = "app=start:200 OK;fail:500 Oops;stale:a;write:b;stale:c;empty";
    let response = server().await.run(script).await;
    assert_eq!(response.expect(500).text(), "abc");
}

#[tokio::test]
async fn s50_yielded_blocks_follow_what_was_written() {
    let script = "app=start:200 OK;write:a;write:;write:b&next=yield:c;yield;yield:d";
    let response = server().await.run(script).await;
    assert_eq!(
        (response.text().as_str(), response.end),
        ("abcd", End::Whole)
    );
}

#[tokio::test]
async fn a13_write_from_inside_the_body_is_refused() {
    let script = "app=start:200 OK;write:a&next=write:b;yield:c;write:d;yield:e&close=write:f";
    let response = server().await.run(script).await;
    assert_eq!(
        (response.text().as_str(), response.end),
        ("ace", End::Whole)
    );
    log::wait(response.id(), "close write").await;
    assert_eq!(
        steps(&response)[1..],
        [
            "app write ok",
            "next write body-started",
            "next write body-started",
            "close write body-started",
        ]
    );
}

#[tokio::test]
async fn a13_write_in_a_lazy_start_is_refused_and_nothing_of_it_is_sent() {
    let script = "next=start:200 OK;write:a;yield:b;end";
    let response = server().await.run(script).await;
    assert_eq!((response.text().as_str(), response.end), ("b", End::Whole));
    assert_eq!(
        steps(&response),
        ["next start ok", "next write body-started"]
    );
}

#[tokio::test]
async fn a_hundred_small_writes_are_one_body() {
    let server = server().await;
    let response = server.run("app=start:200 OK;100*write:ab;empty").await;
    assert_eq!(response.text(), "ab".repeat(100));
    let response = server.run("app=start:200 OK&next=100*yield:ab").await;
    assert_eq!(response.text(), "ab".repeat(100));
}

#[tokio::test]
async fn partial_writes_of_large_blocks_lose_nothing() {
    // wsgiref's testPartialWrite: far more than a socket takes at once, in each form.
    let server = server().await;
    let size = 8 << 20;
    for script in [
        format!("app=start:200 OK;bytesfill:{size}"),
        format!("app=start:200 OK;fill:{size};empty"),
        format!("app=start:200 OK&next=yieldfill:{size}"),
        format!("app=start:200 OK,Content-Length={size}&next=yieldfill:{size}"),
    ] {
        let response = server.run(&script).await;
        assert_eq!(
            (response.body.len(), response.end),
            (size, End::Whole),
            "{script}"
        );
        assert!(response.body.iter().all(|&byte| byte == b'x'));
    }
}
