//! How a response is framed for its client, whatever the application gave (docs/protocol.md 1.5, S28,
//! S46, S47): HEAD, 204 and 304, HTTP/1.0, chunked, connections that stay and transfers that break off.
//! What the application may give is in `write`.

use wasm_gw_tests::client::{End, Response};
use wasm_gw_tests::script::script;
use wasm_gw_tests::{TestApp, TestServer, log};

/// Each form that a body can have in the guest `head_lengths`.
const FORMS: [&str; 7] = [
    "bytes", "iter", "blocks", "write", "host", "empty", "nothing",
];

/// A request on a connection that stays, after which the connection still serves another.
async fn in_step(server: &TestServer, method: &str, target: &str) -> Response {
    let mut client = server.connect().await;
    client
        .send(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
        .await;
    let response = client.response(method).await;
    client
        .send("GET /probe HTTP/1.1\r\nHost: test\r\n\r\n")
        .await;
    let next = client.response("GET").await;
    assert_eq!(
        next.expect(200).text(),
        "hello, world\n",
        "after {method} {target}"
    );
    response
}

/// The guest, and another under `/probe`.
async fn server(guest: &str) -> TestServer {
    TestApp::of(guest).and("/probe", "hello").serve().await
}

#[tokio::test]
async fn r1_5_head_has_the_head_of_get_and_no_body() {
    let server = server("head_lengths").await;
    for via in FORMS {
        for length in ["", "&length=5"] {
            if !length.is_empty() && matches!(via, "empty" | "nothing") {
                continue;
            }
            let target = format!("/?via={via}{length}");
            let get = in_step(&server, "GET", &target).await;
            let head = in_step(&server, "HEAD", &target).await;
            assert_eq!(head.expect(200).header("content-type"), Some("text/plain"));
            assert_eq!(head.header("transfer-encoding"), None, "{target}");
            let expected = match (via, length) {
                // What GET would send is not known from nothing.
                ("empty" | "nothing", _) => None,
                _ => get.header("content-length"),
            };
            assert_eq!(head.header("content-length"), expected, "{target}");
        }
    }
}

#[tokio::test]
async fn r1_5_head_keeps_the_length_that_the_application_gave() {
    // An application that knows HEAD sends nothing and still says how much GET would.
    let server = server("head_lengths").await;
    for via in FORMS {
        let head = in_step(&server, "HEAD", &format!("/?via={via}&length=1000")).await;
        assert_eq!(
            head.expect(200).header("content-length"),
            Some("1000"),
            "{via}"
        );
        let log = log::of(head.id());
        assert!(
            log.iter().all(|line| line.level != "WARN"),
            "{via}: {log:?}"
        );
    }
}

#[tokio::test]
async fn r1_5_head_runs_the_application_and_closes_its_iterator() {
    let server = server("head_lengths").await;
    for via in ["iter", "blocks", "nothing"] {
        let head = in_step(&server, "HEAD", &format!("/?via={via}")).await;
        log::wait(head.id(), "closed").await;
    }
    let server = TestApp::of("start_response").serve().await;
    let request = script("next=2*yield;start:201 Made,X-Late=1;yield:x");
    let response = server
        .send(&format!("HEAD {request} HTTP/1.1\r\nHost: t\r\n\r\n"))
        .await;
    assert_eq!(response.expect(201).header("x-late"), Some("1"));
}

#[tokio::test]
async fn r1_5_an_error_before_the_head_is_an_error_for_head_too() {
    let server = TestApp::of("start_response").serve().await;
    for text in ["app=raise:x", "next=2*yield;raise:x", "app=bytes:x"] {
        let target = script(text);
        let response = server
            .send(&format!("HEAD {target} HTTP/1.1\r\nHost: t\r\n\r\n"))
            .await;
        response.expect(500);
        assert!(response.header("content-length").is_some(), "{text}");
    }
}

#[tokio::test]
async fn r1_5_204_and_304_have_no_body() {
    for (guest, status) in [("status_204_body", 204), ("status_304_body", 304)] {
        let server = server(guest).await;
        for via in ["bytes", "iter", "write", "empty"] {
            for length in ["", "&length=7"] {
                for method in ["GET", "HEAD", "POST"] {
                    let target = format!("/?via={via}{length}");
                    let response = in_step(&server, method, &target).await;
                    response.expect(status);
                    assert_eq!(response.header("transfer-encoding"), None, "{target}");
                    // 304 tells of the representation; 204 has none.
                    let kept = (status == 304 && !length.is_empty()).then_some("7");
                    assert_eq!(response.header("content-length"), kept, "{status} {target}");
                }
            }
        }
    }
}

#[tokio::test]
async fn r1_5_a_dropped_body_is_logged_once() {
    for (guest, status) in [("status_204_body", 204), ("status_304_body", 304)] {
        let server = TestApp::of(guest).serve().await;
        let said = format!("a body was dropped: status {status} has none");
        for via in ["bytes", "iter", "write"] {
            let response = server.get(&format!("/?via={via}")).await;
            log::wait(response.id(), &said).await;
            if via == "iter" {
                log::wait(response.id(), "closed").await;
            }
            let lines = log::of(response.id());
            let count = lines
                .iter()
                .filter(|line| line.message.contains(&said))
                .count();
            assert_eq!(count, 1, "{via}: {lines:?}");
        }
    }
}

#[tokio::test]
async fn r1_5_http_1_1_is_chunked_where_the_length_is_unknown() {
    let server = server("head_lengths").await;
    for via in ["iter", "blocks", "write", "host"] {
        let response = in_step(&server, "GET", &format!("/?via={via}")).await;
        assert_eq!(
            response.header("transfer-encoding"),
            Some("chunked"),
            "{via}"
        );
        assert_eq!(response.header("content-length"), None, "{via}");
        assert_eq!(
            (response.text().as_str(), response.end),
            ("xxxxx", End::Whole),
            "{via}"
        );
        let response = in_step(&server, "GET", &format!("/?via={via}&length=5")).await;
        assert_eq!(response.header("transfer-encoding"), None, "{via}");
        assert_eq!(response.header("content-length"), Some("5"), "{via}");
        assert_eq!(
            (response.text().as_str(), response.end),
            ("xxxxx", End::Whole),
            "{via}"
        );
    }
}

#[tokio::test]
async fn r1_5_http_1_0_ends_by_close_where_the_length_is_unknown() {
    let server = TestApp::of("head_lengths").serve().await;
    for keep_alive in ["", "Connection: keep-alive\r\n"] {
        for via in ["iter", "blocks", "write", "host"] {
            let request = format!("GET /?via={via} HTTP/1.0\r\n{keep_alive}\r\n");
            let response = server.send(&request).await;
            assert_eq!(
                response.expect(200).header("transfer-encoding"),
                None,
                "{via}"
            );
            assert_eq!(response.header("content-length"), None, "{via}");
            assert_ne!(response.header("connection"), Some("keep-alive"), "{via}");
            assert_eq!(
                (response.text().as_str(), response.end),
                ("xxxxx", End::Closed),
                "{via}"
            );
        }
    }
}

#[tokio::test]
async fn r1_5_http_1_0_stays_if_asked_to_and_the_length_is_known() {
    let server = TestApp::of("head_lengths").serve().await;
    for target in ["/?via=bytes", "/?via=iter&length=5", "/?via=empty"] {
        let mut client = server.connect().await;
        for _ in 0..2 {
            let request = format!("GET {target} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            client.send(request).await;
            let response = client.response("GET").await;
            assert_eq!(
                response.expect(200).header("connection"),
                Some("keep-alive"),
                "{target}"
            );
            assert_eq!(response.end, End::Whole, "{target}");
        }
        client.send(format!("GET {target} HTTP/1.0\r\n\r\n")).await;
        let response = client.response("GET").await;
        assert_ne!(
            response.header("connection"),
            Some("keep-alive"),
            "{target}"
        );
        assert!(client.is_closed().await, "{target}");
    }
}

#[tokio::test]
async fn r1_5_an_error_after_the_head_leaves_out_the_final_chunk() {
    let server = TestApp::of("start_response").serve().await;
    for text in [
        "app=start:200 OK;write:one;write:two;raise:x",
        "app=start:200 OK;write:one;write:two;trap",
        "app=start:200 OK&next=yield:one;yield:two;raise:x",
        "app=start:200 OK&next=yield:one;yield:two;trap",
    ] {
        let mut client = server.connect().await;
        let request = format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", script(text));
        client.send(request.repeat(2)).await;
        let head = client.head().await;
        assert_eq!(
            head.expect(200).header("transfer-encoding"),
            Some("chunked"),
            "{text}"
        );
        // Both blocks, no end, no answer to the request behind.
        let rest = client
            .rest()
            .await
            .expect("no reset before the blocks are read");
        assert_eq!(
            String::from_utf8_lossy(&rest),
            "3\r\none\r\n3\r\ntwo\r\n",
            "{text}"
        );
    }
}

#[tokio::test]
async fn r1_5_an_error_after_the_head_cuts_an_announced_length_short() {
    let server = TestApp::of("trap_mid_body").serve().await;
    for version in ["1.1", "1.0"] {
        let request = format!("GET /?n=2&length=100 HTTP/{version}\r\nHost: test\r\n\r\n");
        let response = server.send(&request).await;
        assert_eq!(response.expect(200).header("content-length"), Some("100"));
        let found = (response.text(), response.end);
        assert_eq!(
            found,
            ("block\nblock\n".to_owned(), End::CutOff),
            "{version}"
        );
    }
}

#[tokio::test]
async fn r1_5_an_error_after_the_head_resets_where_a_close_would_be_the_end() {
    let server = TestApp::of("start_response").serve().await;
    for text in [
        "app=start:200 OK;write:one;write:two;raise:x",
        "app=start:200 OK&next=yield:one;yield:two;trap",
        "app=start:200 OK&next=yield:one;yield:two;fail:500 Oops;end",
    ] {
        let request = format!("GET {} HTTP/1.0\r\n\r\n", script(text));
        let response = server.send(&request).await;
        response.expect(200);
        assert_eq!(
            (response.text().as_str(), response.end),
            ("onetwo", End::Reset),
            "{text}"
        );
    }
}

#[tokio::test]
async fn r1_5_large_blocks_before_a_failure_arrive() {
    // More than the sockets hold: what was given before the failure is not dropped with it.
    let server = TestApp::of("start_response").serve().await;
    let size = 4 << 20;
    for (version, end) in [("1.1", End::CutOff), ("1.0", End::Reset)] {
        let target = script(&format!("app=start:200 OK&next=2*yieldfill:{size};trap"));
        let request = format!("GET {target} HTTP/{version}\r\nHost: test\r\n\r\n");
        let response = server.send(&request).await;
        assert_eq!(
            (response.body.len(), response.end),
            (2 * size, end),
            "{version}"
        );
    }
}
