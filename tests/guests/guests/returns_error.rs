//! `app` returns an error. `?kind=`, `?message=`, `?traceback=` are its parts;
//! `?bytes=` makes the message so long; `?started` calls `start` before,
//! `?written` also writes a block.
//! For: S56, S58 (500 without details), an error after the head (1.5), log escapes.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    if query.has("written") {
        let head = [("Content-Type", "text/plain")];
        let writer = start_response.start("200 OK", &head)?;
        writer.write_block(b"before the error\n")?;
    } else if query.has("started") {
        start_text(&start_response)?;
    }
    let message = match query.number("bytes", 0) {
        0 => query.text("message", "secret detail"),
        count => "m".repeat(count as usize),
    };
    let error = Error::new(query.text("kind", "GuestError"), message);
    Err(match query.get("traceback") {
        Some(traceback) => error.with_traceback(traceback),
        None => error,
    })
}

wasm_gw_guest::export!(app);
