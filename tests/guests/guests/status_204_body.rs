//! Answers `204 No Content` and sends a body all the same: `?via=bytes` (the
//! default), `iter` (three blocks), `write`, `empty`. `?length=` adds a
//! Content-Length. `wsgi.errors` gets "closed" from the iterator.
//! For: 1.5: no body, no Transfer-Encoding, no Content-Length on 204.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let length = query.get("length");
    let mut headers = Vec::new();
    if let Some(length) = &length {
        headers.push(("Content-Length", length.as_str()));
    }
    let writer = start_response.start("204 No Content", &headers)?;
    match query.text("via", "bytes").as_str() {
        "bytes" => Ok("a body\n".into()),
        "empty" => Ok(Body::empty()),
        "write" => {
            writer.write_block(b"a body\n")?;
            Ok(Body::empty())
        }
        "iter" => {
            let errors = environ.errors();
            Ok(Body::with_close(["a", " body", "\n"], move || {
                writeln!(errors, "closed");
            }))
        }
        other => Err(Error::msg(format!("no way {other:?}"))),
    }
}

wasm_gw_guest::export!(app);
