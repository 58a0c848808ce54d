//! What is believed of the fields of proxies, and what of a client's own is not (protocol 2.6).

use http::HeaderValue;

use super::*;

/// The proxies of these tests. Whoever speaks to us is 10.0.0.1, if nothing else is said.
fn trusted() -> TrustedProxies {
    let proxies = ["10.0.0.0/8", "fd00::/8"];
    let parse = |text: &str| text.parse().expect("a proxy");
    proxies.into_iter().map(parse).collect()
}

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
    headers
}

fn peer(address: &str) -> ConnInfo {
    let remote = format!("{address}:4000").parse().expect("an address");
    ConnInfo::tcp(([10, 0, 0, 100], 8080).into(), remote)
}

fn believed(fields: &[(&str, &str)]) -> Result<Option<ConnInfo>, Refusal> {
    trusted().believe(&peer("10.0.0.1"), &headers(fields))
}

/// Client, scheme and host as they are believed; what is not told is `=`.
fn told(fields: &[(&str, &str)]) -> Result<String, u16> {
    let conn = believed(fields).map_err(|refusal| refusal.status.as_u16())?;
    let Some(conn) = conn else {
        return Ok("=".to_owned());
    };
    let client = match (conn.remote.ip(), conn.remote.port()) {
        (Some(ip), Some(port)) => format!("{ip} {port}"),
        _ => conn.remote.to_string(),
    };
    let url = match &conn.public {
        None => "=".to_owned(),
        Some(public) => format!(
            "{}://{}",
            conn.scheme,
            public.host.as_deref().unwrap_or("=")
        ),
    };
    Ok(format!("{client}, {url}"))
}

#[track_caller]
fn check(fields: &[(&str, &str)], expected: &str) {
    assert_eq!(told(fields).as_deref(), Ok(expected), "{fields:?}");
}

#[track_caller]
fn refused(fields: &[(&str, &str)], part: &str) {
    let refusal = believed(fields).expect_err(&format!("{fields:?}"));
    assert_eq!(refusal.status.as_u16(), 400);
    assert!(refusal.detail.contains(part), "{fields:?}: {refusal}");
}

