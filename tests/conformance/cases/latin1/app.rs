//! Returns the bytes of its path, and a header as it came.

use wasm_gw_guest::{Body, Environ, Result, StartResponse, latin1};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let path = environ.path();
    let word = environ.header("X-Word").unwrap_or_default();
    let characters = path.chars().count().to_string();
    start_response.start(
        "200 OK",
        &[("X-Word", &word), ("X-Characters", &characters)],
    )?;
    Ok(latin1::bytes_of(&path)?.into())
}

wasm_gw_guest::export!(app);
