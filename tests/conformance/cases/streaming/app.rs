//! Gives its body in three blocks.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut headers = vec![("Content-Type", "text/plain")];
    if environ.path() == "/length" {
        headers.push(("Content-Length", "15"));
    }
    start_response.start("200 OK", &headers)?;
    Ok(Body::iter(["one\r\n", "two\n", "\0three"]))
}

wasm_gw_guest::export!(app);