#[test]
fn r2_6_fields_of_others_are_believed_by_nobody() {
    let fields = headers(&[
        ("Forwarded", "for=192.0.2.1;proto=https;host=evil"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil"),
    ]);
    // A broken one is nobody's business either.
    let broken = headers(&[("Forwarded", "for=\""), ("X-Forwarded-For", "what")]);
    for fields in [fields, broken] {
        for conn in [peer("11.0.0.1"), peer("127.0.0.1"), ConnInfo::unix()] {
            assert_eq!(trusted().believe(&conn, &fields), Ok(None), "{conn:?}");
        }
        let nobody = TrustedProxies::default();
        assert_eq!(nobody.believe(&peer("127.0.0.1"), &fields), Ok(None));
    }
}

#[test]
fn r2_6_a_proxy_that_says_nothing_is_the_client() {
    check(&[], "=");
    check(&[("Host", "h"), ("X-Real-IP", "192.0.2.1")], "=");
    // Names that only look like these never count.
    check(&[("X_Forwarded_For", "192.0.2.1")], "=");
    // Nor does a field that is there and empty.
    check(
        &[("X-Forwarded-For", ""), ("X-Forwarded-Proto", " , ")],
        "=",
    );
    check(&[("Forwarded", "")], "=");
    check(&[("Forwarded", " , ,by=10.0.0.1")], "=");
}

#[test]
fn r2_6_the_client_is_the_last_hop_that_is_not_trusted() {
    let check_for = |values: &[&str], expected: &str| {
        let fields: Vec<_> = values
            .iter()
            .map(|value| ("X-Forwarded-For", *value))
            .collect();
        check(&fields, expected);
    };
    check_for(&["192.0.2.1"], "192.0.2.1, =");
    check_for(&["192.0.2.1, 10.0.0.2"], "192.0.2.1, =");
    check_for(&["192.0.2.1, 10.0.0.2, fd00::3"], "192.0.2.1, =");
    // What a client has sent stands before what a proxy added.
    check_for(&["1.1.1.1, 192.0.2.1"], "192.0.2.1, =");
    check_for(&["10.0.0.9, 1.1.1.1, 192.0.2.1, 10.0.0.2"], "192.0.2.1, =");
    check_for(&["1.1.1.1", "192.0.2.1, 10.0.0.2"], "192.0.2.1, =");
    check_for(&["1.1.1.1, 192.0.2.1", "10.0.0.2"], "192.0.2.1, =");
    check_for(&["nonsense \"é\", 192.0.2.1"], "192.0.2.1, =");
    // All of them trusted: the first, which may be a client of our own network.
    check_for(&["10.0.0.3, 10.0.0.2"], "10.0.0.3, =");
    // Empty members are none.
    check_for(&["192.0.2.1,, ,"], "192.0.2.1, =");
}

#[test]
fn r2_6_addresses_come_in_several_forms() {
    let check_node = |text: &str, expected: &str| {
        check(&[("X-Forwarded-For", text)], &format!("{expected}, ="));
        let quoted = format!("for=\"{text}\"");
        check(&[("Forwarded", &quoted)], &format!("{expected}, ="));
    };
    check_node("192.0.2.1", "192.0.2.1");
    check_node("192.0.2.1:4711", "192.0.2.1 4711");
    check_node("192.0.2.1:_port", "192.0.2.1");
    check_node("2001:db8::1", "2001:db8::1");
    check_node("[2001:db8::1]", "2001:db8::1");
    check_node("[2001:DB8::1]:4711", "2001:db8::1 4711");
    check_node("::ffff:192.0.2.1", "192.0.2.1");
    check_node("[::ffff:192.0.2.1]:80", "192.0.2.1 80");
    // IPv4 in IPv6 is trusted as IPv4 is.
    check(
        &[("X-Forwarded-For", "192.0.2.1, ::ffff:10.0.0.2")],
        "192.0.2.1, =",
    );
    check(
        &[("X-Forwarded-For", "192.0.2.1, 10.0.0.2:80")],
        "192.0.2.1, =",
    );
}

#[test]
fn r2_6_a_client_that_is_hidden_has_no_address() {
    for hidden in [
        "unknown",
        "Unknown",
        "_gazonk",
        "_a.b-c_",
        "unknown:80",
        "_x:_y",
    ] {
        check(&[("X-Forwarded-For", hidden)], "-, =");
        let chain = format!("1.1.1.1, {hidden}, 10.0.0.2");
        // Nothing behind it is looked at: who is hidden cannot be trusted.
        check(&[("X-Forwarded-For", &chain)], "-, =");
        let chain = format!("for=1.1.1.1, for=\"{hidden}\";proto=https, for=10.0.0.2");
        check(&[("Forwarded", &chain)], "-, https://=");
    }
    check(&[("X-Forwarded-For", "unix:")], "unix:, =");
    let with_unix: TrustedProxies = ["unix", "10.0.0.0/8"]
        .into_iter()
        .map(|text| text.parse().expect("a proxy"))
        .collect();
    let fields = headers(&[("X-Forwarded-For", "192.0.2.1, unix:")]);
    for conn in [ConnInfo::unix(), peer("10.0.0.1")] {
        let conn = with_unix.believe(&conn, &fields).expect("well-formed");
        let remote = conn.map(|conn| conn.remote.to_string());
        assert_eq!(remote.as_deref(), Some("192.0.2.1"));
    }
}

#[test]
fn r2_6_what_a_proxy_must_have_written_has_to_be_readable() {
    for bad in [
        "nonsense",
        "example.com",
        "192.0.2",
        "192.0.2.1:",
        "192.0.2.1:x",
        "192.0.2.1:+80",
        "192.0.2.1:65536",
        "[2001:db8::1",
        "[192.0.2.1]",
        "[::1]80",
        "fe80::1%eth0",
        "_",
        "_a b",
        "\"192.0.2.1\"",
        "for=192.0.2.1",
        "192.0.2.1 10.0.0.2",
        "é",
    ] {
        refused(&[("X-Forwarded-For", bad)], "names no address");
        refused(
            &[("X-Forwarded-For", &format!("192.0.2.1, {bad}, 10.0.0.2"))],
            "names no address",
        );
        check(
            &[("X-Forwarded-For", &format!("{bad}, 192.0.2.1"))],
            "192.0.2.1, =",
        );
    }
    refused(&[("Forwarded", "for=nonsense")], "names no address");
    refused(&[("Forwarded", "for=\"\"")], "names no address");
    // Well-formed, and not looked into.
    check(
        &[("Forwarded", "for=nonsense, for=192.0.2.1")],
        "192.0.2.1, =",
    );
    check(
        &[("Forwarded", "proto=gopher;host=\"a b\", for=192.0.2.1")],
        "192.0.2.1, =",
    );
}

#[test]
fn r2_6_scheme_and_host_are_the_proxys_word() {
    check(
        &[("X-Forwarded-Proto", "https")],
        "10.0.0.1 4000, https://=",
    );
    check(&[("X-Forwarded-Proto", "HTTP")], "10.0.0.1 4000, http://=");
    check(
        &[("X-Forwarded-Host", "Shop.example:8443")],
        "10.0.0.1 4000, http://Shop.example:8443",
    );
    check(
        &[
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "shop.example"),
        ],
        "192.0.2.1, https://shop.example",
    );
    // As often as it likes, if it is the same.
    check(
        &[
            ("X-Forwarded-Proto", "https, HTTPS"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "a.example,A.example"),
        ],
        "10.0.0.1 4000, https://a.example",
    );
    refused(
        &[("X-Forwarded-Proto", "https, http")],
        "contradicts itself",
    );
    refused(
        &[
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Proto", "https"),
        ],
        "contradicts itself",
    );
    refused(&[("X-Forwarded-Host", "a, b")], "contradicts itself");
    for bad in ["wss", "https:", "\"https\"", "https;q=1", "é", "on"] {
        refused(&[("X-Forwarded-Proto", bad)], "neither http nor https");
    }
    for bad in [
        "a b", "user@a", "http://a", "a/b", "a:99999", "[::1", "é", "a..b",
    ] {
        refused(&[("X-Forwarded-Host", bad)], "host that is none");
    }
}

