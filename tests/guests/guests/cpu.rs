//! Uses the processor for `?ms=` (100) milliseconds of the monotonic clock, then
//! answers "done\n". `?iterations=` does a fixed amount of work instead.
//! For: fair shares between requests, deadlines that are not reached.

use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, spin_for, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    if query.has("iterations") {
        let count = query.number("iterations", 0);
        std::hint::black_box((0..count).fold(1_u64, |sum, number| {
            std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number))
        }));
    } else {
        spin_for(Duration::from_millis(query.number("ms", 100)));
    }
    start_text(&start_response)?;
    Ok("done\n".into())
}

wasm_gw_guest::export!(app);
