//! What `start-response` checks of status and headers, and in which order (docs/protocol.md 1.4, S33,
//! S60). When it may be called is in `start_response`.

use wasm_gw_tests::script::{encoded, start};
use wasm_gw_tests::{TestApp, TestServer, log};

async fn server() -> TestServer {
    TestApp::of("start_response").serve().await
}

/// What one `start` with these arguments came to.
async fn outcome(server: &TestServer, status: &str, headers: &[(&str, &str)]) -> String {
    let lines = server.outcomes(&start("start", status, headers)).await;
    lines[0].strip_prefix("app start ").unwrap().to_owned()
}

async fn status_is(server: &TestServer, status: &str, expected: &str) {
    assert_eq!(outcome(server, status, &[]).await, expected, "{status:?}");
}

async fn header_is(server: &TestServer, name: &str, value: &str, expected: &str) {
    let found = outcome(server, "200 OK", &[(name, value)]).await;
    assert_eq!(found, expected, "{name:?}: {value:?}");
}

#[tokio::test]
async fn s33_hop_by_hop_headers_are_refused_in_any_case() {
    let server = server().await;
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Trailers",
        "Transfer-Encoding",
        "Upgrade",
    ] {
        for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            header_is(&server, &name, "chunked", &format!("hop-by-hop {name}")).await;
        }
    }
    header_is(&server, "Connections", "x", "ok").await;
}

#[tokio::test]
async fn r1_4_3_the_status_is_three_digits_a_blank_and_a_reason() {
    let server = server().await;
    for good in [
        "200 OK",
        "200 ",
        "200  two blanks",
        "204 x",
        "599 x",
        "600 x",
        "999 x",
        "200 é",
    ] {
        status_is(&server, good, "ok").await;
    }
    for bad in [
        "",
        "2",
        "20",
        "200",
        "20 OK",
        "2000 OK",
        "200OK",
        "200-OK",
        " 200 OK",
        "+20 OK",
        "2 0 OK",
        "0x1 OK",
        "OK",
        "199 x",
        "100 Continue",
        "101 Switching Protocols",
        "000 x",
        "099 x",
        "200\tOK",
        "200 O\tK",
        "200 OK\r",
        "200 OK\n",
        "200 OK\r\nX: y",
        "200 \0",
        "200 \u{7f}",
        "200 \u{1f}",
        "200\u{a0}OK",
    ] {
        status_is(&server, bad, &format!("bad-status {bad}")).await;
    }
    // Digits of other scripts are no digits; they are no latin-1 either.
    status_is(&server, "２00 OK", "not-latin1 status").await;
    status_is(&server, "²00 OK", "bad-status ²00 OK").await;
}

#[tokio::test]
async fn r1_4_3_the_reason_reaches_the_client_byte_for_byte() {
    let server = server().await;
    for reason in ["OK", "", "Alles klar", "  x", "caf\u{e9} \u{80}\u{ff}"] {
        let step = start("start", &format!("200 {reason}"), &[]);
        let response = server.run(&format!("app={step};bytes:x")).await;
        assert_eq!(response.expect(200).reason, reason);
    }
}

#[tokio::test]
async fn r1_4_3_a_status_above_599_passes_with_a_word_in_the_log() {
    let response = server().await.run("app=start:700 Odd;bytes:x").await;
    assert_eq!(response.expect(700).reason, "Odd");
    log::wait(response.id(), "status 700 is outside of 200 to 599").await;
}

#[tokio::test]
async fn r1_4_4_number_and_size_of_the_headers_are_bounded() {
    let server = TestApp::of("many_headers").serve().await;
    // The guest adds a Content-Type to `n`, and its status and that make 30 bytes.
    for (n, m, said) in [
        (127, 1, "ok\n"),
        (128, 1, "StartError::TooLarge\n"),
        (1, 65_536 - 30 - 12, "ok\n"),
        (1, 65_536 - 30 - 11, "StartError::TooLarge\n"),
    ] {
        let response = server.get(&format!("/?n={n}&m={m}")).await;
        assert_eq!(response.expect(200).text(), said, "{n} {m}");
        if said == "ok\n" {
            assert_eq!(
                response.header(&format!("x-header-{n}")).map(str::len),
                Some(m),
                "{n}"
            );
        }
    }
}

#[tokio::test]
async fn r1_4_4_the_bounds_outrank_what_is_wrong_with_a_header() {
    let server = server().await;
    let many: Vec<(&str, &str)> = [("a b", "")].into_iter().cycle().take(129).collect();
    assert_eq!(outcome(&server, "200 OK", &many).await, "too-large");
    assert_eq!(
        outcome(&server, "nonsense", &many).await,
        "bad-status nonsense"
    );
    assert_eq!(
        outcome(&server, "200 OK", &many[..128]).await,
        "bad-header-name a b"
    );
}

#[tokio::test]
async fn r1_4_5_a_name_is_a_token() {
    let server = server().await;
    for good in ["X", "x-a_b.c~d!#$%&'*+^`|", "1", "X-", "X_", "Status"] {
        header_is(&server, good, "v", "ok").await;
    }
    for bad in [
        "", " ", "a b", " a", "a ", "a:", ":", "a\r\nb", "a\n", "a\0", "a\t", "a(b)", "a,b", "a/b",
        "a;b", "a=b", "a@b", "a[b]", "a{b}", "a\"b", "a\\b", "\u{e9}", "a\u{7f}",
    ] {
        header_is(&server, bad, "v", &format!("bad-header-name {bad}")).await;
    }
    header_is(&server, "€", "v", "not-latin1 €").await;
}

