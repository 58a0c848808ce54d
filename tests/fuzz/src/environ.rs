//! Any head that the `http` crate can hold, made into an environ: whatever the client wrote, no field may pose as
//! another, and the path is neither more nor less than what was sent.

use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, request};
use wasm_gw_protocol::{
    ConnInfo, Endpoint, Environ, Facts, HeadLimits, Mount, Refusal, RequestId, Scheme, Target,
    VARIABLES, check_framing, check_method, check_sizes, content_length, latin1,
    named_in_connection, route,
};

use crate::process::see;
use crate::source::Source;

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "OPTIONS", "TRACE", "CONNECT", "BREW", "get",
];

const TARGETS: [&str; 14] = [
    "/",
    "*",
    "/shop/a%2Fb?x=%00",
    "/shop",
    "/shop/../admin",
    "/shop/%2e%2E/x",
    "/%73hop/..%2f",
    "//shop//",
    "/caf%C3%A9?%",
    "http://example.com/shop?q",
    "https://example.com:443/",
    "http://[::1]:8080",
    "/%00",
    "/a/./b/%zz",
];

const NAMES: [&str; 30] = [
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "cookie",
    "authorization",
    "expect",
    "proxy",
    "te",
    "upgrade",
    "keep-alive",
    "x_forwarded_for",
    "x-forwarded-for",
    "x.a",
    "content_length",
    "script-name",
    "path-info",
    "remote-user",
    "remote-addr",
    "https",
    "server-name",
    "request-method",
    "wsgi.input",
    "http-host",
    "x-a",
    "-",
    "proxy-authorization",
    "trailer",
    "accept",
];

const VALUES: [&str; 16] = [
    "",
    "a",
    "example.com",
    "[::1]:80",
    "a:99999",
    "5",
    " 5\t",
    "05",
    "-1",
    "chunked",
    "gzip, chunked",
    "close, x-a, authorization",
    "host, cookie, content-length",
    "100-continue",
    "a, ,b",
    "x=1; y=2",
];

/// See the module.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let Some(parts) = head(&mut source) else {
        return;
    };
    let scheme = source.one_of(&[Scheme::Http, Scheme::Https]);
    let tcp = Endpoint::Tcp(SocketAddr::from((Ipv6Addr::LOCALHOST, 8080)));
    let conn = ConnInfo {
        scheme,
        local: source
            .one_of(&[tcp.clone(), Endpoint::Unix].each_ref())
            .clone(),
        remote: source.one_of(&[tcp, Endpoint::Unix].each_ref()).clone(),
        public: None,
    };
    let extra = [
        ("REMOTE_USER".to_owned(), "somebody".to_owned()),
        ("HTTP_X_A".to_owned(), "forged".to_owned()),
        ("REQUEST_METHOD".to_owned(), "FORGED".to_owned()),
    ];
    let checked = check(&parts, &conn, &extra);
    see(if checked.is_ok() { "built" } else { "refused" });
    if let Err(refusal) = checked {
        assert!(
            refusal.status.is_client_error() || refusal.status.as_u16() == 501,
            "{refusal}"
        );
    }
}

