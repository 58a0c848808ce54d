//! Returns a body and never calls `start_response`.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, _start_response: StartResponse) -> Result<Body> {
    Ok(match environ.path().as_str() {
        "/bytes" => "unseen\n".into(),
        "/iterable" => Body::iter(["unseen\n"]),
        _ => Body::empty(),
    })
}

wasm_gw_guest::export!(app);
