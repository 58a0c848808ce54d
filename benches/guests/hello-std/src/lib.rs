//! The shortest answer, as an application of the gateway that has the standard library.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use works::{HELLO, TEXT};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[TEXT])?;
    Ok(HELLO.into())
}

wasm_gw_guest::export!(app);
