//! Header fields and the `HTTP_*` variables that they become, or do not: protocol 2.3.

use wasm_gw_tests::{TestApp, TestServer, Vars, log, raw};

async fn dump() -> TestServer {
    TestApp::of("environ_dump").serve().await
}

/// Sends these field lines behind a Host, in each way, and compares all `HTTP_*` but HTTP_HOST.
async fn check(server: &TestServer, lines: impl AsRef<[u8]>, expected: &[(&str, &str)]) {
    let shown = lines.as_ref().escape_ascii().to_string();
    raw::check(server, request(lines), |response| {
        assert_eq!(Vars::of(response).fields(), expected, "{shown}");
    })
    .await;
}

fn request(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [
        b"GET / HTTP/1.1\r\nHost: test\r\n",
        lines.as_ref(),
        b"\r\n\r\n",
    ]
    .concat()
}

#[tokio::test]
async fn r2_3_a_name_is_upper_case_with_underscores() {
    let server = dump().await;
    check(&server, "accept: a", &[("HTTP_ACCEPT", "a")]).await;
    check(
        &server,
        "aCCept-LANGuage: de",
        &[("HTTP_ACCEPT_LANGUAGE", "de")],
    )
    .await;
    check(&server, "X-2-y: a", &[("HTTP_X_2_Y", "a")]).await;
    check(&server, "-: a", &[("HTTP__", "a")]).await;
    check(&server, "X--Y-: a", &[("HTTP_X__Y_", "a")]).await;
}

#[tokio::test]
async fn r2_3_a_value_is_trimmed_and_nothing_else() {
    let server = dump().await;
    for (sent, seen) in [
        (&b" v"[..], "v"),
        (b"v", "v"),
        (b" \t v \t ", "v"),
        (b" a  b\tc ", "a  b\tc"),
        (b" \"a, b\" ; c=d", "\"a, b\" ; c=d"),
        (b" a%20b+c", "a%20b+c"),
        (b" \xc3\xa9", "\u{c3}\u{a9}"),
        (b" \xe9\xff\x80", "\u{e9}\u{ff}\u{80}"),
        (b" \xa0v\xa0", "\u{a0}v\u{a0}"),
        // Present, as it was in the request.
        (b"", ""),
        (b" \t ", ""),
    ] {
        check(&server, [b"X-A:", sent].concat(), &[("HTTP_X_A", seen)]).await;
    }
}

#[tokio::test]
async fn r2_3_names_that_are_no_letters_digits_and_hyphens_are_dropped() {
    let server = dump().await;
    for name in [
        "X_A", "X-A_B", "_", "_X", "X_", "X.A", "X|A", "X!A", "X~", "X#", "X$", "X%41", "X&", "X'",
        "X*", "X+", "X^", "X`",
    ] {
        check(
            &server,
            format!("X-B: b\r\n{name}: a"),
            &[("HTTP_X_B", "b")],
        )
        .await;
    }
    let spoof = "X_Forwarded_For: evil\r\nX-Forwarded-For: good\r\nX-Forwarded_For: evil";
    check(&server, spoof, &[("HTTP_X_FORWARDED_FOR", "good")]).await;
    let response = server
        .send(&request("Content_Type: a\r\nContent_Length: 1\r\nHos_t: b"))
        .await;
    let vars = Vars::of(&response);
    assert_eq!(vars.fields(), []);
    assert_eq!(
        (vars.get("CONTENT_TYPE"), vars.get("CONTENT_LENGTH")),
        (None, None)
    );
}

