//! Yields `?mib=` (1024) MiB of `x` in blocks of `?block=` (65536) bytes.
//! `?length` announces it as the Content-Length.
//! For: constant host memory, S45 to S47, slow readers, throughput.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mut left = query.number("mib", 1024) << 20;
    let block = query.number("block", 65_536).max(1);
    let length = left.to_string();
    let mut headers = vec![("Content-Type", "application/octet-stream")];
    if query.has("length") {
        headers.push(("Content-Length", &length));
    }
    start_response.start("200 OK", &headers)?;
    Ok(Body::iter(std::iter::from_fn(move || {
        let size = left.min(block);
        left -= size;
        (size > 0).then(|| vec![b'x'; size as usize])
    })))
}

wasm_gw_guest::export!(app);
