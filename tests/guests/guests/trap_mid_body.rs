//! Traps inside `next` after `?n=` (2) blocks "block\n". `?length=` announces a
//! Content-Length; `?panic` panics instead, with a message. A `close` that wrote
//! to the log would say "closed": it must not.
//! For: 1.5 (no final chunk after an error), S41 (no `close` after a trap).

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, trap};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let length = query.get("length");
    let mut headers = vec![("Content-Type", "text/plain")];
    if let Some(length) = &length {
        headers.push(("Content-Length", length));
    }
    start_response.start("200 OK", &headers)?;
    let mut left = query.number("n", 2);
    let panics = query.has("panic");
    let blocks = std::iter::from_fn(move || {
        if left == 0 {
            if panics {
                panic!("in the middle of the body");
            }
            trap();
        }
        left -= 1;
        Some("block\n")
    });
    let errors = environ.errors();
    Ok(Body::with_close(blocks, move || {
        writeln!(errors, "closed");
    }))
}

wasm_gw_guest::export!(app);
