//! Leaves `Server` and `Date` to the host, or brings its own.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut headers = vec![("Content-Type", "text/plain")];
    if environ.path() == "/own" {
        headers.push(("Server", "the-app"));
        headers.push(("Date", "Thu, 01 Jan 1970 00:00:00 GMT"));
    }
    start_response.start("200 OK", &headers)?;
    Ok("ok\n".into())
}

wasm_gw_guest::export!(app);
