//! Gives `start_response` a character that stands for no byte.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let outcome = match environ.path().as_str() {
        "/status" => start_response.start("200 \u{20ac}", &[]),
        "/name" => start_response.start("200 OK", &[("X-\u{20ac}", "1")]),
        _ => start_response.start("200 OK", &[("X-Euro", "\u{20ac}")]),
    };
    match outcome {
        Ok(_) => Ok("accepted\n".into()),
        Err(error) => {
            start_response.restart("400 Refused", &[], &error.into())?;
            Ok("refused\n".into())
        }
    }
}

wasm_gw_guest::export!(app);
