//! Traps inside `close`, after a whole body "all of it\n".
//! For: S41, 4.6: errors in `close` are logged and the response stays valid.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{start_text, trap};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_text(&start_response)?;
    Ok(Body::with_close(["all of it\n"], || -> () { trap() }))
}

wasm_gw_guest::export!(app);
