//! Which header fields pass, and under which name: a request's into environ, an
//! application's into the response.
//!
//! Names only. What a value may hold is in `environ` and `response`.

use std::borrow::Cow;

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};

use crate::latin1;

/// The members of a comma-separated list, trimmed, empty ones included.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(latin1::trim)
}

/// Whether these bytes are an RFC 9110 5.6.2 token.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Whether an application may not send this field because it is about one connection
/// (protocol 1.4.5, S33). Any case.
///
/// Both `trailer` and `trailers`: the one is a field, the other is what `wsgiref` lists.
pub(crate) fn is_hop_by_hop_in_response(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a request's field is about the connection and not about the request
/// (protocol 2.3), or would be read as something else (`Proxy`: CVE-2016-5385).
fn is_withheld(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The `HTTP_*` variable for a request's field; none if applications do not see it.
///
/// `name` is lower-case, as `http` keeps it. Only letters, digits and hyphens pass: an
/// underscore would let `X_Forwarded_For` pose as `X-Forwarded-For`, a dot would make a
/// key that looks like an extension's.
pub(crate) fn variable(name: &str) -> Option<Cow<'static, str>> {
    if let Some(variable) = common(name) {
        return Some(Cow::Borrowed(variable));
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if is_withheld(name) || !name.bytes().all(plain) {
        return None;
    }
    let mut variable = String::with_capacity("HTTP_".len() + name.len());
    variable.push_str("HTTP_");
    variable.extend(name.bytes().map(|byte| match byte {
        b'-' => '_',
        other => char::from(other.to_ascii_uppercase()),
    }));
    Some(Cow::Owned(variable))
}

/// The variables of fields that most requests have, so that their names need no memory.
/// Sorted by length, then looked through: two or three comparisons a field.
fn common(name: &str) -> Option<&'static str> {
    let candidates: &[(&str, &'static str)] = match name.len() {
        3 => &[("dnt", "HTTP_DNT"), ("via", "HTTP_VIA")],
        4 => &[("from", "HTTP_FROM")],
        5 => &[("range", "HTTP_RANGE")],
        6 => &[
            ("accept", "HTTP_ACCEPT"),
            ("cookie", "HTTP_COOKIE"),
            ("origin", "HTTP_ORIGIN"),
            ("pragma", "HTTP_PRAGMA"),
            ("expect", "HTTP_EXPECT"),
        ],
        7 => &[("referer", "HTTP_REFERER")],
        8 => &[("priority", "HTTP_PRIORITY"), ("if-match", "HTTP_IF_MATCH")],
        9 => &[
            ("forwarded", "HTTP_FORWARDED"),
            ("sec-ch-ua", "HTTP_SEC_CH_UA"),
            ("x-real-ip", "HTTP_X_REAL_IP"),
        ],
        10 => &[("user-agent", "HTTP_USER_AGENT")],
        11 => &[("traceparent", "HTTP_TRACEPARENT")],
        12 => &[("x-request-id", "HTTP_X_REQUEST_ID")],
        13 => &[
            ("authorization", "HTTP_AUTHORIZATION"),
            ("cache-control", "HTTP_CACHE_CONTROL"),
            ("if-none-match", "HTTP_IF_NONE_MATCH"),
        ],
        14 => &[
            ("accept-charset", "HTTP_ACCEPT_CHARSET"),
            ("sec-fetch-dest", "HTTP_SEC_FETCH_DEST"),
            ("sec-fetch-mode", "HTTP_SEC_FETCH_MODE"),
            ("sec-fetch-site", "HTTP_SEC_FETCH_SITE"),
            ("sec-fetch-user", "HTTP_SEC_FETCH_USER"),
        ],
        15 => &[
            ("accept-encoding", "HTTP_ACCEPT_ENCODING"),
            ("accept-language", "HTTP_ACCEPT_LANGUAGE"),
            ("x-forwarded-for", "HTTP_X_FORWARDED_FOR"),
        ],
        16 => &[
            ("sec-ch-ua-mobile", "HTTP_SEC_CH_UA_MOBILE"),
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("x-forwarded-host", "HTTP_X_FORWARDED_HOST"),
            ("x-forwarded-port", "HTTP_X_FORWARDED_PORT"),
            ("x-requested-with", "HTTP_X_REQUESTED_WITH"),
        ],
        17 => &[
            ("if-modified-since", "HTTP_IF_MODIFIED_SINCE"),
            ("x-forwarded-proto", "HTTP_X_FORWARDED_PROTO"),
        ],
        18 => &[("sec-ch-ua-platform", "HTTP_SEC_CH_UA_PLATFORM")],
        25 => &[(
            "upgrade-insecure-requests",
            "HTTP_UPGRADE_INSECURE_REQUESTS",
        )],
        _ => &[],
    };
    candidates
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, variable)| *variable)
}