#[tokio::test]
async fn r2_3_repeated_fields_are_joined_in_order() {
    let server = dump().await;
    let python = "X-Python: Python test\r\nX-Other: o\r\nx-python: Python test 2";
    let joined = [
        ("HTTP_X_OTHER", "o"),
        ("HTTP_X_PYTHON", "Python test,Python test 2"),
    ];
    check(&server, python, &joined).await;
    check(
        &server,
        "A: 1\r\nA:\r\nA: , \r\nA: 2",
        &[("HTTP_A", "1,,,,2")],
    )
    .await;
    check(
        &server,
        "Cookie: a=1\r\nCookie: b=2\r\ncookie: c=3",
        &[("HTTP_COOKIE", "a=1; b=2; c=3")],
    )
    .await;
    // Joined they are no value of theirs, which tells the app that they are not to be used.
    for name in [
        "Range",
        "If-Modified-Since",
        "Max-Forwards",
        "User-Agent",
        "Referer",
    ] {
        let variable = format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
        check(
            &server,
            format!("{name}: 1\r\n{name}: 2"),
            &[(&variable, "1,2")],
        )
        .await;
    }
}

#[tokio::test]
async fn r2_3_some_fields_may_not_be_repeated() {
    let server = dump().await;
    for name in ["Host", "Content-Type", "Authorization"] {
        for second in ["a", "b", ""] {
            let twice = format!("{name}: a\r\nX: x\r\n{}: {second}", name.to_lowercase());
            let request = match name {
                "Host" => format!("GET / HTTP/1.1\r\n{twice}\r\n\r\n").into_bytes(),
                _ => request(&twice),
            };
            raw::status(&server, request, 400).await;
        }
    }
    // HTTP/1.0 may leave Host out, but not have two.
    raw::status(&server, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400).await;
}

#[tokio::test]
async fn r2_3_content_type_and_length_have_names_of_their_own() {
    let server = dump().await;
    for (lines, content_type, content_length) in [
        ("Content-Type: text/x; a=b", Some("text/x; a=b"), None),
        ("Content-Type:", Some(""), None),
        ("Content-Length: 0", None, Some("0")),
        ("Content-Length: 000", None, Some("0")),
        (
            "content-type: \t a \r\nCONTENT-LENGTH: \t 0 ",
            Some("a"),
            Some("0"),
        ),
        (
            "Connection: content-type, content-length\r\nContent-Type: a\r\nContent-Length: 0",
            Some("a"),
            Some("0"),
        ),
    ] {
        raw::check(&server, request(lines), |response| {
            let vars = Vars::of(response);
            assert_eq!(vars.get("CONTENT_TYPE"), content_type, "{lines}");
            assert_eq!(vars.get("CONTENT_LENGTH"), content_length, "{lines}");
            assert_eq!(vars.fields(), [], "{lines}");
        })
        .await;
    }
}

#[tokio::test]
async fn r2_3_proxy_is_dropped() {
    let server = dump().await;
    for name in ["Proxy", "PROXY", "proxy"] {
        check(&server, format!("{name}: http://evil/"), &[]).await;
    }
    check(&server, "Proxy-X: a", &[("HTTP_PROXY_X", "a")]).await;
}

#[tokio::test]
async fn r2_3_hop_by_hop_fields_are_dropped() {
    let server = dump().await;
    for line in [
        "Connection: keep-alive",
        "Connection: close",
        "Connection: nonsense",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic x",
        "TE: trailers",
        "te: gzip",
        "Trailer: X-T",
        "Upgrade: websocket",
        "Connection: Upgrade\r\nUpgrade: h2c",
    ] {
        check(&server, format!("{line}\r\nX-A: a"), &[("HTTP_X_A", "a")]).await;
    }
    let chunked = request("Transfer-Encoding: chunked\r\nX-A: a\r\n\r\n0");
    raw::check(&server, chunked, |response| {
        let vars = Vars::of(response);
        assert_eq!(vars.fields(), [("HTTP_X_A", "a")]);
    })
    .await;
}

