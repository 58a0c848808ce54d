//! Yields `?n=` (10000) empty blocks, then "at last\n". `?lazy` calls `start`
//! only before that one.
//! For: S26 (empty blocks never flush the headers), S42, M3.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let count = query.number("n", 10_000);
    let lazy = query.has("lazy");
    if !lazy {
        start_text(&start_response)?;
    }
    let blocks = (0..=count).map(move |number| {
        if number < count {
            return Ok("");
        }
        if lazy {
            start_text(&start_response)?;
        }
        Ok::<_, Error>("at last\n")
    });
    Ok(Body::iter(blocks))
}

wasm_gw_guest::export!(app);
