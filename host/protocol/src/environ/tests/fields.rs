//! Which fields become variables, and how (protocol 2.3).

use super::*;

#[test]
fn s13_values_are_bytes_as_latin_1_trimmed() {
    let value = |bytes: &[u8]| {
        let mut parts = parts("GET", "/", Version::HTTP_11, &[("Host", "h")]);
        let value = HeaderValue::from_bytes(bytes).expect("a value");
        parts.headers.insert("x-a", value);
        let environ = build_with(&Site::default(), &parts).expect("accepted");
        environ.get("HTTP_X_A").map(str::to_owned)
    };
    let check = |bytes: &[u8], expected: &str| assert_eq!(value(bytes).as_deref(), Some(expected));
    check(b"\xff\x80a", "\u{ff}\u{80}a");
    check("é".as_bytes(), "Ã©");
    check(b" \t a\tb \t", "a\tb");
    check(b"", "");
    check(b"  ", "");
}

#[test]
fn r2_1_content_type_and_length_are_not_http_variables() {
    let check = |fields: &[(&str, &str)], content_type: Option<&str>, length: Option<&str>| {
        let environ = get(fields);
        let found = (environ.get("CONTENT_TYPE"), environ.get("CONTENT_LENGTH"));
        assert_eq!(found, (content_type, length), "{fields:?}");
        assert_eq!(environ.get("HTTP_CONTENT_TYPE"), None);
        assert_eq!(environ.get("HTTP_CONTENT_LENGTH"), None);
    };
    check(&[], None, None);
    check(&[("Content-Type", "")], Some(""), None);
    check(
        &[("Content-Type", " a/b "), ("Content-Length", "007")],
        Some("a/b"),
        Some("7"),
    );
    check(
        &[("Content-Length", "5"), ("Content-Length", "5")],
        None,
        Some("5"),
    );
    check(&[("Transfer-Encoding", "chunked")], None, None);
    check(
        &[("Transfer-Encoding", "chunked"), ("Content-Length", "5")],
        None,
        None,
    );
    check(
        &[("Content_Type", "x"), ("Content_Length", "9")],
        None,
        None,
    );
}

#[test]
fn r2_3_fields_that_may_come_once() {
    let check = |name: &str, expected: u16| {
        let found = status(&[("Host", "h"), (name, "1"), (name, "1")]);
        assert_eq!(found, expected, "{name}");
    };
    check("Content-Type", 400);
    check("Authorization", 400);
    check("Range", 200);
    check("Content-Length", 200);
    assert_eq!(status(&[("Host", "h"), ("Host", "h")]), 400);
    assert_eq!(
        status(&[
            ("Host", "h"),
            ("Content-Length", "1"),
            ("Content-Length", "2")
        ]),
        400
    );
    assert_eq!(status(&[]), 400, "no Host");
}

#[test]
fn r2_3_repeated_fields_are_joined_in_order() {
    let check = |fields: &[(&str, &str)], name: &str, expected: &str| {
        assert_eq!(get(fields).get(name), Some(expected), "{fields:?}");
    };
    check(
        &[
            ("X-A", "Python test"),
            ("X-B", "-"),
            ("x-a", " Python test 2 "),
        ],
        "HTTP_X_A",
        "Python test,Python test 2",
    );
    check(&[("X-A", ""), ("X-A", "")], "HTTP_X_A", ",");
    check(
        &[("Cookie", "a=1"), ("Cookie", "b=2"), ("Cookie", "c=3")],
        "HTTP_COOKIE",
        "a=1; b=2; c=3",
    );
    check(&[("Range", "a"), ("Range", "b")], "HTTP_RANGE", "a,b");
}

#[test]
fn r2_3_look_alikes_cannot_spoof() {
    let environ = get(&[
        ("X_Forwarded_For", "evil"),
        ("X-Forwarded-For", "good"),
        ("X-Forwarded_For", "evil"),
        ("X.Forwarded.For", "evil"),
        ("Proxy", "evil"),
        ("Script-Name", "/s"),
        ("Remote-Addr", "r"),
        ("Remote-User", "u"),
        ("Path-Info", "/p"),
    ]);
    assert_eq!(environ.get("HTTP_X_FORWARDED_FOR"), Some("good"));
    assert_eq!(environ.get("HTTP_PROXY"), None);
    assert_eq!(environ.get("SCRIPT_NAME"), Some(""));
    assert_eq!(environ.get("HTTP_SCRIPT_NAME"), Some("/s"));
    assert_eq!(environ.get("REMOTE_ADDR"), Some("192.0.2.7"));
    assert_eq!(environ.get("HTTP_REMOTE_ADDR"), Some("r"));
    assert_eq!(environ.get("REMOTE_USER"), None);
    assert_eq!(environ.get("HTTP_REMOTE_USER"), Some("u"));
    assert_eq!(environ.get("PATH_INFO"), Some("/"));
    assert_eq!(environ.get("HTTP_PATH_INFO"), Some("/p"));
}

#[test]
fn a20_s52_hop_by_hop_fields_and_those_connection_names_are_dropped() {
    let environ = get(&[
        (
            "Connection",
            "keep-alive, X-Auth, cookie, host, content-type",
        ),
        ("Connection", "TE"),
        ("X-Auth", "1"),
        ("X-Auth", "2"),
        ("X-Author", "3"),
        ("Keep-Alive", "1"),
        ("Proxy-Connection", "1"),
        ("Proxy-Authorization", "1"),
        ("TE", "trailers"),
        ("Trailer", "1"),
        ("Upgrade", "h2c"),
        ("Cookie", "a=1"),
        ("Content-Type", "a/b"),
        ("Expect", "100-continue"),
        ("Authorization", "Basic"),
    ]);
    let names: Vec<_> = environ
        .iter()
        .map(|(name, _)| name)
        .filter(|n| n.starts_with("HTTP_"))
        .collect();
    let kept = [
        "HTTP_HOST",
        "HTTP_X_AUTHOR",
        "HTTP_COOKIE",
        "HTTP_EXPECT",
        "HTTP_AUTHORIZATION",
    ];
    assert_eq!(names, kept);
    assert_eq!(environ.get("CONTENT_TYPE"), Some("a/b"));
}

#[test]
fn r2_4_an_absolute_target_replaces_host() {
    let environ = get_with(&Site::default(), "http://Other:81/p", &[]);
    assert_eq!(environ.get("HTTP_HOST"), Some("Other:81"));
    assert_eq!(environ.get("SERVER_NAME"), Some("other"));
    assert_eq!(environ.get("SERVER_PORT"), Some("8080"));
    assert_eq!(environ.get("PATH_INFO"), Some("/p"));
    assert_eq!(environ.get("REQUEST_URI"), Some("http://Other:81/p"));
}
