//! Calls the host for ever and does nothing else: `?of=environ` (a look-up, the
//! default), `copy` (a copy that is dropped at once), `input` (a handle that is),
//! `clock` (the monotonic clock of WASI), `yield` (a sleep of no length). With
//! `?in=next` in `next`, after one block "block\n"; else in `app`.
//! For: a guest that is in host calls most of its time is stopped as one that
//! computes is, and others run meanwhile.

use std::hint::black_box;
use std::time::{Duration, Instant};

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let of = query.text("of", "environ");
    if query.text("in", "app") != "next" {
        return calls(&environ, &of);
    }
    start_text(&start_response)?;
    let first = std::iter::once(Ok("block\n".into()));
    let rest = std::iter::from_fn(move || Some(calls(&environ, &of)));
    Ok(Body::iter(
        first.chain(rest.map(|never| never.map(|_| Vec::<u8>::new()))),
    ))
}

/// Returns only if it does not know what to do.
fn calls(environ: &Environ, of: &str) -> Result<Body> {
    loop {
        match of {
            "environ" => drop(black_box(environ.get("PATH_INFO"))),
            "copy" => drop(black_box(environ.copy())),
            "input" => drop(black_box(environ.input())),
            "clock" => drop(black_box(Instant::now())),
            "yield" => std::thread::sleep(Duration::ZERO),
            other => return Err(Error::msg(format!("no call {other:?}"))),
        }
    }
}

wasm_gw_guest::export!(app);
