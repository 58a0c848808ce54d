//! Starts, writes "not all of it\n" and ends by `exit(1)`; `?before` exits
//! before any `start`.
//! For: a failing exit is an error of the app: the transfer is aborted, or 5xx.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    if Query::of(&environ).has("before") {
        std::process::exit(1);
    }
    let head = [("Content-Type", "text/plain")];
    let writer = start_response.start("200 OK", &head)?;
    writer.write_block(b"not all of it\n")?;
    std::process::exit(1)
}

wasm_gw_guest::export!(app);
