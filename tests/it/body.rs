//! Reading a request's body: protocol 2.2, S17 to S22. What goes wrong with a body is in
//! `body_faults`, where it ends in `framing`.

use std::ops::RangeInclusive;

use serde_json::Value;
use wasm_gw_tests::{Client, TestApp, TestServer, Vars, raw};

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
}

const BOTH: [Framing; 2] = [Framing::Length, Framing::Chunked];

/// A request with this body in these pieces: a chunk each, if it is chunked.
fn request(target: &str, framing: Framing, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let line = match framing {
        Framing::Length => format!("Content-Length: {length}"),
        Framing::Chunked => "Transfer-Encoding: chunked".to_owned(),
    };
    let mut sends =
        vec![format!("POST {target} HTTP/1.1\r\nHost: test\r\n{line}\r\n\r\n").into_bytes()];
    for piece in pieces {
        sends.push(match framing {
            Framing::Length => piece.to_vec(),
            Framing::Chunked => {
                [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
            }
        });
    }
    if framing == Framing::Chunked {
        sends.push(b"0\r\n\r\n".to_vec());
    }
    sends
}

async fn ops_server() -> TestServer {
    TestApp::of("input_ops").serve().await
}

/// What these operations give for a body, as JSON; the body comes whole, in either framing.
async fn ops(server: &TestServer, body: &[u8], ops: &str) -> String {
    let mut answers = Vec::new();
    for framing in BOTH {
        let bytes = request(&format!("/?ops={ops}"), framing, &[body]).concat();
        answers.push(server.send(&bytes).await.expect(200).text());
    }
    assert_eq!(answers[0], answers[1], "{ops}");
    answers.swap_remove(0)
}

#[tokio::test]
async fn r2_2_the_length_is_told_unless_chunked() {
    let dump = TestApp::of("environ_dump").serve().await;
    let echo = TestApp::of("echo").serve().await;
    for (lines, sent, length, body) in [
        ("X: y", "", None, ""),
        ("Content-Length: 0", "", Some("0"), ""),
        ("Content-Length: 3", "abc", Some("3"), "abc"),
        ("Content-Length: 00003", "abc", Some("3"), "abc"),
        (
            "Transfer-Encoding: chunked",
            "3\r\nabc\r\n0\r\n\r\n",
            None,
            "abc",
        ),
        ("Transfer-Encoding: chunked", "0\r\n\r\n", None, ""),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n{sent}");
        raw::check(&dump, &request, |response| {
            let vars = Vars::of(response);
            assert_eq!(vars.get("CONTENT_LENGTH"), length, "{lines}");
            assert_eq!(vars.get("run.input-terminated"), Some("true"));
        })
        .await;
        raw::stays(&echo, &request, |response| {
            assert_eq!(response.expect(200).text(), body, "{lines}");
        })
        .await;
    }
}

#[tokio::test]
async fn r2_2_every_byte_arrives_as_it_was_sent() {
    let server = TestApp::of("echo").serve().await;
    let every: Vec<u8> = (0..=255).collect();
    let line_ends = b"\r\n\r\n\n\r\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    for body in [&every[..], line_ends] {
        for framing in BOTH {
            let (front, back) = body.split_at(7);
            raw::stays(
                &server,
                request("/", framing, &[front, back]).concat(),
                |response| {
                    assert_eq!(response.expect(200).body, body);
                },
            )
            .await;
        }
    }
}

#[tokio::test]
async fn r2_2_content_codings_are_not_undone() {
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
    let head =
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n";
    let bytes = [head.as_bytes(), gzip].concat();
    let echo = TestApp::of("echo").serve().await;
    assert_eq!(echo.send(&bytes).await.body, gzip);
    let dump = TestApp::of("environ_dump").serve().await;
    let vars = Vars::of(&dump.send(&bytes).await);
    assert_eq!(vars.get("CONTENT_LENGTH"), Some("20"));
    assert_eq!(vars.get("HTTP_CONTENT_ENCODING"), Some("gzip"));
}

