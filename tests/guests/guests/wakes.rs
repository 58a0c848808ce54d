//! Sleeps for `?us=` (1000) microseconds by the monotonic clock of WASI and wakes,
//! for ever or `?n=` times, then answers "done\n".
//! For: a guest that uses next to no processor time and asks for it often.

use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let pause = Duration::from_micros(query.number("us", 1000));
    for _ in 0..query.number("n", u64::MAX) {
        std::thread::sleep(pause);
    }
    start_text(&start_response)?;
    Ok("done\n".into())
}

wasm_gw_guest::export!(app);
