//! Raises an error instead of answering, before or after `start_response`.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    if environ.path() == "/started" {
        start_response.start("200 OK", &[("X-App", "1")])?;
    }
    Err(Error::msg("a secret went missing"))
}

wasm_gw_guest::export!(app);
