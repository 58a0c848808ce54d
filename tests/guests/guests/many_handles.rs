//! Makes handles of host resources and keeps them, for ever or `?n=` of them,
//! then answers "kept N\n". `?of=environ` (copies, the default), `input`,
//! `errors`, `bytes` (one-byte inputs made by `of-bytes`). `?vars=` sets so many
//! small variables first, for the copies.
//! For: the host's tables must not grow without bounds.

use wasm_gw_guest::{Body, Environ, Error, Input, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let count = query.number("n", u64::MAX);
    for number in 0..query.number("vars", 0) {
        let _ = environ.set(&format!("{number}"), "");
    }
    for _ in 0..count {
        match query.text("of", "environ").as_str() {
            "environ" => std::mem::forget(environ.copy()),
            "input" => std::mem::forget(environ.input()),
            "errors" => std::mem::forget(environ.errors()),
            "bytes" => std::mem::forget(Input::of_bytes(b"x")),
            other => return Err(Error::msg(format!("no kind {other:?}"))),
        }
    }
    start_text(&start_response)?;
    Ok(format!("kept {count}\n").into())
}

wasm_gw_guest::export!(app);
