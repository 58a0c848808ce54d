//! The smallest application.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok("hello, world\n".into())
}

wasm_gw_guest::export!(app);