/// The fields of this request that applications do not see for no other reason than that
/// its Connection field names them (RFC 9110 7.6.1, protocol 2.3). Sorted, each once.
///
/// Worth a line in the log: a front end may have relied on one of them. Naming Host,
/// Content-Type, Content-Length, Transfer-Encoding or Cookie has no effect.
pub fn named_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut named = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for token in members(value.as_bytes()) {
            // By far the commonest; neither is a field that applications could see.
            if token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive") {
                continue;
            }
            // Asking the map for each token, and not the tokens for each field, keeps
            // a long Connection value from costing their product.
            match HeaderName::from_bytes(token) {
                Ok(name)
                    if headers.contains_key(&name)
                        && !is_immune(&name)
                        && variable(name.as_str()).is_some() =>
                {
                    named.push(name);
                }
                _ => {}
            }
        }
    }
    named.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    named.dedup();
    named
}

fn is_immune(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host" | "content-type" | "content-length" | "transfer-encoding" | "cookie"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn r2_3_names_become_variables_or_nothing() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(variable(name).as_deref(), expected, "{name}");
        };
        check("accept", Some("HTTP_ACCEPT"));
        check("x-a-1", Some("HTTP_X_A_1"));
        check("-", Some("HTTP__"));
        check(
            "x-http-method-override",
            Some("HTTP_X_HTTP_METHOD_OVERRIDE"),
        );
        check("script-name", Some("HTTP_SCRIPT_NAME"));
        check("remote-user", Some("HTTP_REMOTE_USER"));
        check("authorization", Some("HTTP_AUTHORIZATION"));
        check("expect", Some("HTTP_EXPECT"));
        for unsafe_name in ["x_a", "x.a", "x|a", "x!a", "a~", "_", "content_type", "a%b"] {
            check(unsafe_name, None);
        }
        for withheld in [
            "proxy",
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ] {
            check(withheld, None);
        }
    }

    #[test]
    fn r2_3_the_table_of_common_names_agrees_with_the_rule() {
        let names = [
            "accept",
            "accept-charset",
            "accept-encoding",
            "accept-language",
            "authorization",
            "cache-control",
            "content-encoding",
            "cookie",
            "dnt",
            "expect",
            "forwarded",
            "from",
            "if-match",
            "if-modified-since",
            "if-none-match",
            "origin",
            "pragma",
            "priority",
            "range",
            "referer",
            "sec-ch-ua",
            "sec-ch-ua-mobile",
            "sec-ch-ua-platform",
            "sec-fetch-dest",
            "sec-fetch-mode",
            "sec-fetch-site",
            "sec-fetch-user",
            "traceparent",
            "upgrade-insecure-requests",
            "user-agent",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-proto",
            "x-real-ip",
            "x-request-id",
            "x-requested-with",
        ];
        for name in names {
            let rule = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
            assert_eq!(common(name), Some(rule.as_str()), "{name}");
        }
    }

    #[test]
    fn r2_3_connection_names_only_what_is_there_and_not_the_five() {
        let check = |connection: &[&'static str], expected: &[&str]| {
            let mut headers = HeaderMap::new();
            for name in [
                "x-auth",
                "x-b",
                "host",
                "content-type",
                "content-length",
                "cookie",
                "transfer-encoding",
                "te",
                "x_c",
            ] {
                headers.insert(name, HeaderValue::from_static("1"));
            }
            for value in connection {
                headers.append(CONNECTION, HeaderValue::from_static(value));
            }
            let named = named_in_connection(&headers);
            assert!(
                named
                    .iter()
                    .map(HeaderName::as_str)
                    .eq(expected.iter().copied())
            );
        };
        check(&[], &[]);
        check(&["close"], &[]);
        check(&["keep-alive, X-Auth"], &["x-auth"]);
        check(&["x-b,, x-auth", "X-AUTH", "gone"], &["x-auth", "x-b"]);
        check(
            &["Host, Content-Type, Content-Length, Transfer-Encoding, Cookie"],
            &[],
        );
        // No application would see these in any case.
        check(&["TE, X_C, close"], &[]);
        check(&["not a token, \"q\""], &[]);
    }

    #[test]
    fn r1_4_5_hop_by_hop_names_in_any_case() {
        for name in [
            "Connection",
            "KEEP-ALIVE",
            "te",
            "Trailer",
            "Trailers",
            "Upgrade",
        ] {
            assert!(is_hop_by_hop_in_response(name), "{name}");
        }
        for name in ["", "connections", "content-type", "trailerx", "date"] {
            assert!(!is_hop_by_hop_in_response(name), "{name}");
        }
    }
}
