//! Sets a header that the path names, and says if it was refused.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    match start_response.start("200 OK", &[(&environ.path()[1..], "close")]) {
        Ok(_) => Ok("accepted\n".into()),
        Err(error) => {
            start_response.restart("400 Refused", &[], &error.into())?;
            Ok("refused\n".into())
        }
    }
}

wasm_gw_guest::export!(app);
