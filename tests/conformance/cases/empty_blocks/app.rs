//! Gives empty blocks before, between and after the others.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    if environ.path() != "/replaced" {
        return Ok(Body::iter(["", "", "one\n", "", "two\n", ""]));
    }
    let replace = move || {
        let error = Error::msg("failed after nothing");
        start_response
            .restart("500 Oops", &[], &error)
            .map(|_| "sorry\n")
    };
    Ok(Body::iter(
        std::iter::once(Ok("")).chain(std::iter::once_with(replace)),
    ))
}

wasm_gw_guest::export!(app);
