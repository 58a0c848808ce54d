//! Takes `?mib=` (64) MiB more of memory and writes to each page of it; `?mib=all`
//! takes what the host gives, but for less than 256 KiB. Then it tells "holds N KiB\n" and
//! holds it for `?ms=` (0) milliseconds, and with `?body` until the request's body
//! has ended. It asks by `memory.grow` itself: where the host refuses, it holds
//! what it has and goes on.
//! For: memory that is committed, `memory.grow` that is refused, waiting for room.

use std::arch::wasm32::memory_grow;
use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::Query;

const PAGE: usize = 64 << 10;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    // What the rest of this function needs, for when there is no more.
    let reserve = vec![1_u8; 512 << 10];
    let asked = match query.text("mib", "64").as_str() {
        "all" => usize::MAX,
        number => number.parse::<usize>()? * ((1 << 20) / PAGE),
    };
    let mut pages = 0;
    for step in [256, 16, 4] {
        while asked - pages >= step && grown(step) {
            pages += step;
        }
    }
    drop(std::hint::black_box(reserve));

    let head = [("Content-Type", "text/plain")];
    let writer = start_response.start("200 OK", &head)?;
    let said = format!("holds {} KiB\n", (pages * PAGE) >> 10);
    if !query.has("body") {
        std::thread::sleep(Duration::from_millis(query.number("ms", 0)));
        return Ok(said.into());
    }
    writer.write_block(said.as_bytes())?;
    let mut input = environ.input();
    while !input.read_some(1024)?.is_empty() {}
    Ok(Body::empty())
}

/// Whether there were so many pages more; then they are written to.
fn grown(pages: usize) -> bool {
    let before = memory_grow::<0>(pages);
    if before == usize::MAX {
        return false;
    }
    // A page of the host's is smaller than one of wasm.
    for at in (before * PAGE..(before + pages) * PAGE).step_by(4096) {
        // SAFETY: it is in the memory since that grew, and nobody else's.
        unsafe { (at as *mut u8).write_volatile(1) };
    }
    true
}

wasm_gw_guest::export!(app);
