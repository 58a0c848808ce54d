//! Recurs without end: `?stack=wasm` (the default) with next to nothing on the
//! guest's own stack, so that the host's runs out first; `?stack=guest` with
//! 1 KiB a frame, so that the guest's does.
//! For: a stack overflow is a trap of this request alone (502).

use std::hint::black_box;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let sum = if Query::of(&environ).text("stack", "wasm") == "guest" {
        frames(black_box(1))
    } else {
        calls(black_box(1))
    };
    start_text(&start_response)?;
    Ok(format!("{sum}\n").into())
}

#[inline(never)]
fn calls(depth: u64) -> u64 {
    if depth == 0 {
        return 0;
    }
    // Hidden from the compiler, which would make a loop of it.
    black_box(calls(depth.wrapping_add(1) | 1)).wrapping_add(depth)
}

#[inline(never)]
fn frames(depth: u64) -> u64 {
    let mut frame = [depth; 128];
    black_box(&mut frame);
    if depth == 0 {
        return 0;
    }
    frames(depth.wrapping_add(1) | 1).wrapping_add(frame[127])
}

wasm_gw_guest::export!(app);
