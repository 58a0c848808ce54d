//! A response without a body, said in three ways.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(match environ.path().as_str() {
        "/bytes" => "".into(),
        "/iterable" => Body::iter(Vec::<String>::new()),
        _ => Body::empty(),
    })
}

wasm_gw_guest::export!(app);
