//! Checks that need only a request's head. The HTTP server runs them before it calls
//! any service; what a request is *for* is decided in `target` and `mount`.

use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Uri, Version, request};

use crate::error::Refusal;
use crate::headers::{is_token, members};
use crate::latin1;

/// How large a request head may be (protocol 2.3, last row). Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The request target; 414 beyond.
    pub target: usize,
    /// Number of header fields; 431 beyond. Fields that no application sees count too.
    pub fields: usize,
    /// One field line: name, colon, blank and value; 431 beyond.
    pub field: usize,
    /// All field lines together; 431 beyond.
    pub header_section: usize,
    /// The method; 501 beyond.
    pub method: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits {
            target: 8192,
            fields: 100,
            field: 8190,
            header_section: 64 * 1024,
            method: 32,
        }
    }
}

/// What `Allow` says where the gateway itself answers: 405, and `OPTIONS *`.
pub const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

/// Holds the head against the limits: method 501, then target 414, then fields 431.
///
/// The target goes first because a client that is told 431 looks in the wrong place.
pub fn check_sizes(parts: &request::Parts, limits: &HeadLimits) -> Result<(), Refusal> {
    if parts.method.as_str().len() > limits.method {
        return Err(refuse(
            StatusCode::NOT_IMPLEMENTED,
            "the method is too long",
        ));
    }
    if target_len(&parts.uri) > limits.target {
        return Err(refuse(
            StatusCode::URI_TOO_LONG,
            "the request target is too long",
        ));
    }
    let too_large = |detail| Err(refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail));
    if parts.headers.len() > limits.fields {
        return too_large("too many header fields");
    }
    let mut together = 0usize;
    for (name, value) in &parts.headers {
        let line = name.as_str().len() + 2 + latin1::trim(value.as_bytes()).len();
        together = together.saturating_add(line);
        if line > limits.field {
            return too_large("a header field is too long");
        }
        if together > limits.header_section {
            return too_large("the header section is too long");
        }
    }
    Ok(())
}

/// The methods the gateway does not pass on: CONNECT is 501, TRACE is 405 with `Allow`.
///
/// Every other token is an application's business. A method that is too long is
/// [`check_sizes`]'s.
pub fn check_method(parts: &request::Parts) -> Result<(), Refusal> {
    match parts.method {
        Method::CONNECT => Err(refuse(StatusCode::NOT_IMPLEMENTED, "CONNECT")),
        Method::TRACE => Err(Refusal {
            allow: Some(ALLOWED_METHODS),
            ..refuse(StatusCode::METHOD_NOT_ALLOWED, "TRACE")
        }),
        _ => Ok(()),
    }
}

/// How the body is framed and what the client expects first (protocol 2.5, S51).
///
/// Transfer-Encoding must be exactly `chunked`; Content-Length a number; Expect nothing
/// but `100-continue`.
pub fn check_framing(parts: &request::Parts) -> Result<(), Refusal> {
    check_transfer_encoding(parts)?;
    content_length(&parts.headers)?;
    check_expect(parts)
}

/// The length of the body as Content-Length gives it; none without the field, and none
/// next to Transfer-Encoding, which outranks it (RFC 9112 6.3).
///
/// # Errors
///
/// 400 if it is anything but digits, above `u64::MAX`, or given twice differently.
pub fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let parsed = parse_length(latin1::trim(value.as_bytes()))
            .ok_or_else(|| Refusal::bad_request("Content-Length is not a number"))?;
        if length.is_some_and(|length| length != parsed) {
            return Err(Refusal::bad_request("Content-Length differs from itself"));
        }
        length = Some(parsed);
    }
    Ok(length.filter(|_| !headers.contains_key(TRANSFER_ENCODING)))
}

