//! Reads the request's body by the standard traits of the Rust SDK's `Input` and
//! by its own methods in turn, and answers with the parts as a JSON array:
//! a line by `BufRead::read_line`, 3 bytes by `Read::read_exact`, a line of at
//! most 4 bytes, 2 bytes by `read_size`, the rest by `Read::read_to_end`.
//! For: the SDK's read-ahead, which all of these must share.

use std::io::{BufRead, Read};

use wasm_gw_guest::{Body, Environ, Result, StartResponse, latin1};
use wasm_gw_test_guests::{json_array, json_string};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut input = environ.input();
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut three = [0; 3];
    input.read_exact(&mut three)?;
    let short = input.next_line(Some(4))?;
    let two = input.read_size(2)?;
    let mut rest = Vec::new();
    input.read_to_end(&mut rest)?;

    let parts = [line.into_bytes(), three.into(), short, two, rest];
    let parts = parts.map(|part| json_string(&latin1::to_latin1_string(&part)));
    start_response.start("200 OK", &[("Content-Type", "application/json")])?;
    Ok(json_array(parts).into())
}

wasm_gw_guest::export!(app);
