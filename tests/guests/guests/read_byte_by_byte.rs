//! Reads the request's body one byte a call and answers with its length and the
//! sum of its bytes, "LENGTH SUM\n". `?by=read` (the default: `read(1)`), `some`
//! (`read-some(1)`), `line` (`readline(1)`), `std` (the SDK's `Read::bytes`),
//! `buffered` (the SDK's `BufRead`).
//! For: 2.2 (all ways of reading see the same bytes), the cost of a call.

use std::io::{BufRead, Read};

use wasm_gw_guest::{Body, Environ, Error, Input, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut input = environ.input();
    let way = Query::of(&environ).text("by", "read");
    let (mut length, mut sum) = (0_u64, 0_u64);
    while let Some(byte) = next_byte(&mut input, &way)? {
        length += 1;
        sum += u64::from(byte);
    }
    start_text(&start_response)?;
    Ok(format!("{length} {sum}\n").into())
}

fn next_byte(input: &mut Input, way: &str) -> Result<Option<u8>> {
    let bytes = match way {
        "read" => input.read_size(1)?,
        "some" => input.read_some(1)?,
        "line" => input.next_line(Some(1))?,
        "std" => return Ok(input.bytes().next().transpose()?),
        "buffered" => {
            let byte = input.fill_buf()?.first().copied();
            input.consume(usize::from(byte.is_some()));
            return Ok(byte);
        }
        other => return Err(Error::msg(format!("no way {other:?}"))),
    };
    Ok(bytes.first().copied())
}

wasm_gw_guest::export!(app);
