//! The shortest answer, as an application of the gateway.

#![no_std]

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("content-type", "text/plain")])?;
    Ok("hello, world!\n".into())
}

wasm_gw_guest::export!(app);
