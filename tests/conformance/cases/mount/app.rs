//! Says where it is mounted and what is left of the path.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(format!("{}|{}", environ.script_name(), environ.path()).into())
}

wasm_gw_guest::export!(app);