#[tokio::test]
async fn r2_3_fields_named_in_connection_are_dropped_and_logged() {
    let server = dump().await;
    for connection in [
        "X-Auth",
        "x-auth",
        "close, X-AUTH",
        "keep-alive,X-Auth ,,",
        ", \t X-Auth",
        "a\r\nConnection: b, X-Auth",
    ] {
        let lines =
            format!("X-Auth: secret\r\nConnection: {connection}\r\nX-Author: me\r\nX-Auth: 2");
        check(&server, &lines, &[("HTTP_X_AUTHOR", "me")]).await;
        let id = server.send(&request(&lines)).await.id().to_owned();
        let line = log::wait(&id, "named in Connection").await;
        assert!(line.message.ends_with(": x-auth"), "{line:?}");
    }
    check(
        &server,
        "Connection: Authorization\r\nAuthorization: a",
        &[],
    )
    .await;
    // What no app sees in any case is not worth a line.
    let harmless = "Connection: te, keep-alive, x_c, host\r\nTE: trailers\r\nX_C: c";
    let id = server.send(&request(harmless)).await.id().to_owned();
    assert!(
        log::of(&id)
            .iter()
            .all(|line| !line.message.contains("Connection"))
    );
    // Not a list of names, so it names nothing.
    let no_list = "Connection: X-Auth X-B\r\nX-Auth: a";
    check(&server, no_list, &[("HTTP_X_AUTH", "a")]).await;
}

#[tokio::test]
async fn r2_3_what_the_server_needs_cannot_be_named_away() {
    let server = TestApp::of("environ_dump").serve().await;
    let request = "POST / HTTP/1.1\r\nHost: test\r\nConnection: host, content-type, content-length, \
                   transfer-encoding, cookie\r\nCookie: a=b\r\nContent-Type: c\r\n\
                   Content-Length: 3\r\n\r\nabc";
    raw::check(&server, request, |response| {
        let vars = Vars::of(response);
        assert_eq!(vars.get("HTTP_HOST"), Some("test"));
        assert_eq!(vars.get("CONTENT_TYPE"), Some("c"));
        assert_eq!(vars.get("CONTENT_LENGTH"), Some("3"));
        assert_eq!(vars.fields(), [("HTTP_COOKIE", "a=b")]);
    })
    .await;
    let chunked = "POST / HTTP/1.1\r\nHost: test\r\nConnection: transfer-encoding\r\n\
                   Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let server = TestApp::of("echo").serve().await;
    raw::stays(&server, chunked, |response| {
        assert_eq!(response.text(), "abc")
    })
    .await;
}

#[tokio::test]
async fn r2_3_expect_and_authorization_are_kept() {
    let server = dump().await;
    check(
        &server,
        "Expect: 100-continue",
        &[("HTTP_EXPECT", "100-continue")],
    )
    .await;
    check(
        &server,
        "Authorization: Bearer a,b",
        &[("HTTP_AUTHORIZATION", "Bearer a,b")],
    )
    .await;
}

#[tokio::test]
async fn r2_3_no_field_can_pose_as_a_cgi_variable() {
    let server = dump().await;
    let plain = Vars::of(&server.get("/x").await);
    for name in [
        "Request-Method",
        "Script-Name",
        "Path-Info",
        "Query-String",
        "Server-Name",
        "Server-Port",
        "Server-Protocol",
        "Server-Software",
        "Gateway-Interface",
        "Remote-Addr",
        "Remote-Port",
        "Remote-Host",
        "Remote-User",
        "Auth-Type",
        "Request-Uri",
        "Request-Scheme",
        "Https",
        "Document-Root",
        "Path-Translated",
        "Wsgi-Url-Scheme",
        "Http-Host",
        "Ssl-Protocol",
    ] {
        let request = format!("GET /x HTTP/1.1\r\nHost: test\r\n{name}: fake\r\n\r\n");
        let mut vars = Vars::of(&server.send(&request).await).0;
        let variable = format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!(vars.remove(&variable).as_deref(), Some("fake"), "{name}");
        let mut expected = plain.0.clone();
        for own in ["wasm_gw.request_id", "REMOTE_PORT"] {
            expected.insert(own.to_owned(), vars[own].clone());
        }
        assert_eq!(vars, expected, "{name}");
    }
}

