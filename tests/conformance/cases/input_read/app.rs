//! Reads the request's body by sizes, then the rest, then past its end.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut input = environ.input();
    let parts = [
        input.read_size(3)?,
        input.read_size(0)?,
        input.read_size(1)?,
        input.read_rest()?,
        input.read_rest()?,
        input.read_size(1)?,
    ];
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(parts
        .map(|part| [b"[", part.as_slice(), b"]"].concat())
        .concat()
        .into())
}

wasm_gw_guest::export!(app);