/// Digits and nothing else, as a `u64`. `str::parse` alone would take `+5` too.
pub(crate) fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn check_transfer_encoding(parts: &request::Parts) -> Result<(), Refusal> {
    if !parts.headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    if parts.version < Version::HTTP_11 {
        return Err(Refusal::bad_request("Transfer-Encoding in HTTP/1.0"));
    }
    // Several lines are one list (RFC 9110 5.3), and the list is what must be `chunked`:
    // a parser in front of us may have looked at another member than we do.
    let mut last_is_chunked = false;
    let mut chunked = 0usize;
    let mut other = false;
    for value in parts.headers.get_all(TRANSFER_ENCODING) {
        for coding in members(value.as_bytes()) {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or(coding);
            if !is_token(latin1::trim(name)) {
                return Err(Refusal::bad_request(
                    "an empty or broken member in Transfer-Encoding",
                ));
            }
            if coding.eq_ignore_ascii_case(b"identity") {
                return Err(Refusal::bad_request("Transfer-Encoding: identity"));
            }
            last_is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            if last_is_chunked {
                chunked += 1;
            } else {
                other = true;
            }
        }
    }
    if !last_is_chunked || chunked > 1 {
        return Err(Refusal::bad_request(
            "Transfer-Encoding does not end in its only `chunked`",
        ));
    }
    if other {
        return Err(refuse(
            StatusCode::NOT_IMPLEMENTED,
            "a transfer coding other than chunked",
        ));
    }
    Ok(())
}

fn check_expect(parts: &request::Parts) -> Result<(), Refusal> {
    // An HTTP/1.0 client cannot wait for an interim response (RFC 9110 10.1.1).
    if parts.version < Version::HTTP_11 {
        return Ok(());
    }
    let known = parts.headers.get_all(EXPECT).iter().all(|value| {
        members(value.as_bytes()).all(|expectation| {
            expectation.is_empty() || expectation.eq_ignore_ascii_case(b"100-continue")
        })
    });
    if known {
        Ok(())
    } else {
        Err(refuse(
            StatusCode::EXPECTATION_FAILED,
            "an expectation other than 100-continue",
        ))
    }
}

fn target_len(uri: &Uri) -> usize {
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + 3);
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    scheme + authority + path
}

