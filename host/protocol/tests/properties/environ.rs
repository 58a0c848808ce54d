//! Whatever a client sends: environ keeps its promises, or the request is refused.

use http::{HeaderName, HeaderValue, Request, Uri, Version, request};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use wasm_gw_protocol::*;

use super::{decoded, latin1};

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![
        Just(Version::HTTP_10),
        Just(Version::HTTP_11),
        Just(Version::HTTP_2)
    ]
}

/// Field names: those with a rule of their own, look-alikes, and any token.
fn field_name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "accept", "cookie", "connection", "proxy", "te", "upgrade", "content-type",
            "content-length", "content_type", "authorization", "x-forwarded-for",
            "x_forwarded_for", "x-auth", "script-name", "remote-user", "expect", "host",
            "transfer-encoding", "https", "path-info",
        ])
        .prop_map(str::to_owned),
        1 => "[a-z0-9!#$%&'*+.^_`|~-]{1,12}",
    ]
}

fn field_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => "[ -~\t]{0,16}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..16),
        1 => prop::sample::select(vec!["5", "chunked", "x-auth", "Cookie, X-AUTH", "h:1", ""])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// Targets as the parser gives them: mostly paths with odd things in them.
fn target() -> impl Strategy<Value = Uri> {
    let path = prop::collection::vec(
        prop_oneof![
            Just("/".to_owned()),
            "[a-z]{1,3}",
            "%[0-9a-fA-F]{2}",
            "%[0-9a-zA-Z]{0,2}",
            "[.]{1,2}",
            "[!-~]",
            "[é€ÿ]",
        ],
        0..10,
    );
    let path = path.prop_map(|parts| format!("/{}", parts.concat()));
    let head = prop_oneof![
        6 => Just(String::new()),
        1 => "https?://[a-z.]{1,5}(:[0-9]{0,5})?",
        1 => "[a-z*:.]{1,6}",
    ];
    (head, path, prop::option::of("[!-~é]{0,8}")).prop_filter_map(
        "the parser refuses it",
        |(head, path, query)| {
            let query = query.map_or(String::new(), |query| format!("?{query}"));
            format!("{head}{path}{query}").parse().ok()
        },
    )
}

prop_compose! {
    fn head()(
        method in prop_oneof![Just("GET".to_owned()), "[A-Z]{1,8}", "[!#$A-Za-z-]{1,40}"],
        uri in target(),
        version in version(),
        host in prop::option::weighted(0.9, prop_oneof![
            4 => "[a-zA-Z0-9]{1,5}(\\.[a-z0-9_~-]{1,3}){0,2}\\.?(:[0-9]{0,4})?",
            1 => "[ -~]{0,8}",
        ]),
        fields in prop::collection::vec((field_name(), field_value()), 0..12),
    ) -> request::Parts {
        let mut request = Request::new(());
        *request.method_mut() = method.parse().expect("a method");
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        let host = host.map(|host| ("host".to_owned(), host.into_bytes()));
        for (name, value) in host.into_iter().chain(fields) {
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(&value),
            ) {
                request.headers_mut().append(name, value);
            }
        }
        request.into_parts().0
    }
}

fn connection() -> impl Strategy<Value = ConnInfo> {
    let end = || {
        prop_oneof![
            Just(Endpoint::Unix),
            any::<std::net::SocketAddr>().prop_map(Endpoint::Tcp),
        ]
    };
    let scheme = prop_oneof![Just(Scheme::Http), Just(Scheme::Https)];
    (scheme, end(), end()).prop_map(|(scheme, local, remote)| ConnInfo {
        scheme,
        local,
        remote,
        public: None,
    })
}

fn build(parts: &request::Parts, conn: &ConnInfo) -> Result<Option<Environ>, Refusal> {
    check_sizes(parts, &HeadLimits::default())?;
    check_method(parts)?;
    check_framing(parts)?;
    let target = Target::parse(parts, conn.scheme)?;
    let mounts = [Mount::root(), Mount::parse("/a").expect("a mount")];
    let Some((_, split)) = route(mounts.iter(), target.path)? else {
        assert!(target.asterisk, "the root mount takes every path");
        return Ok(None);
    };
    let facts = Facts {
        conn,
        request_id: &RequestId::from_bits(1),
        server_name: None,
        server_software: "wasm-gw/0",
        app: "app",
        extra: &[],
    };
    Environ::build(parts, &target, split, &facts).map(Some)
}

