//! The rows of protocol 2.1 and 2.3, and what an environ takes from others.

mod fields;

mod changes;

use http::{HeaderValue, Version, request};

use super::*;
use crate::connection::{ConnInfo, Endpoint, PublicUrl, RequestId, Scheme};
use crate::error::Refusal;
use crate::mount::Mount;
use crate::target::Target;
use crate::testing::parts;

fn tcp(local: &str, remote: &str) -> ConnInfo {
    let end = |text: &str| Endpoint::Tcp(text.parse().expect("an address"));
    ConnInfo {
        scheme: Scheme::Http,
        local: end(local),
        remote: end(remote),
        public: None,
    }
}

fn plain() -> ConnInfo {
    tcp("127.0.0.1:8080", "192.0.2.7:51000")
}

fn unix(scheme: Scheme) -> ConnInfo {
    ConnInfo {
        scheme,
        ..ConnInfo::unix()
    }
}

struct Site<'a> {
    conn: ConnInfo,
    server_name: Option<&'a str>,
    mount: &'a str,
    extra: Vec<(String, String)>,
}

impl Default for Site<'_> {
    fn default() -> Self {
        Site {
            conn: plain(),
            server_name: None,
            mount: "",
            extra: Vec::new(),
        }
    }
}

fn build_with(site: &Site<'_>, parts: &request::Parts) -> Result<Environ, Refusal> {
    let target = Target::parse(parts, site.conn.scheme)?;
    let mount = Mount::parse(site.mount).expect("a mount");
    let split = mount.matches(target.path).expect("a path below the mount");
    let facts = Facts {
        conn: &site.conn,
        request_id: &RequestId::from_bits(0xAB),
        server_name: site.server_name,
        server_software: "wasm-gw/1.2.3",
        app: "shop",
        extra: &site.extra,
    };
    Environ::build(parts, &target, split, &facts)
}

fn get_with(site: &Site<'_>, target: &str, fields: &[(&str, &str)]) -> Environ {
    let mut all = vec![("Host", "example.com")];
    all.extend(fields);
    build_with(site, &parts("GET", target, Version::HTTP_11, &all)).expect("accepted")
}

fn get(fields: &[(&str, &str)]) -> Environ {
    get_with(&Site::default(), "/", fields)
}

fn status(fields: &[(&str, &str)]) -> u16 {
    let parts = parts("GET", "/", Version::HTTP_11, fields);
    build_with(&Site::default(), &parts).map_or_else(|r| r.status.as_u16(), |_| 200)
}

#[test]
fn s6_s10_a_plain_request_whole() {
    let site = Site {
        mount: "/shop",
        ..Site::default()
    };
    let fields = [("Accept", "*/*"), ("Content-Length", "00"), ("X-A", "1")];
    let environ = get_with(&site, "/shop/a%20b?q=%20", &fields);
    let found: Vec<_> = environ.iter().collect();
    assert_eq!(
        found,
        [
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_NAME", "/shop"),
            ("PATH_INFO", "/a b"),
            ("QUERY_STRING", "q=%20"),
            ("CONTENT_LENGTH", "0"),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", "8080"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", "wasm-gw/1.2.3"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_PORT", "51000"),
            ("REQUEST_URI", "/shop/a%20b?q=%20"),
            ("RAW_URI", "/shop/a%20b?q=%20"),
            ("REQUEST_SCHEME", "http"),
            ("wsgi.url_scheme", "http"),
            ("wasm_gw.request_id", "000000000000000000000000000000ab"),
            ("wasm_gw.app", "shop"),
            ("wasm_gw.mount", "/shop"),
            ("HTTP_HOST", "example.com"),
            ("HTTP_ACCEPT", "*/*"),
            ("HTTP_X_A", "1"),
        ]
    );
}

#[test]
fn s12_the_table_of_variables_is_what_requests_get() {
    let listed = |name: &str| {
        VARIABLES
            .iter()
            .position(|v| v.name == name)
            .or_else(|| name.starts_with("HTTP_").then_some(VARIABLES.len() - 1))
    };
    let mut rich = Site::default();
    rich.conn.scheme = Scheme::Https;
    let fields = [("Content-Type", "a/b"), ("Content-Length", "1"), ("X", "1")];
    let rich = get_with(&rich, "/", &fields);
    let order: Vec<_> = rich
        .iter()
        .map(|(name, _)| listed(name).expect(name))
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(
        order.len(),
        VARIABLES.len(),
        "each listed variable can occur"
    );

    let bare = Site {
        conn: unix(Scheme::Http),
        ..Site::default()
    };
    let bare = build_with(&bare, &parts("GET", "/", Version::HTTP_10, &[])).expect("accepted");
    for variable in VARIABLES {
        let always = variable.presence == Presence::Always;
        assert_eq!(
            bare.get(variable.name).is_some(),
            always,
            "{}",
            variable.name
        );
    }
}

