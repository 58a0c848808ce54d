//! The rows of protocol 2.4 that are about targets and Host.

use super::*;
use crate::testing::parts;

fn status(result: Result<impl Sized, Refusal>) -> u16 {
    result.map_or_else(|refusal| refusal.status.as_u16(), |_| 200)
}

const ONE_HOST: &[(&str, &str)] = &[("Host", "example.com")];

#[test]
fn r2_4_paths_and_queries_are_taken_as_they_are() {
    let check = |target: &str, path: &str, query: &str, uri: &str| {
        let parts = parts("GET", target, Version::HTTP_11, ONE_HOST);
        let parsed = Target::parse(&parts, Scheme::Http).expect(target);
        assert_eq!(
            (parsed.path, parsed.query, &*parsed.uri, parsed.asterisk),
            (path, query, uri, false),
            "{target}"
        );
    };
    for same in [
        "/", "/a/b", "/a/b/", "//a//b", "///x", "/a/../b", "/%2e%2e/", "/a%2Fb",
    ] {
        check(same, same, "", same);
    }
    check("/?", "/", "", "/?");
    check("/p?a=1?b+%20;", "/p", "a=1?b+%20;", "/p?a=1?b+%20;");
    check("/p?%00", "/p", "%00", "/p?%00");
    check("/p?q#frag", "/p", "q", "/p?q");
    check("/p#frag", "/p", "", "/p");
    check("/%zz/%a/%", "/%zz/%a/%", "", "/%zz/%a/%");
    check("//host/path", "//host/path", "", "//host/path");
    check("/\"{}\\^[]|", "/\"{}\\^[]|", "", "/\"{}\\^[]|");
    // Raw UTF-8: the path stays for the mounts, REQUEST_URI is the bytes as latin-1.
    check("/é?ü", "/é", "ü", "/Ã©?Ã¼");
}

#[test]
fn r2_4_refused_targets() {
    let check = |method: &str, target: &str, expected: u16| {
        let parts = parts(method, target, Version::HTTP_11, ONE_HOST);
        assert_eq!(
            status(Target::parse(&parts, Scheme::Http)),
            expected,
            "{method} {target}"
        );
    };
    check("GET", "h:443", 400);
    check("CONNECT", "h:443", 400);
    check("GET", "x", 400);
    check("GET", "*", 400);
    check("OPTIONS", "*", 200);
    check("options", "*", 400);
    check("GET", "/%00", 400);
    check("GET", "/a%2500", 200);
    check("GET", "/%%00", 400);
    check("GET", "http://user:pw@h/", 400);
    check("GET", "http://user@h/", 400);
    check("GET", "ftp://h/", 400);
    check("GET", "ws://h/", 400);
    check("GET", "https://h/", 421);
    check("GET", "http://a..b/", 400);
    check("GET", "http://h:65536/", 400);
    check("GET", "http://h*/", 400);
    check("GET", "http://h/%00", 400);
}

#[test]
fn r2_4_a_target_the_parser_would_not_give_is_refused_too() {
    let mut built = parts("GET", "/", Version::HTTP_11, ONE_HOST);
    for path in ["foo/bar", "?q", ""] {
        let mut uri = uri::Parts::default();
        uri.path_and_query = path.parse().ok();
        built.uri = http::Uri::from_parts(uri).unwrap_or_default();
        let first = built.uri.path().chars().next();
        let expected = if first == Some('/') { 200 } else { 400 };
        assert_eq!(
            status(Target::parse(&built, Scheme::Http)),
            expected,
            "{path}"
        );
    }
}

#[test]
fn r2_4_options_asterisk_is_for_the_server() {
    let parts = parts("OPTIONS", "*", Version::HTTP_11, ONE_HOST);
    let target = Target::parse(&parts, Scheme::Http).expect("OPTIONS *");
    assert!(target.asterisk);
    assert_eq!((target.path, &*target.uri), ("*", "*"));
}

#[test]
fn r2_4_an_absolute_target_outranks_host() {
    let check = |target: &str, path: &str, query: &str, verbatim: &str, port: Option<u16>| {
        let parts = parts("GET", target, Version::HTTP_11, ONE_HOST);
        let parsed = Target::parse(&parts, Scheme::Http).expect(target);
        let authority = parsed.authority.expect("an authority");
        assert_eq!((parsed.path, parsed.query), (path, query), "{target}");
        assert_eq!(
            (&*authority.verbatim, authority.port),
            (verbatim, port),
            "{target}"
        );
    };
    check("http://h:8/p?q", "/p", "q", "h:8", Some(8));
    check("http://h", "/", "", "h", None);
    check("http://h/", "/", "", "h", None);
    check("http://h?q", "/", "q", "h", None);
    check("HTTP://H:/p", "/p", "", "H:", None);
    check("http://[::1]:80/p", "/p", "", "[::1]:80", Some(80));
}

