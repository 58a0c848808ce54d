//! Writes an empty block and then tries to change its mind.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let writer = start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    writer.write_block(b"")?;
    start_response.restart("500 Oops", &[], &Error::msg("too late"))?;
    Ok("unseen\n".into())
}

wasm_gw_guest::export!(app);