/// What a `HTTP_*` variable must be, from the fields alone.
fn expected_fields(parts: &request::Parts) -> Vec<(String, String)> {
    let listed: Vec<String> = parts
        .headers
        .get_all("connection")
        .iter()
        .flat_map(|value| {
            latin1(value.as_bytes())
                .split(',')
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .map(|name| name.trim_matches([' ', '\t']).to_ascii_lowercase())
        .filter(|name| {
            ![
                "host",
                "content-type",
                "content-length",
                "transfer-encoding",
                "cookie",
            ]
            .contains(&name.as_str())
        })
        .collect();
    let never = [
        "connection",
        "keep-alive",
        "proxy",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-type",
        "content-length",
        "host",
    ];
    let mut expected = Vec::new();
    for name in parts.headers.keys().map(HeaderName::as_str) {
        let safe = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !safe || never.contains(&name) || listed.iter().any(|listed| listed == name) {
            continue;
        }
        let values: Vec<String> = parts
            .headers
            .get_all(name)
            .iter()
            .map(|value| {
                latin1(value.as_bytes())
                    .trim_matches([' ', '\t'])
                    .to_owned()
            })
            .collect();
        let separator = if name == "cookie" { "; " } else { "," };
        let variable = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        expected.push((variable, values.join(separator)));
    }
    expected.sort();
    expected
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_accepted_request_has_an_environ_that_keeps_its_promises(
        parts in head(),
        conn in connection(),
    ) {
        let Ok(Some(environ)) = build(&parts, &conn) else {
            return Ok(());
        };
        // S13
        for (name, value) in environ.iter() {
            prop_assert!(!name.is_empty() && latin1::is_native(name), "{name:?}");
            prop_assert!(latin1::is_native(value), "{name}: {value:?}");
        }
        // Each name once.
        let mut names: Vec<_> = environ.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        prop_assert_eq!(names.len(), count);
        // S7
        for name in ["REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT"] {
            prop_assert!(environ.get(name).is_some_and(|value| !value.is_empty()), "{name}");
        }
        prop_assert!(environ.get("SERVER_PORT").is_some_and(|port| port.parse::<u16>().is_ok()));
        // 2.1
        let script_name = environ.get("SCRIPT_NAME").expect("always there");
        let path_info = environ.get("PATH_INFO").expect("always there");
        prop_assert!(script_name.is_empty() || script_name == "/a");
        prop_assert!(path_info.is_empty() || path_info.starts_with('/'));
        let path = latin1(&decoded(parts.uri.path()));
        prop_assert_eq!(format!("{script_name}{path_info}"), path);
        prop_assert!(!path_info.contains('\0'));
        // 2.3: what the fields say, no more and no less.
        let fields: Vec<(String, String)> = {
            let mut fields: Vec<_> = environ
                .iter()
                .filter(|(name, _)| name.starts_with("HTTP_") && *name != "HTTP_HOST")
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            fields.sort();
            fields
        };
        prop_assert_eq!(fields, expected_fields(&parts));
        let has = |name: &str| parts.headers.contains_key(name);
        prop_assert_eq!(environ.get("CONTENT_TYPE").is_some(), has("content-type"));
        prop_assert_eq!(
            environ.get("CONTENT_LENGTH").is_some(),
            has("content-length") && !has("transfer-encoding")
        );
        // Fields that come once.
        for name in ["host", "content-type", "authorization"] {
            prop_assert!(parts.headers.get_all(name).iter().count() <= 1, "{name}");
        }
        if parts.version == Version::HTTP_11 {
            prop_assert!(has("host") && environ.get("HTTP_HOST").is_some());
        }
    }

    #[test]
    fn no_bytes_make_a_host_or_a_length_panic(text in ".{0,20}", bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        if let Some(authority) = Authority::parse(&text) {
            prop_assert!(text.is_ascii() && text.starts_with(authority.host));
            prop_assert!(!authority.host.is_empty());
        }
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            for name in ["host", "content-length", "transfer-encoding", "expect", "accept", "connection"] {
                let mut request = Request::new(());
                request.headers_mut().insert(name, value.clone());
                let (parts, ()) = request.into_parts();
                let _ = (check_framing(&parts), wants_json(&parts.headers));
                let _ = (Target::parse(&parts, Scheme::Http), named_in_connection(&parts.headers));
            }
        }
    }

    #[test]
    fn an_environ_is_a_dictionary(
        ops in prop::collection::vec(("[a-c=]{0,2}", prop::option::of("[ -ÿĀ]{0,3}")), 0..30),
    ) {
        let mut environ = Environ::new();
        let mut model: Vec<(String, String)> = Vec::new();
        for (name, value) in ops {
            let at = model.iter().position(|(known, _)| *known == name);
            match (value, at) {
                (None, at) => {
                    environ.remove(&name);
                    at.map(|at| model.remove(at));
                }
                (Some(value), at) => {
                    let good = !name.is_empty() && !name.contains('=') && !value.contains('Ā');
                    prop_assert_eq!(environ.set(name.clone(), value.clone()).is_ok(), good);
                    match at {
                        _ if !good => {}
                        Some(at) => model[at].1 = value,
                        None => model.push((name, value)),
                    }
                }
            }
            let model = model.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            prop_assert!(environ.iter().eq(model));
        }
    }
}

/// If the generator made nothing but refusals, the properties above would prove nothing.
#[test]
fn the_generator_makes_requests_that_are_accepted() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (head(), connection());
    let accepted = (0..300)
        .filter(|_| {
            let (parts, conn) = strategy.new_tree(&mut runner).expect("a request").current();
            matches!(build(&parts, &conn), Ok(Some(_)))
        })
        .count();
    assert!(accepted > 40, "{accepted} of 300");
}