#[test]
fn r2_1_method_is_verbatim() {
    for method in [
        "GET", "get", "PROPFIND", "-BLARGH", "HEAD", "PATCH", "DELETE",
    ] {
        let parts = parts(method, "/", Version::HTTP_11, &[("Host", "h")]);
        let environ = build_with(&Site::default(), &parts).expect("accepted");
        assert_eq!(environ.get("REQUEST_METHOD"), Some(method));
    }
}

#[test]
fn r2_1_query_string_is_not_decoded() {
    let check = |target: &str, query: &str| {
        let environ = get_with(&Site::default(), target, &[]);
        assert_eq!(environ.get("QUERY_STRING"), Some(query), "{target}");
    };
    check("/", "");
    check("/?", "");
    check("/?a=%20+;?b%00", "a=%20+;?b%00");
    check("/?é", "Ã©");
}

#[test]
fn r2_1_server_protocol_has_two_digits() {
    let check = |version: Version, expected: Option<&str>| {
        let parts = parts("GET", "/", version, &[("Host", "h")]);
        let environ = build_with(&Site::default(), &parts).ok();
        let found = environ.as_ref().and_then(|e| e.get("SERVER_PROTOCOL"));
        assert_eq!(found, expected);
    };
    check(Version::HTTP_10, Some("HTTP/1.0"));
    check(Version::HTTP_11, Some("HTTP/1.1"));
    check(Version::HTTP_2, Some("HTTP/2.0"));
    check(Version::HTTP_09, None);
}

#[test]
fn s7_server_name_and_port_are_never_empty() {
    let check =
        |conn: ConnInfo, configured: Option<&str>, host: Option<&str>, name: &str, port: &str| {
            let site = Site {
                conn,
                server_name: configured,
                ..Site::default()
            };
            let fields: Vec<_> = host.iter().map(|host| ("Host", *host)).collect();
            let parts = parts("GET", "/", Version::HTTP_10, &fields);
            let environ = build_with(&site, &parts).expect("accepted");
            let found = (environ.get("SERVER_NAME"), environ.get("SERVER_PORT"));
            assert_eq!(found, (Some(name), Some(port)), "{host:?}");
            assert_eq!(environ.get("HTTP_HOST"), host, "verbatim");
        };
    check(plain(), None, Some("EXAMPLE.COM."), "example.com", "8080");
    check(plain(), Some("conf"), Some("h:9"), "h", "8080");
    check(plain(), None, Some("[::1]:9"), "[::1]", "8080");
    check(plain(), None, Some("[FE80::A]"), "[fe80::a]", "8080");
    check(plain(), Some("conf"), Some(""), "conf", "8080");
    check(plain(), Some("conf"), None, "conf", "8080");
    check(plain(), Some(""), None, "127.0.0.1", "8080");
    check(plain(), Some("bücher"), None, "bÃ¼cher", "8080");
    check(tcp("[::1]:80", "[::1]:1"), None, None, "[::1]", "80");
    check(
        tcp("[::ffff:10.0.0.1]:80", "[::1]:1"),
        None,
        None,
        "10.0.0.1",
        "80",
    );
    check(unix(Scheme::Http), None, None, "localhost", "80");
    check(unix(Scheme::Https), Some("conf"), None, "conf", "443");
    check(unix(Scheme::Https), None, Some("h:8443"), "h", "8443");
    check(unix(Scheme::Http), None, Some("h:"), "h", "80");
}

