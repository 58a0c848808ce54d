//! What a client may ask for before any service is called: the checks that need only the head.
//!
//! Sizes, method, framing, announced length; the rules are `wasm_gw_protocol`'s, the order is
//! here. Not here: limits that need time (the socket's and the body's own), and how a refusal
//! looks (`refusal.rs`).

use http::{StatusCode, request};
use wasm_gw_protocol::{Refusal, check_framing, check_method, check_sizes, weak};

use crate::config::HttpConfig;

/// Refuses a request whose head breaks a rule or announces too much. `length` is the announced
/// length of the body, 0 where there is none, `None` where it is chunked.
pub(crate) fn check(
    parts: &request::Parts,
    length: Option<u64>,
    config: &HttpConfig,
) -> Result<(), Refusal> {
    check_sizes(parts, &config.head)?;
    check_method(parts)?;
    if !weak("framing") {
        check_framing(parts)?;
    }
    if length.is_some_and(|length| length > config.max_body) {
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the announced body is longer than max_body",
        ));
    }
    Ok(())
}
