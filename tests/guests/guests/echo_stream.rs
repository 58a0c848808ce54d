//! Answers with the request's body block by block, as `read-some` gives it. The
//! input is read inside `next`, after `app` has returned.
//! `?max=` is the most bytes a block (65536); `?length` copies Content-Length.
//! For: S37 (nothing is held back in either direction), S42, back pressure.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let max = query.number("max", 65_536);
    let mut headers = vec![("Content-Type", "application/octet-stream")];
    let length = environ.get("CONTENT_LENGTH").unwrap_or_default();
    if query.has("length") && !length.is_empty() {
        headers.push(("Content-Length", &length));
    }
    start_response.start("200 OK", &headers)?;
    let mut input = environ.input();
    Ok(Body::iter(std::iter::from_fn(move || {
        match input.read_some(max) {
            Ok(block) if block.is_empty() => None,
            block => Some(block),
        }
    })))
}

wasm_gw_guest::export!(app);
