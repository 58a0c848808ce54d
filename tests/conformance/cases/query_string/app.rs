//! Returns its query string.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(format!("[{}]", environ.query()).into())
}

wasm_gw_guest::export!(app);
