//! Announces ten bytes and gives five, or none.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Length", "10")])?;
    let blocks = if environ.path() == "/nothing" {
        vec![]
    } else {
        vec!["123", "45"]
    };
    Ok(Body::with_close(blocks, move || {
        writeln!(environ.errors(), "closed")
    }))
}

wasm_gw_guest::export!(app);
