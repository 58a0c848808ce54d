//! Writes a block, then returns more. To write from inside of the iterable is refused.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let writer = start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    writer.write_block(b"written\n")?;
    if environ.path() == "/bytes" {
        return Ok("returned\n".into());
    }
    let again = move || match writer.write_block(b"out of turn\n") {
        Ok(()) => "accepted\n",
        Err(_) => "refused\n",
    };
    let blocks = std::iter::once("iterated\n").chain(std::iter::once_with(again));
    Ok(Body::iter(blocks))
}

wasm_gw_guest::export!(app);
