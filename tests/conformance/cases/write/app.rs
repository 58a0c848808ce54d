//! Pushes its body by the callable that `start_response` returns.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let writer = start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    writer.write_block(b"one\n")?;
    writer.write_block(b"two\n")?;
    Ok(Body::empty())
}

wasm_gw_guest::export!(app);
