//! Reads a body to its end, whether its length is known or not.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let length = match environ.get("CONTENT_LENGTH") {
        Some(length) => format!("{length} bytes: "),
        None => "no length: ".to_owned(),
    };
    let body = environ.input().read_rest()?;
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok([length.as_bytes(), &body].concat().into())
}

wasm_gw_guest::export!(app);
