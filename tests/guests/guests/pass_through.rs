//! Returns the request's body as a `host-body`, so that it never enters the guest.
//! `?skip=` reads that many bytes first; `?length` copies Content-Length (less
//! what was skipped); `?replaced=text` passes an `of-bytes` input instead;
//! `?type=` is its Content-Type (application/octet-stream).
//! For: S43, S59, S46 (client gone in mid-body), `host-body.of-input`.

use wasm_gw_guest::{Body, Environ, Input, Result, StartResponse};
use wasm_gw_test_guests::{Query, decode};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mut input = match query.raw("replaced") {
        Some(text) => Input::of_bytes(&decode(text)),
        None => environ.input(),
    };
    let skip = query.number("skip", 0);
    if skip > 0 {
        input.read_size(skip)?;
    }
    let length = environ.content_length().unwrap_or(0);
    let length = length.saturating_sub(skip).to_string();
    let content_type = query.text("type", "application/octet-stream");
    let mut headers = vec![("Content-Type", &*content_type)];
    if query.has("length") {
        headers.push(("Content-Length", &length));
    }
    start_response.start("200 OK", &headers)?;
    Ok(Body::input(input))
}

wasm_gw_guest::export!(app);
