//! Writes each call of its `blocks` to `wsgi.errors`: "next 1", "next 2", ...,
//! "close 1", "drop". A second "close", or a "next" after the end, an error or a
//! close, is a fault of the host. With the raw bindings, since the SDK hides them.
//! `?n=` blocks "block\n" (2), `?error=` fails at that call of `next` instead,
//! `?ms=` pause in each `next` (0).
//! For: S41 (exactly once, then the handle is dropped), A12.

use std::cell::Cell;
use std::time::Duration;

use wasm_gw_guest::raw::app::{self, Guest, GuestBlocks};
use wasm_gw_guest::raw::types::{Environ, Errors, Exception, StartResponse};
use wasm_gw_test_guests::Query;

struct App;

struct Blocks {
    errors: Errors,
    count: u64,
    fails_at: u64,
    pause: Duration,
    calls: Cell<u64>,
    closes: Cell<u64>,
}

impl Guest for App {
    type Blocks = Blocks;

    fn app(environ: Environ, start_response: StartResponse) -> Result<app::Body, Exception> {
        let query = Query::parse(&environ.get("QUERY_STRING").unwrap_or_default());
        let headers = [("Content-Type".to_owned(), "text/plain".to_owned())];
        let _ = start_response.start("200 OK", &headers, None);
        Ok(app::Body::Iter(app::Blocks::new(Blocks {
            errors: environ.errors(),
            count: query.number("n", 2),
            fails_at: query.number("error", u64::MAX),
            pause: Duration::from_millis(query.number("ms", 0)),
            calls: Cell::new(0),
            closes: Cell::new(0),
        })))
    }
}

impl GuestBlocks for Blocks {
    fn next(&self) -> Result<Option<Vec<u8>>, Exception> {
        self.calls.set(self.calls.get() + 1);
        self.errors.write(&format!("next {}\n", self.calls.get()));
        if !self.pause.is_zero() {
            std::thread::sleep(self.pause);
        }
        if self.calls.get() == self.fails_at {
            return Err(Exception {
                kind: "Scripted".to_owned(),
                message: "the iterator failed".to_owned(),
                traceback: None,
            });
        }
        Ok((self.calls.get() <= self.count).then(|| b"block\n".to_vec()))
    }

    fn close(&self) -> Result<(), Exception> {
        self.closes.set(self.closes.get() + 1);
        self.errors.write(&format!("close {}\n", self.closes.get()));
        Ok(())
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.errors.write("drop\n");
    }
}

wasm_gw_guest::raw::export!(App with_types_in wasm_gw_guest::raw);
