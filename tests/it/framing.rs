//! Where a request ends: lengths, chunks and what could make two readers differ (protocol 2.5), with
//! the deviations of the HTTP library stated as they are.

use wasm_gw_tests::{TestApp, TestServer, Vars, raw};

/// What stands behind a request that ends its connection, and must not be answered.
const TAIL: &str = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

async fn echo() -> TestServer {
    TestApp::of("echo").serve().await
}

fn post(lines: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    [
        b"POST / HTTP/1.1\r\nHost: test\r\n",
        lines.as_ref(),
        b"\r\n\r\n",
        body.as_ref(),
    ]
    .concat()
}

fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    post("Transfer-Encoding: chunked", body)
}

/// The request is refused or answered by this status, and nothing behind it is.
async fn ends(server: &TestServer, request: impl AsRef<[u8]>, status: u16) {
    let bytes = [request.as_ref(), TAIL.as_bytes()].concat();
    let shown = request.as_ref().escape_ascii().to_string();
    raw::closes(server, bytes, |response| {
        assert_eq!(response.status, status, "{shown}");
    })
    .await;
}

/// The guest reads this body, and the next request is answered on the same connection.
async fn reads(server: &TestServer, request: impl AsRef<[u8]>, body: &str) {
    let shown = request.as_ref().escape_ascii().to_string();
    raw::stays(server, request, |response| {
        assert_eq!(response.expect(200).text(), body, "{shown}");
    })
    .await;
}

#[tokio::test]
async fn r2_5_a_length_next_to_chunked_loses_and_the_connection_closes() {
    let server = echo().await;
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 1000",
        "Connection: keep-alive\r\nContent-Length: 3\r\nX: y\r\nTransfer-Encoding: chunked",
    ] {
        let bytes = [post(lines, "3\r\nabc\r\n0\r\n\r\n"), TAIL.into()].concat();
        raw::closes(&server, bytes, |response| {
            assert_eq!(response.expect(200).text(), "abc", "{lines}");
        })
        .await;
    }
    let dump = TestApp::of("environ_dump").serve().await;
    let both = "Content-Length: 6\r\nTransfer-Encoding: chunked";
    raw::closes(&dump, post(both, "0\r\n\r\n"), |response| {
        assert_eq!(Vars::of(response).get("CONTENT_LENGTH"), None);
    })
    .await;
}

#[tokio::test]
async fn r2_5_transfer_encoding_must_be_exactly_chunked() {
    let server = echo().await;
    for (lines, status) in [
        // What a server in front may have decoded, or may not.
        ("gzip, chunked", 501),
        ("deflate,chunked", 501),
        ("compress ,\tchunked", 501),
        ("x-unknown, chunked", 501),
        ("gzip;q=1, chunked", 501),
        ("gzip\r\nTransfer-Encoding: chunked", 501),
        ("identity, chunked", 400),
        ("identity\r\nTransfer-Encoding: chunked", 400),
        ("chunked, chunked", 400),
        ("chunked\r\nTransfer-Encoding: chunked", 400),
        ("chunked, gzip, chunked", 400),
        (", chunked", 400),
        ("chunked,", 400),
        ("gzip,, chunked", 400),
        ("\r\nTransfer-Encoding: chunked", 400),
        // Its end cannot be found.
        ("gzip", 400),
        ("identity", 400),
        ("chunked, gzip", 400),
        ("chunked\r\nTransfer-Encoding: gzip", 400),
        ("", 400),
        ("xchunked", 400),
        ("chunkedx", 400),
        ("chun ked", 400),
        ("\"chunked\"", 400),
        ("chunked;a=b", 400),
    ] {
        let line = format!("Transfer-Encoding: {lines}");
        ends(&server, post(line, "3\r\nabc\r\n0\r\n\r\n"), status).await;
    }
    for line in [
        "Transfer-Encoding: CHUNKED",
        "TRANSFER-encoding:\t Chunked \t",
    ] {
        reads(&server, post(line, "3\r\nabc\r\n0\r\n\r\n"), "abc").await;
    }
}

