//! Panics inside `app` with `?message=` ("secret detail"), which Rust writes to
//! the standard error.
//! For: S56 (the message is in the log), S58 (and not in the answer).

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, _start_response: StartResponse) -> Result<Body> {
    panic!("{}", Query::of(&environ).text("message", "secret detail"));
}

wasm_gw_guest::export!(app);
