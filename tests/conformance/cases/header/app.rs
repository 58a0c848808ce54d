//! Takes a header from the path, `/NAME=VALUE`, and says if it was refused.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let path = environ.path();
    let (name, value) = path[1..].split_once('=').unwrap_or_default();
    match start_response.start("200 OK", &[(name, value)]) {
        Ok(_) => Ok("accepted\n".into()),
        Err(error) => {
            start_response.restart("400 Refused", &[], &error.into())?;
            Ok("refused\n".into())
        }
    }
}

wasm_gw_guest::export!(app);
