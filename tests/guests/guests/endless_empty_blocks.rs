//! Yields empty blocks for ever, after a `start`.
//! For: M3 (the deadline goes on and others run), a client that goes away.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::start_text;

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_text(&start_response)?;
    Ok(Body::iter(std::iter::repeat("")))
}

wasm_gw_guest::export!(app);
