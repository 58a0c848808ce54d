//! Makes inputs by `of-bytes`, of `?kib=` (1024) KiB each, and keeps them, for
//! ever or `?n=` of them, then answers "kept N\n". The guest's own memory does
//! not grow: the bytes are the host's.
//! For: host memory that a guest can cause is bounded.

use wasm_gw_guest::{Body, Environ, Input, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let data = vec![b'x'; (query.number("kib", 1024) << 10) as usize];
    let count = query.number("n", u64::MAX);
    for _ in 0..count {
        std::mem::forget(Input::of_bytes(&data));
    }
    start_text(&start_response)?;
    Ok(format!("kept {count}\n").into())
}

wasm_gw_guest::export!(app);
