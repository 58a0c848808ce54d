//! Spins inside `app`. `?started` calls `start` before; `?written` also writes.
//! For: the deadline (504 before the head, an aborted transfer after it).

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, spin};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    if query.has("started") || query.has("written") {
        let head = [("Content-Type", "text/plain")];
        let writer = start_response.start("200 OK", &head)?;
        if query.has("written") {
            writer.write_block(b"and then nothing\n")?;
        }
    }
    spin()
}

wasm_gw_guest::export!(app);
