//! Calls `start_response` a second time without an error.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("X-Call", "first")])?;
    let second = start_response.start("201 Created", &[("X-Call", "second")]);
    if environ.path() == "/caught" {
        let outcome = if second.is_err() {
            "refused\n"
        } else {
            "accepted\n"
        };
        return Ok(outcome.into());
    }
    second?;
    Ok("unseen\n".into())
}

wasm_gw_guest::export!(app);
