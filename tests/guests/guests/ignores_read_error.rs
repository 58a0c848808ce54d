//! Reads the request's body and answers 200 in any case: "read N\n", or
//! "failed: IoError::TooLarge\n" and the like where the reading did.
//! For: 2.2: a guest that answers all the same keeps its answer, and the
//! connection closes.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::start_text;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let answer = match environ.input().read_rest() {
        Ok(body) => format!("read {}\n", body.len()),
        Err(error) => format!("failed: {error}\n"),
    };
    start_text(&start_response)?;
    Ok(answer.into())
}

wasm_gw_guest::export!(app);
