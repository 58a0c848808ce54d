//! A component of 30 MB that writes here and there in its data, as an application of the gateway.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use works::{HELLO, TEXT};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    if !large::touch() {
        return Err(Error::msg("the data was not as new"));
    }
    start_response.start("200 OK", &[TEXT])?;
    Ok(HELLO.into())
}

wasm_gw_guest::export!(app);
