//! Sleeps for ever by the clocks of WASI, without using the processor:
//! `?in=app` (the default), `?in=next` after one block, `?in=start` in `app`
//! after a `start`.
//! For: deadlines that must also count waiting, clients that go away meanwhile.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, sleep_for_ever, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let place = Query::of(&environ).text("in", "app");
    if place == "app" {
        sleep_for_ever();
    }
    start_text(&start_response)?;
    if place == "start" {
        sleep_for_ever();
    }
    let mut first = true;
    Ok(Body::iter(std::iter::from_fn(move || {
        if !std::mem::replace(&mut first, false) {
            sleep_for_ever();
        }
        Some("block\n")
    })))
}

wasm_gw_guest::export!(app);
