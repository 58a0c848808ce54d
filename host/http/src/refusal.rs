//! How this crate says no: one function for answers that go through hyper, one for those that
//! have to go around it. Which requests are refused is decided elsewhere.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use wasm_gw_protocol::{Refusal, RequestId, error_page};

use crate::date;

/// The name of the response field that carries the request id.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The answer to a refused request, logged once, here. `close` ends the connection after it.
pub(crate) fn response(
    refusal: &Refusal,
    id: &RequestId,
    json: bool,
    close: bool,
) -> Response<Bytes> {
    let status = refusal.status.as_u16();
    let (reason, request_id) = (&*refusal.detail, id.as_str());
    if refusal.status == StatusCode::INTERNAL_SERVER_ERROR {
        // That one is the service's fault, not the client's.
        tracing::error!(status, reason, request_id, "request failed");
    } else {
        tracing::info!(status, reason, request_id, "request refused");
    }
    let mut response = error_page(refusal, Some(id), json);
    if close {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The bytes of an answer to a head that never became a request, and how many of them are body.
/// The connection closes after it.
pub(crate) fn raw(status: StatusCode, id: &RequestId, body_wanted: bool) -> (Vec<u8>, u64) {
    let refusal = Refusal::new(status, "the request head could not be read");
    let response = response(&refusal, id, false, true);
    let mut head = String::with_capacity(512);
    // Writing to a String cannot fail.
    let _ = write!(
        head,
        "HTTP/1.1 {} {}\r\ndate: {}\r\n{REQUEST_ID}: {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        date::now().to_str().unwrap_or_default(),
        id.as_str(),
    );
    let mut bytes = head.into_bytes();
    for (name, value) in response.headers() {
        if *name != header::DATE && name.as_str() != REQUEST_ID {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes.extend_from_slice(b"\r\n");
    let body = if body_wanted {
        response.into_body()
    } else {
        Bytes::new()
    };
    bytes.extend_from_slice(&body);
    (bytes, body.len() as u64)
}
