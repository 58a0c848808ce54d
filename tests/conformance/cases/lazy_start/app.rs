//! Calls `start_response` only when the server asks for the first block.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut blocks = ["late\n"].into_iter();
    Ok(Body::iter(std::iter::from_fn(move || {
        let block = blocks.next()?;
        match start_response.start("201 Created", &[("X-Late", "yes")]) {
            Ok(_) => Some(Ok(block)),
            Err(error) => Some(Err(error)),
        }
    })))
}

wasm_gw_guest::export!(app);
