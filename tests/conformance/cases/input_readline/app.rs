//! Reads the request's body line by line, with sizes and without.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut input = environ.input();
    let mut body = Vec::new();
    for size in [None, Some(2), Some(100), Some(0), None, None, None, None] {
        let line = input.next_line(size)?;
        body.extend([b"[", line.as_slice(), b"]"].concat());
    }
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(body.into())
}

wasm_gw_guest::export!(app);
