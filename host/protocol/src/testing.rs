//! Shorthands for this crate's unit tests.

use http::{HeaderName, HeaderValue, Request, Version, request};

/// A request head as the HTTP server would hand it over.
pub(crate) fn parts(
    method: &str,
    target: &str,
    version: Version,
    fields: &[(&str, &str)],
) -> request::Parts {
    let mut request = Request::new(());
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = target.parse().expect("a target that the parser takes");
    *request.version_mut() = version;
    for (name, value) in fields {
        request.headers_mut().append(
            HeaderName::from_bytes(name.as_bytes()).expect("a field name"),
            HeaderValue::from_bytes(value.as_bytes()).expect("a field value"),
        );
    }
    request.into_parts().0
}
