//! Answers 304, with the length of what was not modified.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let headers = [("ETag", "\"1\""), ("Content-Length", "1000")];
    start_response.start("304 Not Modified", &headers)?;
    if environ.path() == "/body" {
        return Ok(Body::iter(["unseen"]));
    }
    Ok(Body::empty())
}

wasm_gw_guest::export!(app);