#[tokio::test]
async fn r2_5_transfer_encoding_in_http_1_0_is_400() {
    let server = echo().await;
    for lines in [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Connection: keep-alive\r\nTransfer-Encoding: chunked",
    ] {
        let request = format!("POST / HTTP/1.0\r\n{lines}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        ends(&server, request, 400).await;
    }
}

#[tokio::test]
async fn r2_5_a_content_length_is_digits() {
    let server = echo().await;
    for value in [
        "5, 5",
        "5,5",
        "+5",
        "-5",
        "-0",
        "5_0",
        "0x5",
        "5.0",
        "5 5",
        "5;",
        "a",
        "",
        ",5",
        "5,",
        "\"5\"",
        "18446744073709551616",
        "99999999999999999999999",
        "\u{665}",
    ] {
        ends(
            &server,
            post(format!("Content-Length: {value}"), "abcde"),
            400,
        )
        .await;
    }
    let two = |a: &str, b: &str| format!("Content-Length: {a}\r\nX: y\r\ncontent-length: {b}");
    ends(&server, post(two("5", "6"), "abcdef"), 400).await;
    ends(&server, post(two("0", "5"), "abcde"), 400).await;
    ends(&server, post(two("5", "+5"), "abcde"), 400).await;
    for lines in [
        "Content-Length: 005",
        "Content-Length:\t5 \t",
        &two("5", "5"),
    ] {
        reads(&server, post(lines, "abcde"), "abcde").await;
    }
}

#[tokio::test]
async fn r2_5_the_two_largest_lengths_are_431_and_the_next_413() {
    let server = echo().await;
    for (length, status) in [(u64::MAX, 431), (u64::MAX - 1, 431), (u64::MAX - 2, 413)] {
        ends(
            &server,
            post(format!("Content-Length: {length}"), ""),
            status,
        )
        .await;
    }
}

#[tokio::test]
async fn r2_5_no_length_is_no_body() {
    let server = echo().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET", "PROPFIND"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: test\r\n\r\n");
        reads(&server, request, "").await;
    }
    // A name that merely looks like it frames nothing: what follows is the next request.
    for line in [
        "Content_Length: 5",
        "Transfer_Encoding: chunked",
        "X-Content-Length: 5",
    ] {
        let mut client = server.connect().await;
        client.send(post(line, TAIL)).await;
        assert_eq!(client.response("POST").await.expect(200).text(), "");
        client.response("GET").await.expect(200);
    }
}

#[tokio::test]
async fn r2_5_any_method_may_have_a_body() {
    let server = echo().await;
    for method in ["GET", "DELETE", "OPTIONS", "PROPFIND"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: test\r\n");
        let length = format!("{head}Content-Length: 5\r\n\r\nGET /");
        reads(&server, length, "GET /").await;
        let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n");
        reads(&server, chunks, "GET /").await;
    }
}

#[tokio::test]
async fn r2_5_broken_field_lines_are_400() {
    let server = echo().await;
    for line in [
        "Content-Length : 5",
        "Content-Length\t: 5",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding: chunked\u{c}",
        "Transfer-Encoding: \0chunked",
        "Transfer-Encoding\0: chunked",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        "X: a\r\n Content-Length: 5",
        "X: a\0b",
        "X: a\rb",
        "X: a\rContent-Length: 5",
        "X: \u{1b}",
        "X: \u{7f}",
        "X",
        "X a",
        ": a",
        "X Y: a",
        "X\u{e9}: a",
        "(X): a",
        "X@: a",
        "\"X\": a",
        "X\u{b}: a",
    ] {
        ends(&server, post(line, "abcde"), 400).await;
    }
    // Before the first field, where a line could be taken for a part of the request line.
    ends(&server, "GET / HTTP/1.1\r\n Host: test\r\n\r\n", 400).await;
}

#[tokio::test]
async fn r2_5_broken_request_lines_are_400() {
    let server = echo().await;
    for line in [
        "GET /",
        "GET / HTTP/0.9",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / HTTP/3.0",
        "GET / HTTP/1",
        "GET / HTTP/1.10",
        "GET / http/1.1",
        "GET / HTTP/1.1 x",
        "GET / HTTP /1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        "/ HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET: / HTTP/1.1",
        "GE(T / HTTP/1.1",
        "G\u{c9}T / HTTP/1.1",
        "GET / XTTP/1.1",
        "GET\0/ HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        ends(&server, format!("{line}\r\nHost: test\r\n\r\n"), 400).await;
    }
    ends(&server, "GET /\r\n\r\n", 400).await;
    ends(&server, "GET /\n", 400).await;
    ends(&server, "GET / HTTP/1.1\rHost: test\r\n\r\n", 400).await;
}

