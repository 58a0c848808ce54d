//! Answers with `?n=` (5) bytes of `x` in each form a body can have: `?via=bytes`
//! (the default), `iter` (one block), `blocks` (one byte each), `write`, `host`
//! (an input passed through), `empty`, `nothing` (an iterator without blocks).
//! `?length=` announces a Content-Length. The iterator logs "closed".
//! For: 1.5 HEAD (same head as GET, still closed), S40, S47.

use wasm_gw_guest::{Body, Environ, Error, Input, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let data = vec![b'x'; query.number("n", 5) as usize];
    let length = query.get("length");
    let mut headers = vec![("Content-Type", "text/plain")];
    if let Some(length) = &length {
        headers.push(("Content-Length", length));
    }
    let writer = start_response.start("200 OK", &headers)?;
    let errors = environ.errors();
    let close = move || {
        writeln!(errors, "closed");
    };
    match query.text("via", "bytes").as_str() {
        "bytes" => Ok(data.into()),
        "iter" => Ok(Body::with_close([data], close)),
        "blocks" => Ok(Body::with_close(data.into_iter().map(|byte| [byte]), close)),
        "nothing" => Ok(Body::with_close([""; 0], close)),
        "host" => Ok(Body::input(Input::of_bytes(&data))),
        "empty" => Ok(Body::empty()),
        "write" => {
            writer.write_block(&data)?;
            Ok(Body::empty())
        }
        other => Err(Error::msg(format!("no way {other:?}"))),
    }
}

wasm_gw_guest::export!(app);
