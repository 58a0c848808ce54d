//! Answers "leaked\n" and never drops a handle it got.
//! For: an instance's host resources end with it, whatever the guest keeps.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let head = [("Content-Type", "text/plain")];
    std::mem::forget(start_response.start("200 OK", &head)?);
    std::mem::forget(environ.input());
    std::mem::forget(environ.errors());
    std::mem::forget(environ);
    std::mem::forget(start_response);
    Ok("leaked\n".into())
}

wasm_gw_guest::export!(app);
