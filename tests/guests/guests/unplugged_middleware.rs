//! Middleware with nothing plugged in: it imports the `app` interface that it
//! exports and passes every call on. Composed with an application it is
//! transparent. `?trace` writes to `wsgi.errors` what it is asked for: "asked for
//! a block", "asked to close". With the raw bindings, since the SDK hides them.
//! For: refused when it is loaded alone (the import is named); M1, M2, M3, M9
//! when composed.

use wasm_gw_guest::raw::app::{self, Guest, GuestBlocks};
use wasm_gw_guest::raw::types::{Environ, Errors, Exception, StartResponse};
use wasm_gw_test_guests::Query;

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r#"
            package wasm-gw:test-guests;

            world wrapped {
                import wasm-gw:gateway/app@0.1.0;
            }
        "#,
        with: {
            "wasm-gw:gateway/types@0.1.0": wasm_gw_guest::raw::types,
            "wasm-gw:gateway/app@0.1.0": generate,
        },
    });
}

use bindings::wasm_gw::gateway::app as inner;

struct Middleware;

struct Wrapped {
    blocks: inner::Blocks,
    trace: Option<Errors>,
}

impl Wrapped {
    fn tell(&self, what: &str) {
        if let Some(errors) = &self.trace {
            errors.write(&format!("{what}\n"));
        }
    }
}

impl Guest for Middleware {
    type Blocks = Wrapped;

    fn app(environ: Environ, start_response: StartResponse) -> Result<app::Body, Exception> {
        let query = Query::parse(&environ.get("QUERY_STRING").unwrap_or_default());
        let trace = query.has("trace").then(|| environ.errors());
        Ok(match inner::app(environ, start_response)? {
            inner::Body::Empty => app::Body::Empty,
            inner::Body::Bytes(bytes) => app::Body::Bytes(bytes),
            inner::Body::Iter(blocks) => {
                app::Body::Iter(app::Blocks::new(Wrapped { blocks, trace }))
            }
            inner::Body::Host(body) => app::Body::Host(body),
        })
    }
}

impl GuestBlocks for Wrapped {
    fn next(&self) -> Result<Option<Vec<u8>>, Exception> {
        self.tell("asked for a block");
        self.blocks.next()
    }

    fn close(&self) -> Result<(), Exception> {
        self.tell("asked to close");
        self.blocks.close()
    }
}

wasm_gw_guest::raw::export!(Middleware with_types_in wasm_gw_guest::raw);
