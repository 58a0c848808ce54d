//! Reads the lines of the request's body as lists, until there are none.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let hint = (environ.path() == "/hint").then_some(5);
    let mut input = environ.input();
    let mut body = Vec::new();
    loop {
        let lines = input.next_lines(hint)?;
        if lines.is_empty() {
            break;
        }
        for line in lines {
            body.extend([b"[", line.as_slice(), b"]"].concat());
        }
    }
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(body.into())
}

wasm_gw_guest::export!(app);