#[tokio::test]
async fn r2_2_a_body_of_head_is_read_and_the_connection_stays_in_step() {
    let server = ops_server().await;
    for framing in BOTH {
        let bytes = request("/?ops=rest", framing, &[b"body"]).concat();
        let bytes = [b"HEAD", &bytes[4..]].concat();
        raw::stays(&server, bytes, |response| {
            assert_eq!(response.expect(200).header("content-length"), Some("8"));
        })
        .await;
    }
}

#[tokio::test]
async fn s17_s18_s19_s20_read_gives_what_was_asked_for_until_the_end() {
    let server = ops_server().await;
    let check = async |body: &str, text: &str, expected: &str| {
        assert_eq!(
            ops(&server, body.as_bytes(), text).await,
            expected,
            "{body:?} {text}"
        );
    };
    check("abcdef", "rest", r#"["abcdef"]"#).await;
    check("abcdef", "rest,rest,read:5,line", r#"["abcdef","","",""]"#).await;
    check(
        "abcdef",
        "read:2,read:3,read:4,read:5",
        r#"["ab","cde","f",""]"#,
    )
    .await;
    check("abcdef", "read:6,read:1", r#"["abcdef",""]"#).await;
    check(
        "abcdef",
        "read:0,read:0,rest,read:0",
        r#"["","","abcdef",""]"#,
    )
    .await;
    check(
        "abcdef",
        "read:18446744073709551615,rest",
        r#"["abcdef",""]"#,
    )
    .await;
    check("abcdef", "read:2,rest", r#"["ab","cdef"]"#).await;
    check(
        "",
        "rest,read:1,line,line:1,lines,iter,some:1",
        r#"["","","","",[],[],""]"#,
    )
    .await;
}

#[tokio::test]
async fn s21_readline_splits_at_its_size_and_keeps_the_line_end() {
    let server = ops_server().await;
    let check = async |body: &str, text: &str, expected: &str| {
        assert_eq!(
            ops(&server, body.as_bytes(), text).await,
            expected,
            "{body:?} {text}"
        );
    };
    check("a\nb\n", "line,line,line", r#"["a\u000a","b\u000a",""]"#).await;
    check("a\nb", "line,line,line", r#"["a\u000a","b",""]"#).await;
    check(
        "abc\nd",
        "line:2,line:2,line:2,line:2",
        r#"["ab","c\u000a","d",""]"#,
    )
    .await;
    check("abc\nd", "line:4,line", r#"["abc\u000a","d"]"#).await;
    check("abc\nd", "line:3,line,line", r#"["abc","\u000a","d"]"#).await;
    check("abc\nd", "line:100,line:100", r#"["abc\u000a","d"]"#).await;
    check("abc\nd", "line:0,line:0,line", r#"["","","abc\u000a"]"#).await;
    check(
        "\n\n\n",
        "line,line:1,line:5,line",
        r#"["\u000a","\u000a","\u000a",""]"#,
    )
    .await;
    // Only the one line end; all else is data.
    check(
        "a\r\nb\rc\n",
        "line,line",
        r#"["a\u000d\u000a","b\u000dc\u000a"]"#,
    )
    .await;
    check("a\u{b}\u{85}\n", "line", r#"["a\u000b\u00c2\u0085\u000a"]"#).await;
}

#[tokio::test]
async fn s17_s22_readlines_and_iteration_give_all_lines() {
    let server = ops_server().await;
    let check = async |body: &str, text: &str, expected: &str| {
        assert_eq!(
            ops(&server, body.as_bytes(), text).await,
            expected,
            "{body:?} {text}"
        );
    };
    let all = r#"["a\u000a","\u000a","bc"]"#;
    check("a\n\nbc", "lines", &format!("[{all}]")).await;
    check("a\n\nbc", "lines,lines", &format!("[{all},[]]")).await;
    check("a\n\nbc", "lines:0", &format!("[{all}]")).await;
    check("a\n\nbc", "lines:1000", &format!("[{all}]")).await;
    check("a\n\nbc", "iter", &format!("[{all}]")).await;
    check(
        "a\n\nbc",
        "line,iter,lines",
        r#"["a\u000a",["\u000a","bc"],[]]"#,
    )
    .await;
    // Enough lines to reach the hint, whole ones.
    check(
        "a\n\nbc",
        "lines:1,lines:1,lines",
        r#"[["a\u000a"],["\u000a"],["bc"]]"#,
    )
    .await;
    check(
        "a\n\nbc",
        "lines:3,lines:1",
        r#"[["a\u000a","\u000a"],["bc"]]"#,
    )
    .await;
}

#[tokio::test]
async fn s17_all_ways_of_reading_and_all_handles_share_one_position() {
    let server = ops_server().await;
    let body = b"one\ntwo\nthree\nfour\nfive";
    let mixed = ops(
        &server,
        body,
        "read:2,line,new,line:2,line,lines:1,new,some:2,iter,new,rest",
    )
    .await;
    let expected = concat!(
        r#"["on","e\u000a","tw","o\u000a",["three\u000a"],"fo","#,
        r#"["ur\u000a","five"],""]"#
    );
    assert_eq!(mixed, expected);
    let sdk = TestApp::of("sdk_input").serve().await;
    let response = sdk.post("/", b"first\nabcdefgh\nrest\nof it").await;
    let parts = r#"["first\u000a","abc","defg","h\u000a","rest\u000aof it"]"#;
    assert_eq!(response.expect(200).text(), parts);
}

#[tokio::test]
async fn r2_2_reading_nothing_does_not_wait() {
    let server = ops_server().await;
    let mut client = server.connect().await;
    let head =
        "POST /?ops=read:0,line:0,some:0 HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n";
    client.send(head).await;
    assert_eq!(client.response("POST").await.text(), r#"["","",""]"#);
}

#[tokio::test]
async fn r2_2_read_some_gives_what_is_there() {
    let server = TestApp::of("echo_stream").serve().await;
    let mut client = server.connect().await;
    client
        .send("POST /?max=3 HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nab")
        .await;
    client.head().await.expect(200);
    // What came is given at once; what is more than the most stays for the next read.
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"ab");
    client.send("c").await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"c");
    client.send("defgh").await;
    let mut rest = Vec::new();
    while let chunk = client.chunk().await.unwrap().unwrap()
        && !chunk.is_empty()
    {
        assert!(chunk.len() <= 3, "{chunk:?}");
        rest.extend(chunk);
    }
    assert_eq!(rest, b"defgh");
}

#[tokio::test]
async fn r2_2_a_body_may_be_read_byte_by_byte() {
    let server = TestApp::of("read_byte_by_byte").serve().await;
    let body: Vec<u8> = (0..2000_u32).map(|index| (index % 251) as u8).collect();
    let sum: u64 = body.iter().map(|&byte| u64::from(byte)).sum();
    for way in ["read", "some", "line", "std", "buffered"] {
        for framing in BOTH {
            let pieces: Vec<&[u8]> = body.chunks(300).collect();
            let bytes = request(&format!("/?by={way}"), framing, &pieces).concat();
            let response = server.send(&bytes).await;
            assert_eq!(
                response.expect(200).text(),
                format!("2000 {sum}\n"),
                "{way}"
            );
        }
    }
}

/// The matrix of the `treq` tests: ways of reading, sizes, ways of sending, framings.
#[tokio::test]
async fn s17_to_s22_every_way_of_reading_against_every_way_of_sending() {
    let server = ops_server().await;
    let body =
        b"one\n\ntwo two\r\n\n0\r\n\r\nthe longest line of them all, by far the longest\nend";
    let by_line: Vec<&[u8]> = body.split_inclusive(|&byte| byte == b'\n').collect();
    for framing in BOTH {
        for way in ["all", "by line", "by byte", "random"] {
            let pieces: Vec<&[u8]> = match way {
                "all" => vec![body],
                "by line" => by_line.clone(),
                "by byte" => body.chunks(1).collect(),
                _ => random_pieces(body),
            };
            for method in ["read", "line", "lines", "some"] {
                for sizes in [None, Some(1..=1), Some(1..=4), Some(1..=4096)] {
                    if sizes.is_none() && method == "some" {
                        continue; // It always has one.
                    }
                    let (ops, expected) = plan(body, method, sizes.clone());
                    let sends = request(&format!("/?ops={ops}"), framing, &pieces);
                    let mut client = server.connect().await;
                    send_each(&mut client, &sends).await;
                    let text = client.response("POST").await.expect(200).text();
                    let results: Value = serde_json::from_str(&text).unwrap();
                    let shown = format!("{framing:?} {way} {method} {sizes:?}");
                    match expected {
                        Some(expected) => assert_eq!(results, expected, "{shown}"),
                        None => at_most(&results, &ops, body, &shown),
                    }
                }
            }
        }
    }
}

async fn send_each(client: &mut Client, sends: &[Vec<u8>]) {
    for bytes in sends {
        client.send(bytes).await;
        tokio::task::yield_now().await;
    }
}

fn random_pieces(mut body: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while !body.is_empty() {
        let (piece, rest) = body.split_at(fastrand::usize(1..=body.len().min(20)));
        pieces.push(piece);
        body = rest;
    }
    pieces
}

/// Operations that read the whole body and beyond its end, and what a file gives for them. `some`
/// may give less than a file would.
fn plan(
    body: &[u8],
    method: &str,
    sizes: Option<RangeInclusive<usize>>,
) -> (String, Option<Value>) {
    let mut file = File(body);
    let mut ops = Vec::new();
    let mut expected = Vec::new();
    while ops.len() < 2 || !file.0.is_empty() || (method == "some" && ops.len() < body.len()) {
        let size = sizes.clone().map(fastrand::usize);
        let limit = size.unwrap_or(usize::MAX);
        expected.push(match method {
            "line" => file.take(limit.min(file.line())).into(),
            "lines" => {
                let mut lines = Vec::new();
                let mut total = 0;
                while total < limit && !file.0.is_empty() {
                    total += file.line();
                    lines.push(file.take(file.line()));
                }
                lines.into()
            }
            _ => Value::from(file.take(limit)),
        });
        ops.push(match (method, size) {
            ("read", None) => "rest".to_owned(),
            (method, None) => method.to_owned(),
            (method, Some(size)) => format!("{method}:{size}"),
        });
    }
    (ops.join(","), (method != "some").then_some(expected.into()))
}

/// What is left of a file.
struct File<'a>(&'a [u8]);

impl File<'_> {
    fn take(&mut self, length: usize) -> String {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        String::from_utf8(taken.to_vec()).unwrap()
    }

    /// The length of the next line.
    fn line(&self) -> usize {
        let end = self.0.iter().position(|&byte| byte == b'\n');
        end.map_or(self.0.len(), |at| at + 1)
    }
}

/// `some` gives at least one byte, at most what was asked for, and in the end everything.
#[track_caller]
fn at_most(results: &Value, ops: &str, body: &[u8], shown: &str) {
    let mut seen = String::new();
    for (result, op) in results.as_array().unwrap().iter().zip(ops.split(',')) {
        let size: usize = op.split_once(':').unwrap().1.parse().unwrap();
        let data = result.as_str().unwrap();
        assert!(data.len() <= size, "{shown}");
        assert!(!data.is_empty() || seen.len() == body.len(), "{shown}");
        seen.push_str(data);
    }
    assert_eq!(seen.as_bytes(), body, "{shown}");
}
