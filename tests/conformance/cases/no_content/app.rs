//! Says that there is no content, and sends some.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("204 No Content", &[("Content-Length", "5")])?;
    Ok(Body::with_close(["unseen"], move || {
        writeln!(environ.errors(), "closed")
    }))
}

wasm_gw_guest::export!(app);
