//! Makes a `host-body` of the request's body and reads it itself, as middleware
//! would. Reports, one a line: `length N` or `length none`, `block N` for each
//! block of at most `?max=` (1024) bytes, `end` or `error IoError::TooLarge`
//! and the like, and after `close` once more one of these.
//! For: the methods of `host-body`.

use wasm_gw_guest::raw::types::HostBody;
use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let max = Query::of(&environ).number("max", 1024);
    let body = HostBody::of_input(environ.input().into_raw());
    let mut report = match body.length() {
        Some(length) => format!("length {length}\n"),
        None => "length none\n".to_owned(),
    };
    let mut closed = false;
    loop {
        match body.next(max) {
            Ok(Some(block)) => {
                report.push_str(&format!("block {}\n", block.len()));
                continue;
            }
            Ok(None) => report.push_str("end\n"),
            Err(error) => report.push_str(&format!("error {error:?}\n")),
        }
        if closed {
            break;
        }
        body.close();
        closed = true;
    }
    start_text(&start_response)?;
    Ok(report.into())
}

wasm_gw_guest::export!(app);