#[test]
fn r2_6_forwarded_speaks_by_hop_and_the_outermost_that_is_trusted_counts() {
    let check = |field: &str, expected: &str| check(&[("Forwarded", field)], expected);
    check(
        "for=192.0.2.1;proto=https;host=shop.example",
        "192.0.2.1, https://shop.example",
    );
    // Names without case, values quoted or not, blanks where they mean nothing.
    check(
        " FOR=\"192.0.2.1\" ; Proto=\"HTTPS\";;by=_x; Host=\"Shop.example:8443\";secret=\"a,b;c\" ",
        "192.0.2.1, https://Shop.example:8443",
    );
    check("for=\"192.0.2.1\\:80\"", "192.0.2.1 80, =");
    check("host=\"a\\.example\"", "10.0.0.1 4000, http://a.example");
    // The outermost trusted hop is 10.0.0.2; 10.0.0.1 saw an inner connection.
    check(
        "for=192.0.2.1;proto=https;host=shop.example, for=10.0.0.2;proto=http;host=inner",
        "192.0.2.1, https://shop.example",
    );
    // What a client says of itself stands before that.
    check(
        "for=1.1.1.1;proto=https;host=evil, for=192.0.2.1;proto=http, for=10.0.0.2;proto=http",
        "192.0.2.1, http://=",
    );
    // It says neither scheme nor host: then nobody whose word counts does.
    check(
        "for=1.1.1.1;proto=https;host=evil, for=192.0.2.1",
        "192.0.2.1, =",
    );
    check("for=192.0.2.1, for=10.0.0.2;proto=https", "192.0.2.1, =");
    // A hop that does not say who its peer was: it is the last that is known.
    check("proto=https", "10.0.0.1 4000, https://=");
    check("for=1.1.1.1, proto=https", "10.0.0.1 4000, https://=");
    check(
        "for=1.1.1.1, proto=https, for=10.0.0.2",
        "10.0.0.2, https://=",
    );
    // All of them trusted.
    check(
        "for=10.0.0.3;proto=https, for=10.0.0.2",
        "10.0.0.3, https://=",
    );
}

#[test]
fn r2_6_forwarded_in_several_lines_is_one() {
    check(
        &[
            ("Forwarded", "for=1.1.1.1;proto=https"),
            ("Forwarded", "for=192.0.2.1;proto=http, for=10.0.0.3"),
            ("Forwarded", "for=10.0.0.2"),
        ],
        "192.0.2.1, http://=",
    );
}

#[test]
fn r2_6_forwarded_that_is_broken_anywhere_is_refused() {
    for bad in [
        "for",
        "for=",
        "=192.0.2.1",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=192.0.2.1:80",
        "for=[::1]",
        "for=\"192.0.2.1",
        "for=\"192.0.2.1\\",
        "for=\"192.0.2.1\"x",
        "for=192.0.2.1 proto=https",
        "fo r=192.0.2.1",
        "for=a\"b\"",
        "é=1",
        "x=é",
    ] {
        refused(&[("Forwarded", bad)], "Forwarded is broken");
        // Though a client alone may have written it: where it ends cannot be known.
        let mended = format!("{bad}, for=192.0.2.1");
        refused(&[("Forwarded", &mended)], "broken");
    }
    // Quotes that a client leaves open, for what follows to close.
    for bad in [
        "for=\", for=\"[2001:db8::1]:80\"",
        "x=\"a, for=\"192.0.2.1\";by=\"_a\"",
        "x=\"\\\", for=192.0.2.1",
    ] {
        refused(&[("Forwarded", bad)], "broken");
    }
    refused(&[("Forwarded", "for=1.1.1.1;FOR=2.2.2.2")], "comes twice");
    refused(&[("Forwarded", "proto=http;proto=http")], "comes twice");
}

