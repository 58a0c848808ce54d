//! Fills (`?by=fill`, the default) or copies (`?by=copy`) `?mib=` (16) MiB of its
//! memory for ever, each time by one instruction that nothing can interrupt.
//! For: what no epoch stops is bounded by the memory, and stopped after it.

use std::hint::black_box;

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, _start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mut memory = vec![1_u8; (query.number("mib", 16) << 20) as usize];
    let half = memory.len() / 2;
    let by = query.text("by", "fill");
    let mut count = 0_u8;
    loop {
        count = count.wrapping_add(1);
        match by.as_str() {
            "fill" => memory.fill(count),
            "copy" => memory.copy_within(..half, half),
            other => return Err(Error::msg(format!("no way {other:?}"))),
        }
        black_box(&mut memory);
    }
}

wasm_gw_guest::export!(app);