#[tokio::test]
async fn r2_3_forwarded_fields_are_passed_on_and_believed_by_nobody() {
    let server = dump().await;
    let lines = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: evil\r\nX-Forwarded-Port: 443\r\nX-Real-Ip: 192.0.2.7\r\n\
                 Forwarded: for=192.0.2.7;proto=https;host=evil\r\nX-Request-Id: mine";
    let response = server.send(&request(lines)).await;
    let vars = Vars::of(&response);
    let expected = [
        ("HTTP_FORWARDED", "for=192.0.2.7;proto=https;host=evil"),
        ("HTTP_X_FORWARDED_FOR", "192.0.2.7"),
        ("HTTP_X_FORWARDED_HOST", "evil"),
        ("HTTP_X_FORWARDED_PORT", "443"),
        ("HTTP_X_FORWARDED_PROTO", "https"),
        ("HTTP_X_REAL_IP", "192.0.2.7"),
        ("HTTP_X_REQUEST_ID", "mine"),
    ];
    assert_eq!(vars.fields(), expected);
    let port = server.address.port().to_string();
    assert_eq!(vars.get("REMOTE_ADDR"), Some("127.0.0.1"));
    assert_eq!(vars.get("wsgi.url_scheme"), Some("http"));
    assert_eq!(vars.get("HTTPS"), None);
    assert_eq!(vars.get("SERVER_NAME"), Some("test"));
    assert_eq!(vars.get("SERVER_PORT"), Some(port.as_str()));
    assert_eq!(vars.get("wasm_gw.request_id"), Some(response.id()));
}

#[tokio::test]
async fn r2_3_a_request_has_at_most_100_fields_of_8190_bytes_and_64_kib_together() {
    let server = dump().await;
    let lines = |line: &str, count: usize| vec![line; count].join("\r\n");
    // Host is one of the hundred, and fields that no app sees count as well.
    for line in ["X-A: a", "X_A: a", "Proxy: a", "X-A:"] {
        raw::status(&server, request(lines(line, 99)), 200).await;
        raw::status(&server, request(lines(line, 100)), 431).await;
    }
    // Name, colon, blank, trimmed value; "X: " is three of them.
    for name in ["X", "_"] {
        let line = |value: usize| format!("{name}: {}", "v".repeat(value));
        raw::status(&server, request(line(8187)), 200).await;
        raw::status(&server, request(line(8188)), 431).await;
    }
    let blanks = " \t".repeat(3000);
    raw::status(&server, request(format!("X:{blanks}v{blanks}")), 200).await;
    raw::status(&server, request(format!("{}: v", "x".repeat(8187))), 200).await;
    raw::status(&server, request(format!("{}: v", "x".repeat(8188))), 431).await;
    // "Host: test" is ten bytes; eight times 8190 leave six of 65536.
    let full = lines(&format!("X: {}", "v".repeat(8187)), 8);
    raw::status(&server, request(format!("{full}\r\nY: abc")), 200).await;
    raw::status(&server, request(format!("{full}\r\nY: abcd")), 431).await;
    raw::status(&server, request(format!("{full}\r\n_: abcd")), 431).await;
    // Far beyond what the parser takes.
    raw::status(&server, request(lines("X-A: a", 500)), 431).await;
    raw::status(&server, request(format!("X: {}", "v".repeat(200_000))), 431).await;
}

#[tokio::test]
async fn r2_3_too_long_a_target_goes_before_too_large_a_header() {
    let server = dump().await;
    let target = format!("/{}", "a".repeat(8192));
    for lines in [
        format!("X: {}", "v".repeat(9000)),
        vec!["X: a"; 100].join("\r\n"),
        vec!["X: a"; 300].join("\r\n"),
        format!("X: {}", "v".repeat(200_000)),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n");
        raw::status(&server, request, 414).await;
    }
}
