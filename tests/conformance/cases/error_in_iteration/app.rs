//! Raises an error after so many blocks as the path says.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let count: usize = environ.path()[1..].parse()?;
    start_response.start("200 OK", &[("Content-Type", "text/plain"), ("X-App", "1")])?;
    let blocks = std::iter::repeat_n(Ok("block\n"), count);
    let error = std::iter::once_with(|| Err(Error::msg("a secret went missing")));
    Ok(Body::with_close(blocks.chain(error), move || {
        writeln!(environ.errors(), "closed")
    }))
}

wasm_gw_guest::export!(app);