#[tokio::test]
async fn r1_4_6_a_value_has_no_controls_but_tabs() {
    let server = server().await;
    for code in (0..0x20).chain([0x7f]).filter(|&code| code != 0x09) {
        let control = char::from(code);
        for value in [
            format!("a{control}b"),
            format!("{control}a"),
            format!("a{control}"),
        ] {
            header_is(&server, "X-V", &value, "bad-header-value x-v").await;
        }
    }
    header_is(
        &server,
        "X-V",
        "a\r\nSet-Cookie: evil=1",
        "bad-header-value x-v",
    )
    .await;
    for good in ["", "a\tb", "\u{80}\u{ff}", "a,b;c=\"d\""] {
        header_is(&server, "X-V", good, "ok").await;
    }
}

#[tokio::test]
async fn r1_4_6_a_value_reaches_the_client_trimmed_and_as_latin_1() {
    let step = start(
        "start",
        "200 OK",
        &[("X-V", " \t caf\u{e9}\tb \t"), ("X-Empty", "  ")],
    );
    let response = server().await.run(&format!("app={step};bytes:x")).await;
    assert_eq!(response.header("x-v"), Some("caf\u{e9}\tb"));
    assert_eq!(response.header("x-empty"), Some(""));
}

#[tokio::test]
async fn s60_a_code_point_above_ff_is_refused_and_never_replaced() {
    let server = server().await;
    status_is(&server, "200 €", "not-latin1 status").await;
    header_is(&server, "X-V", "10 €", "not-latin1 x-v").await;
    header_is(&server, "X-V", "\u{100}", "not-latin1 x-v").await;
    header_is(&server, "X-\u{100}", "v", "not-latin1 X-\u{100}").await;
}

#[tokio::test]
async fn r1_4_7_content_length_is_digits_and_one() {
    let server = server().await;
    for good in ["0", "5", "007", " 5 ", "18446744073709551615"] {
        header_is(&server, "Content-Length", good, "ok").await;
    }
    for bad in [
        "",
        "+5",
        "-5",
        "-0",
        "5_0",
        "0x5",
        "5.0",
        "5 5",
        "5,5",
        "5, 5",
        "five",
        "\u{b2}",
        "18446744073709551616",
    ] {
        header_is(
            &server,
            "Content-Length",
            bad,
            &format!("bad-content-length {bad}"),
        )
        .await;
    }
    let twice = [("Content-Length", "5"), ("content-length", "6")];
    assert_eq!(
        outcome(&server, "200 OK", &twice).await,
        "bad-content-length 6"
    );
    // Equal ones are one.
    let response = server
        .run("app=start:200 OK,Content-Length=5,CONTENT-LENGTH=05;bytes:hello")
        .await;
    assert_eq!(response.header("content-length"), Some("5"));
}

#[tokio::test]
async fn r1_4_8_content_type_is_the_applications_business() {
    let server = server().await;
    let response = server.run("app=start:200 OK;bytes:x").await;
    assert_eq!(response.expect(200).header("content-type"), None);
    let response = server
        .run("app=start:304 Not Modified,Content-Type=text/plain")
        .await;
    assert_eq!(
        response.expect(304).header("content-type"),
        Some("text/plain")
    );
}

#[tokio::test]
async fn r1_4_9_repeated_headers_keep_their_order_and_are_not_merged() {
    let cookies = ["a=1; Path=/", "b=2, c", "a=3"];
    let mut headers: Vec<(&str, &str)> = cookies.map(|cookie| ("Set-Cookie", cookie)).into();
    headers.insert(1, ("X-Between", "1"));
    let step = start("start", "200 OK", &headers);
    let response = server().await.run(&format!("app={step};bytes:x")).await;
    assert_eq!(response.all("set-cookie"), cookies);
}

#[tokio::test]
async fn r1_4_the_first_fault_is_told() {
    let server = server().await;
    let check = async |status: &str, headers: &[(&str, &str)], expected: &str| {
        assert_eq!(
            outcome(&server, status, headers).await,
            expected,
            "{headers:?}"
        );
    };
    check("nonsense", &[("a b", "")], "bad-status nonsense").await;
    check(
        "200 OK",
        &[("X-V", "\0"), ("a b", "")],
        "bad-header-value x-v",
    )
    .await;
    check("200 OK", &[("a b", "\0")], "bad-header-name a b").await;
    check("200 OK", &[("Upgrade", "\0")], "hop-by-hop Upgrade").await;
    check(
        "200 OK",
        &[("Content-Length", "\0")],
        "bad-header-value content-length",
    )
    .await;
    check(
        "200 OK",
        &[("X", "€"), ("Content-Length", "x")],
        "not-latin1 x",
    )
    .await;
}

#[tokio::test]
async fn a_response_cannot_be_split() {
    // Whatever is put into the three places, the answer has one head.
    let server = server().await;
    for evil in [
        "x\r\nX-Evil: 1\r\n\r\nbody",
        "x\nX-Evil: 1",
        "x\rX-Evil: 1",
        "x\0",
    ] {
        let evil = encoded(evil);
        for step in [
            format!("start:200 {evil}"),
            format!("start:200 OK,X-V={evil}"),
            format!("start:200 OK,{evil}=v"),
        ] {
            let response = server.run(&format!("app={step};bytes:body")).await;
            assert_eq!(response.expect(500).header("x-evil"), None);
        }
    }
}
