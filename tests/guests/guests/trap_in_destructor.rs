//! Traps when the host drops the `blocks` resource, after a good `close`. Written
//! with the raw bindings, since the SDK leaves nothing to do there.
//! `?spin` never returns from the destructor instead.
//! For: S41 (the destructor runs, and has a deadline), a whole body before it.

use std::cell::Cell;

use wasm_gw_guest::raw::app::{self, Guest, GuestBlocks};
use wasm_gw_guest::raw::types::{Environ, Exception, StartResponse};
use wasm_gw_test_guests::{Query, spin, trap};

struct App;

struct Blocks {
    done: Cell<bool>,
    spins: bool,
}

impl Guest for App {
    type Blocks = Blocks;

    fn app(environ: Environ, start_response: StartResponse) -> Result<app::Body, Exception> {
        let query = Query::parse(&environ.get("QUERY_STRING").unwrap_or_default());
        let headers = [("Content-Type".to_owned(), "text/plain".to_owned())];
        let _ = start_response.start("200 OK", &headers, None);
        Ok(app::Body::Iter(app::Blocks::new(Blocks {
            done: Cell::new(false),
            spins: query.has("spin"),
        })))
    }
}

impl GuestBlocks for Blocks {
    fn next(&self) -> Result<Option<Vec<u8>>, Exception> {
        Ok((!self.done.replace(true)).then(|| b"all of it\n".to_vec()))
    }

    fn close(&self) -> Result<(), Exception> {
        Ok(())
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if self.spins {
            spin()
        }
        trap()
    }
}

wasm_gw_guest::raw::export!(App with_types_in wasm_gw_guest::raw);
