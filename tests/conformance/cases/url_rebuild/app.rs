//! Rebuilds the URL of the request by the algorithm of PEP 3333.

use wasm_gw_guest::{Body, Environ, Result, StartResponse, url};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(url::reconstruct(&environ).into())
}

wasm_gw_guest::export!(app);
