//! A web application for the wasm-gw gateway.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    match environ.path().as_str() {
        "/" => {
            start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
            Ok("hello, world\n".into())
        }
        _ => {
            start_response.start("404 Not Found", &[("Content-Type", "text/plain")])?;
            Ok("not found\n".into())
        }
    }
}

wasm_gw_guest::export!(app);