#[tokio::test]
async fn r2_5_deviation_bare_line_feeds_end_lines() {
    let server = echo().await;
    reads(
        &server,
        "POST / HTTP/1.1\nHost: test\nContent-Length: 3\n\nabc",
        "abc",
    )
    .await;
    reads(
        &server,
        "\r\n\nPOST / HTTP/1.1\r\nHost: test\nContent-Length: 3\r\n\nabc",
        "abc",
    )
    .await;
}

#[tokio::test]
async fn r2_5_chunks_are_decoded() {
    let server = echo().await;
    for (body, decoded) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("003\r\nabc\r\n2\r\nde\r\n00\r\n\r\n", "abcde"),
        (
            "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
        ),
        ("7\r\n0\r\n\r\nab\r\n0\r\n\r\n", "0\r\n\r\nab"),
        ("3;a\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;a=b;c=\"d;e\"\r\nabc\r\n0;f\r\n\r\n", "abc"),
        // Trailers lead nowhere, whatever they are called.
        ("3\r\nabc\r\n0\r\nX-T: v\r\n\r\n", "abc"),
        (
            "3\r\nabc\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\nHost: y\r\n\r\n",
            "abc",
        ),
        // Deviation: blanks behind a size.
        ("3 \r\nabc\r\n0 \t\r\n\r\n", "abc"),
    ] {
        reads(&server, chunked(body), decoded).await;
    }
}

#[tokio::test]
async fn r2_5_broken_chunks_are_400_and_the_end() {
    let server = echo().await;
    let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "e".repeat(17_000));
    let many = format!(
        "{}0\r\n\r\n",
        format!("1;{}\r\na\r\n", "e".repeat(100)).repeat(170)
    );
    let trailers = format!("0\r\n{}\r\n", "X-T: v\r\n".repeat(2000));
    let trailer = format!("0\r\nX-T: {}\r\n\r\n", "v".repeat(100_000));
    for body in [
        "+3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3_0\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "\t3\r\nabc\r\n0\r\n\r\n",
        "\r\n3\r\nabc\r\n0\r\n\r\n",
        "g\r\nabc\r\n0\r\n\r\n",
        ";a\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
        "10000000000000000\r\nabc\r\n0\r\n\r\n",
        "00000000000000000000003g\r\nabc\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3;a\r\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nab\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\r\nzz\r\n",
        "3\r\nabc\r\n0\r\nno trailer\r\n\r\n",
        "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
        &long,
        &many,
        &trailers,
        &trailer,
    ] {
        ends(&server, chunked(body), 400).await;
    }
}

#[tokio::test]
async fn r2_5_deviation_a_bare_line_feed_after_the_last_chunk_begins_trailers() {
    let server = echo().await;
    // The request in there is swallowed, and the connection stays in step.
    let body = format!("3\r\nabc\r\n0\r\n\n{TAIL}");
    reads(&server, chunked(body), "abc").await;
}

#[tokio::test]
async fn r2_5_an_unread_body_is_never_a_request() {
    // The guest does not read; its answer tells which request it was.
    let server = TestApp::of("environ_dump").serve().await;
    let length = TAIL.len();
    for (lines, body) in [
        (format!("Content-Length: {length}"), TAIL.to_owned()),
        (
            "Transfer-Encoding: chunked".to_owned(),
            format!("{length:x}\r\n{TAIL}\r\n0\r\n\r\n"),
        ),
    ] {
        let next = "GET /next HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        let bytes = [post(lines, body), next.into()].concat();
        for (mut client, response) in raw::answers(&server, &bytes).await {
            assert_eq!(Vars::of(&response).get("REQUEST_URI"), Some("/"));
            // Whether the rest had arrived is the luck of the network.
            if !response.closes() {
                let next = client.response("GET").await;
                assert_eq!(Vars::of(&next).get("REQUEST_URI"), Some("/next"));
            }
            let _ = client.try_finish().await;
            assert!(client.is_closed().await);
        }
    }
    // More was announced than comes, or what comes has no end.
    for request in [
        post("Content-Length: 1000", "GET /"),
        chunked("fff\r\nGET /"),
        chunked("zz\r\n"),
        chunked("3\r\nabcd"),
    ] {
        let bytes = [&request, TAIL.as_bytes()].concat();
        raw::ends(&server, bytes, |response| {
            assert_eq!(Vars::of(response).get("REQUEST_URI"), Some("/"));
        })
        .await;
    }
}
