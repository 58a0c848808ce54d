//! Starts, writes "all of it\n" and ends by `exit(0)`, as a CGI program does.
//! `?length` announces the right Content-Length, `?short` one that is too large.
//! For: `exit(0)` after the headers counts as the end.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mut headers = vec![("Content-Type", "text/plain")];
    if query.has("short") {
        headers.push(("Content-Length", "100"));
    } else if query.has("length") {
        headers.push(("Content-Length", "10"));
    }
    let writer = start_response.start("200 OK", &headers)?;
    writer.write_block(b"all of it\n")?;
    std::process::exit(0)
}

wasm_gw_guest::export!(app);
