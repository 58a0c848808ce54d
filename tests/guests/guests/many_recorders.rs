//! Makes recorders and fills each, for ever or `?n=` of them, then answers "kept
//! N\n": `?written=` (1024) KiB by `write` in one block, or `?blocks=` empty ones,
//! and `?message=` (0) KiB in the exc-info of a start. `?drop` keeps none.
//! For: host memory that a guest can cause is bounded.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r#"
            package wasm-gw:test-guests;

            world recorder {
                import wasm-gw:gateway/recording@0.1.0;
            }
        "#,
        with: {
            "wasm-gw:gateway/types@0.1.0": wasm_gw_guest::raw::types,
            "wasm-gw:gateway/recording@0.1.0": generate,
        },
    });
}

use bindings::wasm_gw::gateway::recording::Recorder;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let block = vec![b'x'; (query.number("written", 1024) << 10) as usize];
    let message = "m".repeat((query.number("message", 0) << 10) as usize);
    let failure = Error::new("Inner", message);
    let count = query.number("n", u64::MAX);
    for _ in 0..count {
        let recorder = Recorder::new();
        let inner = StartResponse::from_raw(recorder.start_response());
        let writer = inner.start_with_exc_info("200 OK", &[], Some(&failure))?;
        if query.has("blocks") {
            for _ in 0..query.number("blocks", 0) {
                writer.write_block(b"")?;
            }
        } else {
            writer.write_block(&block)?;
        }
        if query.has("drop") {
            continue;
        }
        std::mem::forget((recorder, inner, writer));
    }
    start_text(&start_response)?;
    Ok(format!("kept {count}\n").into())
}

wasm_gw_guest::export!(app);
