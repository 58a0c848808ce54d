//! Returns the body of the request as its own, without looking at it.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let content_type = environ
        .content_type()
        .unwrap_or_else(|| "text/plain".to_owned());
    let mut input = environ.input();
    if environ.path() == "/rest" {
        input.read_size(4)?;
    }
    start_response.start("200 OK", &[("Content-Type", &content_type)])?;
    Ok(Body::input(input))
}

wasm_gw_guest::export!(app);
