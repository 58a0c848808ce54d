//! Starts well, fails before anything is sent, and answers with an error page of its own.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start(
        "200 OK",
        &[("Content-Type", "text/plain"), ("X-First", "1")],
    )?;
    match work() {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            start_response.restart("503 Try Later", &[("Content-Type", "text/html")], &error)?;
            Ok("sorry\n".into())
        }
    }
}

fn work() -> Result<String> {
    Err(Error::msg("the database is away"))
}

wasm_gw_guest::export!(app);
