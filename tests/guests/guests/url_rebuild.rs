//! Answers with the URL of the request, rebuilt from its variables.
//! For: S61, for each request target of docs/protocol.md 2.4.

use wasm_gw_guest::{Body, Environ, Result, StartResponse, latin1, url};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let url = url::reconstruct(&environ);
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(latin1::bytes_of(&url)?.into())
}

wasm_gw_guest::export!(app);
