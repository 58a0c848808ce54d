//! Requests that end before an application sees them: the [`Refusal`], and the
//! plain page a client gets for it.
//!
//! What is wrong with an application's response is in `response`; what is wrong
//! with a request body is [`BodyError`](crate::BodyError).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::connection::RequestId;
use crate::latin1;

/// A request that ends here: a status for the client, a reason for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the client is told.
    pub status: StatusCode,
    /// What the log is told. It never reaches the client.
    pub detail: Cow<'static, str>,
    /// The `Allow` field, for 405.
    pub allow: Option<&'static str>,
    /// The `Retry-After` field in seconds, for 503.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// A refusal with neither `Allow` nor `Retry-After`.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Refusal {
            status,
            detail: detail.into(),
            allow: None,
            retry_after: None,
        }
    }

    /// 400.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, detail)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.detail)
    }
}

impl Error for Refusal {}

/// The page for a refusal: `text/plain`, or JSON if `json` is set.
///
/// It says the status and the request id, and neither the detail nor any product's
/// name (protocol S58). It carries Content-Length, `Cache-Control: no-store`, and
/// `Allow` and `Retry-After` where the refusal has them.
pub fn error_page(refusal: &Refusal, id: Option<&RequestId>, json: bool) -> Response<Bytes> {
    let code = refusal.status.as_u16();
    let reason = refusal.status.canonical_reason().unwrap_or("Error");
    // Neither a reason nor an id needs escaping: see `RequestId::parse`.
    let (content_type, text) = match (json, id) {
        (false, None) => (PLAIN, format!("{code} {reason}\n")),
        (false, Some(id)) => (PLAIN, format!("{code} {reason}\nrequest id: {id}\n")),
        (true, None) => (
            JSON,
            format!("{{\"status\":{code},\"error\":\"{reason}\"}}\n"),
        ),
        (true, Some(id)) => (
            JSON,
            format!("{{\"status\":{code},\"error\":\"{reason}\",\"request_id\":\"{id}\"}}\n"),
        ),
    };

    let mut response = Response::new(Bytes::new());
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(allow) = refusal.allow
        && let Ok(allow) = HeaderValue::from_str(allow)
    {
        headers.insert(ALLOW, allow);
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    *response.body_mut() = Bytes::from(text);
    response
}

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Whether a client would rather read JSON: its Accept names `application/json` (or a
/// `+json` type) and ranks it above `text/*` and `*/*`.
///
/// Of equal weights the one that stands first wins, as clients that write
/// `application/json, text/plain, */*` mean it.
pub fn wants_json(headers: &HeaderMap) -> bool {
    let mut json: Option<u16> = None;
    let mut other: Option<u16> = None;
    for value in headers.get_all(ACCEPT) {
        for range in value.as_bytes().split(|byte| *byte == b',') {
            let mut parts = range.split(|byte| *byte == b';').map(latin1::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(weight).unwrap_or(1000);
            if media == b"application/json" || media.ends_with(b"+json") {
                // Not above what stands before it with the same weight.
                if other.is_none_or(|other| weight > other) {
                    json = json.max(Some(weight));
                }
            } else if media.starts_with(b"text/") || media == b"*/*" {
                other = other.max(Some(weight));
            }
        }
    }
    match (json, other) {
        (None | Some(0), _) => false,
        (Some(_), None) => true,
        (Some(json), Some(other)) => json >= other,
    }
}

/// A `q=0.5` parameter in thousandths; none for any other parameter, 0 for a broken weight.
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', number @ ..] = parameter else {
        return None;
    };
    let text = std::str::from_utf8(number).unwrap_or_default();
    match text.parse::<f32>() {
        Ok(q) if (0.0..=1.0).contains(&q) => Some((q * 1000.0) as u16),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(refusal: &Refusal, id: Option<&RequestId>, json: bool) -> String {
        let page = error_page(refusal, id, json);
        let text = String::from_utf8_lossy(page.body()).into_owned();
        assert_eq!(page.headers()[CONTENT_LENGTH], text.len().to_string());
        assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(page.status(), refusal.status);
        text
    }

    #[test]
    fn s58_an_error_page_says_the_status_and_the_id_and_nothing_else() {
        let refusal = Refusal::bad_request("secret detail");
        let id = RequestId::from_bits(7);
        let check = |json, id, text: &str| assert_eq!(body(&refusal, id, json), text);
        check(false, None, "400 Bad Request\n");
        check(
            false,
            Some(&id),
            "400 Bad Request\nrequest id: 00000000000000000000000000000007\n",
        );
        check(true, None, "{\"status\":400,\"error\":\"Bad Request\"}\n");
        check(
            true,
            Some(&id),
            "{\"status\":400,\"error\":\"Bad Request\",\"request_id\":\"00000000000000000000000000000007\"}\n",
        );
    }

    #[test]
    fn an_error_page_has_allow_and_retry_after_only_when_set() {
        let mut refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "x");
        let page = error_page(&refusal, None, false);
        assert!(!page.headers().contains_key(ALLOW) && !page.headers().contains_key(RETRY_AFTER));
        refusal.allow = Some("GET");
        refusal.retry_after = Some(3);
        let page = error_page(&refusal, None, true);
        assert_eq!(page.headers()[ALLOW], "GET");
        assert_eq!(page.headers()[RETRY_AFTER], "3");
        assert_eq!(page.headers()[CONTENT_TYPE], JSON);
    }

    #[test]
    fn json_is_sent_only_to_who_prefers_it() {
        let check = |accept: &[&'static str], wanted: bool| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, HeaderValue::from_static(value));
            }
            assert_eq!(wants_json(&headers), wanted, "{accept:?}");
        };
        check(&[], false);
        check(&["*/*"], false);
        check(&["text/html,*/*;q=0.8"], false);
        check(&["application/json"], true);
        check(&["Application/JSON"], true);
        check(&["application/problem+json"], true);
        check(&["application/json, text/plain, */*"], true);
        check(&["text/html, application/json"], false);
        check(&["text/html;q=0.5, application/json;q=0.9"], true);
        check(&["application/json;q=0.5, text/html"], false);
        check(&["application/json;q=0.5, */*;q=0.1"], true);
        check(&["application/json;q=0"], false);
        check(&["application/json;q=nonsense"], false);
        check(&["application/json;q=2"], false);
        check(&["application/json; charset=utf-8; q=0.2", "text/*"], false);
        check(&["text/plain;q=0.1", "application/json"], true);
        check(&["application/jsonx"], false);
        check(&[";;,,;q="], false);
    }
}
