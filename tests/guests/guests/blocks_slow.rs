//! Yields `?n=` (3) blocks "block 1\n", "block 2\n", ... with a pause of `?ms=`
//! (200) milliseconds before each but the first; `?first` pauses there too.
//! For: S37 (a client that reads sees each block before the next pause ends),
//! write timeouts, graceful shutdown.

use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let pause = Duration::from_millis(query.number("ms", 200));
    let first = query.has("first");
    start_text(&start_response)?;
    let numbers = 1..=query.number("n", 3);
    Ok(Body::iter(numbers.map(move |number| {
        if first || number > 1 {
            std::thread::sleep(pause);
        }
        format!("block {number}\n")
    })))
}

wasm_gw_guest::export!(app);
