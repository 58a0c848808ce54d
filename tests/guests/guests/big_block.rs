//! Sends one block of `?mib=` (1) MiB and `?more=` (0) bytes: `?via=iter` (the
//! default), `bytes`, `write`, or `of-bytes` (as an input that is passed through).
//! For: the cap on one list of bytes from a guest (16 MiB).

use wasm_gw_guest::{Body, Environ, Error, Input, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let size = (query.number("mib", 1) << 20) + query.number("more", 0);
    let block = vec![b'x'; size as usize];
    let head = [("Content-Type", "application/octet-stream")];
    let writer = start_response.start("200 OK", &head)?;
    match query.text("via", "iter").as_str() {
        "iter" => Ok(Body::iter([block])),
        "bytes" => Ok(block.into()),
        "of-bytes" => Ok(Body::input(Input::of_bytes(&block))),
        "write" => {
            writer.write_block(&block)?;
            Ok(Body::empty())
        }
        other => Err(Error::msg(format!("no way {other:?}"))),
    }
}

wasm_gw_guest::export!(app);
