//! Answers "unread\n" without reading the request's body.
//! For: S51 (no 100 is sent), 1.5 (unread body: answer, then close).

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::start_text;

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_text(&start_response)?;
    Ok("unread\n".into())
}

wasm_gw_guest::export!(app);