#[test]
fn r2_1_request_uri_of_an_absolute_target_is_whole() {
    let check = |target: &str, version: Version, uri: &str| {
        let parts = parts("GET", target, version, ONE_HOST);
        let parsed = Target::parse(&parts, Scheme::Https).expect(target);
        assert_eq!(parsed.uri, uri);
    };
    check("http://h:8/p?q", Version::HTTP_11, "http://h:8/p?q");
    check("http://h?q", Version::HTTP_11, "http://h?q");
    check("https://h/p", Version::HTTP_11, "https://h/p");
    check("http://h/é", Version::HTTP_11, "http://h/Ã©");
    check("https://h/p?q", Version::HTTP_2, "/p?q");
}

#[test]
fn r2_4_an_https_target_needs_a_secured_connection() {
    let parts = parts("GET", "https://h/", Version::HTTP_11, ONE_HOST);
    assert_eq!(status(Target::parse(&parts, Scheme::Http)), 421);
    assert_eq!(status(Target::parse(&parts, Scheme::Https)), 200);
}

#[test]
fn r2_4_host_is_there_once_unless_http_1_0() {
    let check = |version: Version, target: &str, hosts: &[&str], expected: u16| {
        let fields: Vec<_> = hosts.iter().map(|host| ("Host", *host)).collect();
        let parts = parts("GET", target, version, &fields);
        let found = status(Target::parse(&parts, Scheme::Http));
        assert_eq!(found, expected, "{version:?} {target} {hosts:?}");
    };
    check(Version::HTTP_11, "/", &["h"], 200);
    check(Version::HTTP_11, "/", &[], 400);
    check(Version::HTTP_11, "http://h/", &[], 400);
    check(Version::HTTP_11, "/", &["h", "h"], 400);
    check(Version::HTTP_10, "/", &["h", "h"], 400);
    check(Version::HTTP_10, "/", &[], 200);
    check(Version::HTTP_10, "http://h/", &[], 200);
    check(Version::HTTP_10, "/", &["a b"], 400);
    check(Version::HTTP_2, "http://h/", &[], 200);
    check(Version::HTTP_2, "/", &["h"], 200);
    check(Version::HTTP_2, "/", &[], 400);
    // Empty: only where the target has no authority either.
    check(Version::HTTP_11, "/", &[""], 200);
    check(Version::HTTP_11, "http://h/", &[""], 400);
    // A bad Host is refused although the target outranks it (RFC 9112 3.2).
    check(Version::HTTP_11, "http://h/", &["a b"], 400);
}

#[test]
fn r2_4_the_grammar_of_host() {
    let check = |host: &str, expected: Option<(&str, Option<u16>)>| {
        let fields = [("Host", host)];
        let parts = parts("GET", "/", Version::HTTP_11, &fields);
        let found = Target::parse(&parts, Scheme::Http).ok();
        let found = found.and_then(|target| target.authority);
        assert_eq!(
            found.as_ref().map(|a| (a.host, a.port)),
            expected,
            "{host:?}"
        );
        if let Some(found) = found {
            assert_eq!(found.verbatim, host.trim_matches([' ', '\t']), "{host:?}");
        }
    };
    check("example.com", Some(("example.com", None)));
    check(" \texample.com ", Some(("example.com", None)));
    check("EXAMPLE.COM.", Some(("EXAMPLE.COM.", None)));
    check("ex.com:", Some(("ex.com", None)));
    check("ex.com:0", Some(("ex.com", Some(0))));
    check("ex.com:80", Some(("ex.com", Some(80))));
    check("ex.com:00080", Some(("ex.com", Some(80))));
    check("ex.com:65535", Some(("ex.com", Some(65535))));
    check("127.0.0.1:1", Some(("127.0.0.1", Some(1))));
    check("a-b_c~d.e", Some(("a-b_c~d.e", None)));
    check(
        "xn--bcher-kva.example",
        Some(("xn--bcher-kva.example", None)),
    );
    check("[::1]:8080", Some(("[::1]", Some(8080))));
    check("[::1]", Some(("[::1]", None)));
    check("[::1]:", Some(("[::1]", None)));
    check("[::ffff:1.2.3.4]", Some(("[::ffff:1.2.3.4]", None)));
    check("", Some(("", None)));
    for bad in [
        "a..b",
        ".",
        "..",
        ".a",
        "a..",
        "/x",
        "a b",
        "a,b",
        "user@h",
        "user:pw@h",
        ":",
        ":80",
        "h:65536",
        "h:+80",
        "h:-1",
        "h:8a",
        "h: 80",
        "h:80:80",
        "h::80",
        "::1",
        "[::1",
        "::1]",
        "[]",
        "[::1]x",
        "[::1]80",
        "[::1]:x",
        "[1.2.3.4]",
        "[fe80::1%eth0]",
        "[v1.x]",
        "h/",
        "h?",
        "h#",
        "h\\",
        "h%41",
        "ex*mple",
        "é",
        "h\"",
        "h;",
        "h'",
        "http://h",
        "h:٨",
    ] {
        check(bad, None);
    }
}

#[test]
fn r2_4_a_host_of_raw_bytes_is_refused() {
    let mut built = parts("GET", "/", Version::HTTP_11, &[]);
    let value = http::HeaderValue::from_bytes(b"h\xff").expect("obs-text");
    built.headers.insert(HOST, value);
    assert_eq!(status(Target::parse(&built, Scheme::Http)), 400);
}