fn head(source: &mut Source<'_>) -> Option<request::Parts> {
    let method = match source.once_in(8) {
        true => Method::from_bytes(source.bytes(40)).ok()?,
        false => Method::from_bytes(source.one_of(&METHODS).as_bytes()).ok()?,
    };
    let target = match source.once_in(3) {
        true => Bytes::copy_from_slice(source.bytes(80)),
        false => Bytes::from_static(source.one_of(&TARGETS).as_bytes()),
    };
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_maybe_shared(target).ok()?;
    *request.version_mut() = source.one_of(&[
        Version::HTTP_11,
        Version::HTTP_10,
        Version::HTTP_2,
        Version::HTTP_09,
    ]);
    let headers = request.headers_mut();
    if !source.once_in(6) {
        headers.insert("host", HeaderValue::from_static("example.com"));
    }
    for _ in 0..source.below(130) {
        if source.is_empty() {
            break;
        }
        let name = match source.once_in(4) {
            true => HeaderName::from_bytes(source.bytes(12)),
            false => HeaderName::from_bytes(source.one_of(&NAMES).as_bytes()),
        };
        let value = match source.once_in(4) {
            true => HeaderValue::from_bytes(source.bytes(60)),
            false => HeaderValue::from_bytes(source.one_of(&VALUES).as_bytes()),
        };
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    Some(request.into_parts().0)
}

fn check(
    parts: &request::Parts,
    conn: &ConnInfo,
    extra: &[(String, String)],
) -> Result<(), Refusal> {
    check_sizes(parts, &HeadLimits::default())?;
    check_method(parts)?;
    check_framing(parts)?;
    let target = Target::parse(parts, conn.scheme)?;
    let mounts = ["/", "/shop", "/shop/a", "/admin"].map(|mount| match mount {
        "/" => Mount::root(),
        other => Mount::parse(other).expect("it is a mount"),
    });
    let (path, query) = (target.path, target.query);
    if target.asterisk {
        return Ok(());
    }
    let (index, split) = route(mounts.iter(), path)?.expect("the root is mounted");
    let script_name = split.script_name.clone();
    let mounted = mounts[index].to_string();
    assert_eq!(format!("/{}", script_name.trim_start_matches('/')), mounted);
    let id = RequestId::from_bits(7);
    let facts = Facts {
        conn,
        request_id: &id,
        server_name: None,
        server_software: "wasm-gw/0",
        app: "app",
        extra,
    };
    let environ = Environ::build(parts, &target, split, &facts)?;
    let get = |name: &str| environ.get(name);

    // The path: what was sent, decoded once, and cut in two.
    let whole = format!(
        "{script_name}{}",
        get("PATH_INFO").expect("it is always there")
    );
    let decoded: String = decode(path).into_iter().map(char::from).collect();
    assert_eq!(whole, decoded);
    assert_eq!(get("SCRIPT_NAME"), Some(&*script_name));
    assert_eq!(get("QUERY_STRING"), Some(&*latin1::from_utf8_text(query)));
    assert_eq!(get("REQUEST_METHOD"), Some(parts.method.as_str()));
    assert!(!get("SERVER_NAME").unwrap_or_default().is_empty());
    assert!(get("SERVER_PORT").is_some_and(|port| port.parse::<u16>().is_ok()));
    assert_eq!(
        get("REMOTE_USER"),
        Some("somebody"),
        "a field took a deployer's name"
    );

    // The body's length: one number or none.
    let length = content_length(&parts.headers)?.map(|length| length.to_string());
    assert_eq!(get("CONTENT_LENGTH"), length.as_deref());

    let mut seen = BTreeSet::new();
    for (name, value) in environ.iter() {
        assert!(seen.insert(name.to_owned()), "{name} twice");
        assert!(
            latin1::is_native(name) && latin1::is_native(value),
            "{name}: {value:?}"
        );
        match name.strip_prefix("HTTP_") {
            Some("HOST") => {}
            Some(field) => from_a_field(field, value, &parts.headers),
            None => assert!(
                name == "REMOTE_USER" || VARIABLES.iter().any(|known| known.name == name),
                "{name} is not in the table"
            ),
        }
    }
    Ok(())
}

/// `HTTP_*` is from a field of exactly that name, one that applications may see.
fn from_a_field(field: &str, value: &str, headers: &HeaderMap) {
    assert!(!value.contains(['\r', '\n', '\0']), "{field}: {value:?}");
    let name = field.to_ascii_lowercase().replace('_', "-");
    assert!(headers.contains_key(&*name), "HTTP_{field} is from nowhere");
    for withheld in [
        "connection",
        "content-length",
        "content-type",
        "keep-alive",
        "proxy",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        assert_ne!(name, withheld);
    }
    let named = named_in_connection(headers);
    assert!(
        named.iter().all(|named| named.as_str() != name),
        "{name} is the connection's"
    );
    let given: Vec<&[u8]> = headers
        .get_all(&*name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    for one in given {
        let one = latin1::from_bytes(trim(one)).into_owned();
        assert!(value.contains(&one), "{name}: {value:?} without {one:?}");
    }
}

/// Percent-decoded once, by nobody's library.
fn decode(path: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let text = digits.and_then(|two| std::str::from_utf8(two).ok());
        match text.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                rest = &after[2..];
            }
            _ => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    decoded
}

/// Without blanks and tabs around it.
fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = bytes.iter().position(|byte| !is_blank(byte)) else {
        return b"";
    };
    let end = bytes
        .iter()
        .rposition(|byte| !is_blank(byte))
        .unwrap_or(start);
    &bytes[start..=end]
}
