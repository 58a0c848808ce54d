//! Ends by `exit(0)` before any `start`. `?started` calls `start` before, which
//! sends nothing; `?in=next` and `?in=close` end there, after one block.
//! For: what counts as the end of a response, and what is an error of the app.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let place = query.text("in", "app");
    if place == "app" {
        if query.has("started") {
            start_text(&start_response)?;
        }
        std::process::exit(0);
    }
    start_text(&start_response)?;
    let mut first = true;
    let in_next = place == "next";
    let blocks = std::iter::from_fn(move || {
        if std::mem::replace(&mut first, false) {
            return Some("block\n");
        }
        if in_next {
            std::process::exit(0);
        }
        None
    });
    Ok(Body::with_close(blocks, || -> () { std::process::exit(0) }))
}

wasm_gw_guest::export!(app);