#[test]
fn r2_1_remote_addr_is_plain() {
    let check = |conn: ConnInfo, address: Option<&str>, port: Option<&str>| {
        let site = Site {
            conn,
            ..Site::default()
        };
        let environ = get_with(&site, "/", &[]);
        let found = (environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT"));
        assert_eq!(found, (address, port));
    };
    check(
        tcp("[::1]:80", "[2001:db8::1]:9"),
        Some("2001:db8::1"),
        Some("9"),
    );
    check(
        tcp("[::1]:80", "[::ffff:192.0.2.1]:9"),
        Some("192.0.2.1"),
        Some("9"),
    );
    check(tcp("[::1]:80", "[fe80::1%3]:9"), Some("fe80::1"), Some("9"));
    check(unix(Scheme::Http), None, None);
}

#[test]
fn r2_6_a_client_of_a_proxy_has_the_address_that_it_told_and_perhaps_a_port() {
    let check = |remote: Endpoint, address: Option<&str>, port: Option<&str>| {
        let conn = ConnInfo { remote, ..plain() };
        let site = Site {
            conn,
            ..Site::default()
        };
        let environ = get_with(&site, "/", &[]);
        let found = (environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT"));
        assert_eq!(found, (address, port));
    };
    let address = |text: &str| text.parse().expect("an address");
    check(Endpoint::Ip(address("192.0.2.1")), Some("192.0.2.1"), None);
    check(Endpoint::Ip(address("::1")), Some("::1"), None);
    check(
        Endpoint::Tcp((address("192.0.2.1"), 9).into()),
        Some("192.0.2.1"),
        Some("9"),
    );
    check(Endpoint::Unknown, None, None);
}

#[test]
fn r2_6_name_port_and_host_are_those_of_the_public_url() {
    let check = |conn: ConnInfo, told: Option<&str>, host: Option<&str>, expected: [&str; 3]| {
        for scheme in [Scheme::Http, Scheme::Https] {
            let public = PublicUrl {
                host: told.map(Into::into),
            };
            let conn = ConnInfo {
                scheme,
                public: Some(public),
                ..conn.clone()
            };
            let site = Site {
                conn,
                ..Site::default()
            };
            let fields: Vec<_> = host.iter().map(|host| ("Host", *host)).collect();
            let parts = parts("GET", "/", Version::HTTP_10, &fields);
            let environ = build_with(&site, &parts).expect("accepted");
            let get = |name| environ.get(name).unwrap_or("none");
            let default = scheme.default_port().to_string();
            let port = match get("SERVER_PORT") {
                port if port == default => "default",
                port => port,
            };
            let found = [get("SERVER_NAME"), port, get("HTTP_HOST")];
            assert_eq!(found, expected, "{told:?} {host:?}");
        }
    };
    check(
        plain(),
        Some("A.example:8443"),
        Some("inner:1"),
        ["a.example", "8443", "A.example:8443"],
    );
    check(
        plain(),
        Some("a.example."),
        None,
        ["a.example", "default", "a.example."],
    );
    check(plain(), Some("[::1]:9"), None, ["[::1]", "9", "[::1]:9"]);
    // The scheme alone is told: Host is the public one.
    check(
        plain(),
        None,
        Some("b.example:9"),
        ["b.example", "9", "b.example:9"],
    );
    check(
        plain(),
        None,
        Some("b.example"),
        ["b.example", "default", "b.example"],
    );
    check(plain(), None, None, ["127.0.0.1", "default", "none"]);
    let unix = || unix(Scheme::Http);
    check(unix(), Some("a:9"), Some("b:8"), ["a", "9", "a:9"]);
    check(unix(), None, Some("b:8"), ["b", "8", "b:8"]);
}

#[test]
fn s11_https_is_on_or_absent() {
    let mut site = Site::default();
    let of = |site: &Site<'_>| {
        let environ = get_with(site, "/", &[]);
        let get = |name| environ.get(name).map(str::to_owned);
        (get("HTTPS"), get("wsgi.url_scheme"), get("REQUEST_SCHEME"))
    };
    let http = || Some("http".to_owned());
    assert_eq!(of(&site), (None, http(), http()));
    site.conn.scheme = Scheme::Https;
    let https = || Some("https".to_owned());
    assert_eq!(of(&site), (Some("on".to_owned()), https(), https()));
}

#[test]
fn a_head_beyond_the_caps_is_431() {
    let huge = "v".repeat(100 * 1024);
    let fields = [("Host", "h"), ("A", &*huge), ("A", &*huge), ("A", &*huge)];
    assert_eq!(status(&fields), 431);
    let fields = [("Host", "h"), ("A", &*huge), ("B", &*huge), ("C", &*huge)];
    assert_eq!(status(&fields), 431);
}
