//! Writes blocks of `?bytes=` (65536) by `write` until it fails, logs the
//! outcome as "write: WriteError::Disconnected" and the like, and returns
//! `empty`. `?ignore` goes on for ever.
//! For: S48 (back pressure), a client that goes away meets the next call.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let ignores = query.has("ignore");
    let block = vec![b'x'; query.number("bytes", 65_536) as usize];
    let head = [("Content-Type", "application/octet-stream")];
    let writer = start_response.start("200 OK", &head)?;
    loop {
        if let Err(error) = writer.write_block(&block)
            && !ignores
        {
            writeln!(environ.errors(), "write: {error}");
            return Ok(Body::empty());
        }
    }
}

wasm_gw_guest::export!(app);
