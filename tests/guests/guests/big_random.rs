//! Asks the random source of WASI for `?n=` bytes (16) in one call, `?times=`
//! (1) times, and answers with the sum of the lengths it got. `?insecure` asks
//! the insecure source.
//! For: host memory that a guest can cause through WASI is bounded.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

mod bindings {
    // Whole interfaces: the linker merges them with those of std.
    wit_bindgen::generate!({
        inline: r#"
            package wasi:random@0.2.0;

            interface random {
                get-random-bytes: func(len: u64) -> list<u8>;
                get-random-u64: func() -> u64;
            }

            interface insecure {
                get-insecure-random-bytes: func(len: u64) -> list<u8>;
                get-insecure-random-u64: func() -> u64;
            }

            world imports {
                import random;
                import insecure;
            }
        "#,
    });
}

use bindings::wasi::random::{insecure, random};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let count = query.number("n", 16);
    let mut total = 0;
    for _ in 0..query.number("times", 1) {
        total += if query.has("insecure") {
            insecure::get_insecure_random_bytes(count).len()
        } else {
            random::get_random_bytes(count).len()
        };
    }
    start_text(&start_response)?;
    Ok(format!("{total}\n").into())
}

wasm_gw_guest::export!(app);
