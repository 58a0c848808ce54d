//! Yields blocks and writes to `wsgi.errors` what happens at the end: "dropped N"
//! when the iterator is dropped, after N calls of `next`, then "closed".
//! `?n=` blocks (3), `?endless`, `?bytes=` a block (16), `?ms=` pause before each
//! block (0), `?length=` announces a Content-Length, `?error=` fails after so
//! many blocks.
//! For: S41 (close exactly once: at the end, on an error, when the client went
//! away, on HEAD), S45 (stop at Content-Length), A12.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Error, Errors, Result, StartResponse};
use wasm_gw_test_guests::Query;

struct Marker {
    errors: Errors,
    calls: Rc<Cell<u64>>,
}

impl Drop for Marker {
    fn drop(&mut self) {
        writeln!(self.errors, "dropped {}", self.calls.get());
    }
}

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let count = if query.has("endless") {
        u64::MAX
    } else {
        query.number("n", 3)
    };
    let pause = Duration::from_millis(query.number("ms", 0));
    let block = vec![b'x'; query.number("bytes", 16) as usize];
    let fails_at = query.number("error", u64::MAX);

    let mut headers = vec![("Content-Type", "text/plain".to_owned())];
    if let Some(length) = query.get("length") {
        headers.push(("Content-Length", length));
    }
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    start_response.start("200 OK", &headers)?;

    let marker = Marker {
        errors: environ.errors(),
        calls: Rc::new(Cell::new(0)),
    };
    let blocks = std::iter::from_fn(move || {
        let done = marker.calls.get();
        marker.calls.set(done + 1);
        if done >= fails_at {
            return Some(Err(Error::msg("scripted")));
        }
        if done >= count {
            return None;
        }
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        Some(Ok(block.clone()))
    });
    let errors = environ.errors();
    Ok(Body::with_close(blocks, move || {
        writeln!(errors, "closed");
    }))
}

wasm_gw_guest::export!(app);