#[test]
fn r2_6_both_kinds_have_to_say_the_same() {
    let both = |forwarded: &'static str, x: &[(&'static str, &'static str)]| {
        [&[("Forwarded", forwarded)], x].concat()
    };
    let (x_for, x_proto, x_host) = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host");
    check(
        &both(
            "for=192.0.2.1;proto=https;host=Shop.example",
            &[
                (x_for, "192.0.2.1"),
                (x_proto, "https"),
                (x_host, "shop.example"),
            ],
        ),
        "192.0.2.1, https://shop.example",
    );
    // However each of them puts it.
    check(
        &both(
            "for=\"192.0.2.1:4711\"",
            &[(x_for, "1.1.1.1, ::ffff:192.0.2.1")],
        ),
        "192.0.2.1 4711, =",
    );
    check(&both("for=_x", &[(x_for, "unknown")]), "-, =");
    check(
        &both("by=10.0.0.1", &[(x_for, "192.0.2.1")]),
        "192.0.2.1, =",
    );

    let differ = |forwarded, x: &[_], what: &str| refused(&both(forwarded, x), what);
    differ("for=1.1.1.1", &[(x_for, "192.0.2.1")], "the client");
    differ(
        "for=\"192.0.2.1:1\"",
        &[(x_for, "192.0.2.1:2")],
        "the client",
    );
    differ("for=_x", &[(x_for, "192.0.2.1")], "the client");
    differ(
        "for=192.0.2.1;proto=https",
        &[(x_for, "192.0.2.1"), (x_proto, "http")],
        "the scheme",
    );
    differ(
        "for=192.0.2.1;host=a",
        &[(x_for, "192.0.2.1"), (x_host, "b")],
        "the host",
    );
    // What only one of them says may be the client's own: a proxy that writes the other kind has
    // let it pass.
    differ("proto=https", &[(x_for, "192.0.2.1")], "the client");
    differ("for=192.0.2.1", &[(x_proto, "https")], "the client");
    differ(
        "for=192.0.2.1;proto=https",
        &[(x_for, "192.0.2.1")],
        "the scheme",
    );
    differ(
        "for=192.0.2.1",
        &[(x_for, "192.0.2.1"), (x_host, "evil")],
        "the host",
    );
}

#[test]
fn r2_6_hops_are_bounded() {
    let chain = |hops: usize| vec!["10.0.0.2"; hops].join(", ");
    check(&[("X-Forwarded-For", &chain(64))], "10.0.0.2, =");
    refused(&[("X-Forwarded-For", &chain(65))], "too many hops");
    let chain = |hops: usize| vec!["for=10.0.0.2"; hops].join(", ");
    check(&[("Forwarded", &chain(64))], "10.0.0.2, =");
    refused(&[("Forwarded", &chain(65))], "too many hops");
    // A client cannot make a proxy's request fail by a long chain in front of it.
    let long = format!("{}, 192.0.2.1", vec!["1.1.1.1"; 500].join(","));
    check(&[("X-Forwarded-For", &long)], "192.0.2.1, =");
}

#[test]
fn r2_6_what_the_connection_says_stands_where_nothing_else_is_told() {
    let mut conn = peer("10.0.0.1");
    conn.scheme = Scheme::Https; // By the PROXY protocol, say.
    let fields = headers(&[("X-Forwarded-For", "192.0.2.1")]);
    let found = trusted().believe(&conn, &fields).expect("well-formed");
    let expected = ConnInfo {
        remote: Endpoint::Ip([192, 0, 2, 1].into()),
        ..conn
    };
    assert_eq!(found, Some(expected));
}

#[test]
fn r2_6_a_told_request_id_is_one_and_sane() {
    let check = |values: &[&str], expected: Option<&str>| {
        let fields: Vec<_> = values.iter().map(|v| ("X-Request-ID", *v)).collect();
        let found = RequestId::told(&headers(&fields));
        assert_eq!(
            found.as_ref().map(RequestId::as_str),
            expected,
            "{values:?}"
        );
    };
    check(&[], None);
    check(
        &["b2e14c0a5aa6b3129860c8a1e91a775b"],
        Some("b2e14c0a5aa6b3129860c8a1e91a775b"),
    );
    check(&[" 5d0e-a.b_C "], Some("5d0e-a.b_C"));
    check(&[""], None);
    check(&["a b"], None);
    check(&["a\"b"], None);
    check(&["a;b"], None);
    check(&["é"], None);
    check(&["a", "a"], None);
    check(&[&"x".repeat(128)], Some(&"x".repeat(128)));
    check(&[&"x".repeat(129)], None);
}
