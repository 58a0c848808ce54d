//! Rebuilding the URL of a request, as PEP 3333 describes it (`S61`).

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::Environ;

/// The URL of the request: scheme, host, quoted path, query.
///
/// The path is the decoded one, quoted again, so that `/a%2Fb` comes back as
/// `/a/b`; for exact work there is `REQUEST_URI`.
pub fn reconstruct(environ: &Environ) -> String {
    reconstruct_from(|name| environ.get(name))
}

/// The same from any source of variables.
///
/// ```
/// use wasm_gw_guest::url::reconstruct_from;
///
/// let url = reconstruct_from(|name| match name {
///     "wsgi.url_scheme" => Some("http".to_owned()),
///     "HTTP_HOST" => Some("example.com".to_owned()),
///     "SCRIPT_NAME" => Some("/shop".to_owned()),
///     "PATH_INFO" => Some("/caf\u{c3}\u{a9}".to_owned()),
///     "QUERY_STRING" => Some("n=1".to_owned()),
///     _ => None,
/// });
/// assert_eq!(url, "http://example.com/shop/caf%C3%A9?n=1");
/// ```
pub fn reconstruct_from(get: impl Fn(&str) -> Option<String>) -> String {
    let variable = |name| get(name).unwrap_or_default();
    let scheme = get("wsgi.url_scheme").unwrap_or_else(|| "http".to_owned());
    let mut url = [&scheme, "://"].concat();

    let host = variable("HTTP_HOST");
    if host.is_empty() {
        url.push_str(&variable("SERVER_NAME"));
        let port = variable("SERVER_PORT");
        let usual = if scheme == "https" { "443" } else { "80" };
        if port != usual {
            url.push(':');
            url.push_str(&port);
        }
    } else {
        url.push_str(&host);
    }

    quote(&variable("SCRIPT_NAME"), &mut url);
    quote(&variable("PATH_INFO"), &mut url);
    let query = variable("QUERY_STRING");
    if !query.is_empty() {
        url.push('?');
        url.push_str(&query);
    }
    url
}

/// Percent-encodes the bytes of a native string, all but unreserved ones and
/// `/`: Python's `quote`, which PEP 3333's algorithm calls.
fn quote(text: &str, target: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut push = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            target.push(char::from(byte));
        } else {
            target.push('%');
            target.push(char::from(HEX[usize::from(byte >> 4)]));
            target.push(char::from(HEX[usize::from(byte & 15)]));
        }
    };
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) => push(byte),
            // Only middleware can have put it there.
            Err(_) => character
                .encode_utf8(&mut [0; 4])
                .bytes()
                .for_each(&mut push),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(vars: &[(&str, &str)], expected: &str) {
        let url = reconstruct_from(|name| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(url, expected);
    }

    #[test]
    fn the_host_field_goes_first() {
        check(
            &[
                ("wsgi.url_scheme", "https"),
                ("HTTP_HOST", "h:8443"),
                ("SERVER_NAME", "other"),
                ("SERVER_PORT", "1"),
                ("PATH_INFO", "/"),
            ],
            "https://h:8443/",
        );
    }

    #[test]
    fn without_it_name_and_port() {
        let named = |scheme, port| {
            [
                ("wsgi.url_scheme", scheme),
                ("SERVER_NAME", "[::1]"),
                ("SERVER_PORT", port),
            ]
        };
        check(&named("http", "80"), "http://[::1]");
        check(&named("http", "443"), "http://[::1]:443");
        check(&named("https", "443"), "https://[::1]");
        check(&named("https", "80"), "https://[::1]:80");
    }

    #[test]
    fn the_path_is_quoted_and_the_query_is_not() {
        check(
            &[
                ("HTTP_HOST", "h"),
                ("SCRIPT_NAME", "/a b"),
                ("PATH_INFO", "//c;=,\u{ff}%~"),
                ("QUERY_STRING", "a b&%zz"),
            ],
            "http://h/a%20b//c%3B%3D%2C%FF%25~?a b&%zz",
        );
    }
}
