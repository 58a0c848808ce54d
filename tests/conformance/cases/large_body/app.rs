//! Two mebibytes, in 32 blocks or in one.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let block = b"0123456789abcdef".repeat(4096);
    let writer = start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(match environ.path().as_str() {
        "/blocks" => Body::iter(std::iter::repeat_n(block, 32)),
        "/write" => {
            for _ in 0..32 {
                writer.write_block(&block)?;
            }
            Body::empty()
        }
        _ => block.repeat(32).into(),
    })
}

wasm_gw_guest::export!(app);
