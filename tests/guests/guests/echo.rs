//! Answers with the request's body, read whole by `read(none)`, as one `bytes`.
//! The request's Content-Type comes back, if it has one.
//! For: S19, S40, 2.2 (lengths, chunked, limits, Expect).

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let body = environ.input().read_rest()?;
    let content_type = environ.content_type();
    let content_type = content_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    start_response.start("200 OK", &[("Content-Type", content_type)])?;
    Ok(body.into())
}

wasm_gw_guest::export!(app);
