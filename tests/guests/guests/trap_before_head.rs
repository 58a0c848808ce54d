//! Traps inside `app`. `?started` calls `start` before, which sends nothing.
//! For: S56, S58, docs/protocol.md 1.5: a trap before the head is 502.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text, trap};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    if Query::of(&environ).has("started") {
        start_text(&start_response)?;
    }
    trap()
}

wasm_gw_guest::export!(app);
