//! Yields `?n=` (1) blocks "block\n" and spins in the next call of `next`.
//! For: the deadline in mid-body, a client that goes away meanwhile.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, spin, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut left = Query::of(&environ).number("n", 1);
    start_text(&start_response)?;
    Ok(Body::iter(std::iter::from_fn(move || {
        if left == 0 {
            spin();
        }
        left -= 1;
        Some("block\n")
    })))
}

wasm_gw_guest::export!(app);
