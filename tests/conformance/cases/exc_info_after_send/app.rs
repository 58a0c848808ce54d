//! Fails after its first block and calls `start_response` with the error.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let errors = environ.errors();
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    let fail = move || {
        let error = Error::msg("broke in the middle");
        let again = start_response.restart("500 Oops", &[], &error);
        if again
            .as_ref()
            .is_err_and(|again| again.message() == error.message())
        {
            writeln!(errors, "raised again");
        }
        again.map(|_| "sorry\n")
    };
    let blocks = std::iter::once(Ok("first\n")).chain(std::iter::once_with(fail));
    Ok(Body::with_close(blocks, move || {
        writeln!(environ.errors(), "closed")
    }))
}

wasm_gw_guest::export!(app);
