//! Shows the headers of the request as they arrive: the variables that begin with `HTTP_`, sorted.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    let mut lines: Vec<String> = environ
        .vars()
        .iter()
        .filter(|(name, _)| name.starts_with("HTTP_"))
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    lines.sort();
    Ok(lines.concat().into())
}

wasm_gw_guest::export!(app);
