//! Counts its calls in a `static` and answers with the count: always "1\n" where
//! each request has an instance of its own.
//! For: S4, freshness of instances.

use std::sync::atomic::{AtomicU32, Ordering};

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::start_text;

static CALLS: AtomicU32 = AtomicU32::new(0);

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let count = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    start_text(&start_response)?;
    Ok(format!("{count}\n").into())
}

wasm_gw_guest::export!(app);