fn refuse(status: StatusCode, detail: &'static str) -> Refusal {
    Refusal::new(status, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parts;

    fn outcome(result: Result<(), Refusal>) -> u16 {
        result.map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn r2_5_transfer_encoding_must_be_exactly_chunked() {
        let check = |lines: &[&str], status: u16| {
            let lines: Vec<_> = lines
                .iter()
                .map(|line| ("Transfer-Encoding", *line))
                .collect();
            let parts = parts("POST", "/", Version::HTTP_11, &lines);
            assert_eq!(outcome(check_framing(&parts)), status, "{lines:?}");
        };
        check(&["chunked"], 200);
        check(&["CHUNKED"], 200);
        check(&[" chunked\t"], 200);
        check(&["gzip, chunked"], 501);
        check(&["gzip", "chunked"], 501);
        check(&["deflate,chunked"], 501);
        check(&["compress, chunked"], 501);
        check(&["x-unknown;q=1, chunked"], 501);
        check(&["identity, chunked"], 400);
        check(&["identity"], 400);
        check(&["chunked, chunked"], 400);
        check(&["chunked", "chunked"], 400);
        check(&["chunked, gzip, chunked"], 400);
        check(&["gzip"], 400);
        check(&["chunked, gzip"], 400);
        check(&[""], 400);
        check(&[",chunked"], 400);
        check(&["chunked,"], 400);
        check(&["gzip,,chunked"], 400);
        check(&["chunked;a=b"], 400);
        check(&["\"chunked\""], 400);
        check(&["xchunked"], 400);
        check(&["chun ked"], 400);
    }

    #[test]
    fn r2_5_transfer_encoding_on_http_1_0_is_refused() {
        let parts = parts(
            "POST",
            "/",
            Version::HTTP_10,
            &[("Transfer-Encoding", "chunked")],
        );
        assert_eq!(outcome(check_framing(&parts)), 400);
    }

    #[test]
    fn r2_5_content_length_is_digits() {
        let check = |lines: &[&str], expected: Result<Option<u64>, u16>| {
            let fields: Vec<_> = lines.iter().map(|line| ("Content-Length", *line)).collect();
            let parts = parts("POST", "/", Version::HTTP_11, &fields);
            let found = content_length(&parts.headers).map_err(|refusal| refusal.status.as_u16());
            assert_eq!(found, expected, "{lines:?}");
            assert_eq!(check_framing(&parts).is_ok(), expected.is_ok(), "{lines:?}");
        };
        check(&[], Ok(None));
        check(&["0"], Ok(Some(0)));
        check(&["  5\t"], Ok(Some(5)));
        check(&["0005"], Ok(Some(5)));
        check(&["5", "5"], Ok(Some(5)));
        check(&["18446744073709551615"], Ok(Some(u64::MAX)));
        for bad in [
            "",
            "+5",
            "-0",
            "5_0",
            "0x5",
            "5, 5",
            "5 5",
            "18446744073709551616",
            "٥",
            "5.0",
        ] {
            check(&[bad], Err(400));
        }
        check(&["5", "6"], Err(400));
    }

    #[test]
    fn r2_5_transfer_encoding_outranks_content_length() {
        let fields = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")];
        let parts = parts("POST", "/", Version::HTTP_11, &fields);
        assert_eq!(content_length(&parts.headers), Ok(None));
    }

    #[test]
    fn s51_only_100_continue_may_be_expected() {
        let check = |version, lines: &[&str], status: u16| {
            let lines: Vec<_> = lines.iter().map(|line| ("Expect", *line)).collect();
            let parts = parts("POST", "/", version, &lines);
            assert_eq!(outcome(check_framing(&parts)), status, "{lines:?}");
        };
        check(Version::HTTP_11, &[], 200);
        check(Version::HTTP_11, &["100-continue"], 200);
        check(Version::HTTP_11, &["100-Continue, 100-CONTINUE"], 200);
        check(Version::HTTP_11, &["100-continue", "100-continue"], 200);
        check(Version::HTTP_11, &[""], 200);
        check(Version::HTTP_11, &["200-ok"], 417);
        check(Version::HTTP_11, &["100-continue, x"], 417);
        check(Version::HTTP_11, &["100-continue", "x"], 417);
        check(Version::HTTP_11, &["100-continue;x"], 417);
        check(Version::HTTP_2, &["x"], 417);
        check(Version::HTTP_10, &["x"], 200);
    }

    #[test]
    fn r2_1_connect_and_trace_are_answered_here() {
        let check = |method: &str, status: u16| {
            let target = if method == "CONNECT" { "h:443" } else { "/" };
            let parts = parts(method, target, Version::HTTP_11, &[]);
            assert_eq!(outcome(check_method(&parts)), status, "{method}");
        };
        check("CONNECT", 501);
        check("TRACE", 405);
        for passed in ["GET", "HEAD", "PROPFIND", "-BLARGH", "trace", "get"] {
            check(passed, 200);
        }
        let trace = parts("TRACE", "/", Version::HTTP_11, &[]);
        let refusal = check_method(&trace).expect_err("TRACE");
        assert_eq!(refusal.allow, Some(ALLOWED_METHODS));
    }

    #[test]
    fn r2_3_sizes_are_inclusive_and_414_comes_before_431() {
        let limits = HeadLimits::default();
        let check = |method: &str, target: &str, fields: &[(&str, &str)], status: u16| {
            let parts = parts(method, target, Version::HTTP_11, fields);
            assert_eq!(
                outcome(check_sizes(&parts, &limits)),
                status,
                "{method} {} {}",
                target.len(),
                fields.len()
            );
        };
        let path = |len: usize| format!("/{}", "a".repeat(len - 1));
        check(&"M".repeat(32), "/", &[], 200);
        check(&"M".repeat(33), "/", &[], 501);
        check("GET", &path(8192), &[], 200);
        check("GET", &path(8193), &[], 414);
        check("GET", &format!("/?{}", "q".repeat(8190)), &[], 200);
        check("GET", &format!("/?{}", "q".repeat(8191)), &[], 414);
        check("GET", &format!("http://h{}", path(8184)), &[], 200);
        check("GET", &format!("http://h{}", path(8185)), &[], 414);

        // "x: " is three bytes.
        let value = "v".repeat(8188);
        check("GET", "/", &[("x", &value[..8187])], 200);
        check("GET", "/", &[("x", &value)], 431);
        check("GET", &path(8193), &[("x", &value)], 414);
        check("GET", "/", &[("x", "v"); 100], 200);
        check("GET", "/", &[("x", "v"); 101], 431);
        check("GET", "/", &[("under_score", "v"); 101], 431);
        // Eight lines of 8190 are 65520 bytes; 16 more fill the 64 KiB.
        let mut fields = vec![("x", &value[..8187]); 8];
        fields.push(("y", &value[..13]));
        check("GET", "/", &fields, 200);
        fields.push(("z", ""));
        check("GET", "/", &fields, 431);
    }
}
