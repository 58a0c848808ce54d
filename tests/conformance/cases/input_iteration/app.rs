//! Reads one line, then iterates over the rest of the request's body.

use std::io::BufRead;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut input = environ.input();
    let mut body = input.next_line(None)?;
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        body.extend([b"[", line.as_slice(), b"]"].concat());
    }
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(body.into())
}

wasm_gw_guest::export!(app);
