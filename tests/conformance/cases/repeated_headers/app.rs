//! Sends headers of one name several times, in upper and lower case.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let headers = [
        ("Set-Cookie", "a=1; Path=/"),
        ("Link", "</1>"),
        ("set-cookie", "b=2, 3"),
        ("Link", "</2>"),
        ("SET-COOKIE", "a=4"),
    ];
    start_response.start("200 OK", &headers)?;
    Ok("ok\n".into())
}

wasm_gw_guest::export!(app);
