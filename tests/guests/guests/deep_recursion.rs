//! Recurs without end: `?stack=wasm` (the default) with next to nothing on the
//! guest's own stack, so that the host's runs out first; `?stack=guest` with
//! 1 KiB a frame, so that the guest's does. `?depth=` ends it at that depth; there
//! it sleeps for `?ms=` (0) milliseconds, with the stack in use, and answers.
//! For: a stack overflow is a trap of this request alone (502); stacks are memory.

use std::hint::black_box;
use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let end = End {
        depth: query.number("depth", u64::MAX),
        pause: Duration::from_millis(query.number("ms", 0)),
    };
    let sum = if query.text("stack", "wasm") == "guest" {
        frames(black_box(1), &end)
    } else {
        calls(black_box(1), &end)
    };
    start_text(&start_response)?;
    Ok(format!("{sum}\n").into())
}

/// Where the recursion ends, and what happens there.
struct End {
    depth: u64,
    pause: Duration,
}

#[inline(never)]
fn calls(depth: u64, end: &End) -> u64 {
    if depth == end.depth {
        std::thread::sleep(end.pause);
        return 0;
    }
    // Hidden from the compiler, which would make a loop of it.
    black_box(calls(depth.wrapping_add(1), end)).wrapping_add(depth)
}

#[inline(never)]
fn frames(depth: u64, end: &End) -> u64 {
    let mut frame = [depth; 128];
    black_box(&mut frame);
    if depth == end.depth {
        std::thread::sleep(end.pause);
        return 0;
    }
    frames(depth.wrapping_add(1), end).wrapping_add(frame[127])
}

wasm_gw_guest::export!(app);
