//! `close` never returns, after a whole body "all of it\n": it spins, or with
//! `?sleep` it sleeps.
//! For: S41 (`close` has a deadline of its own).

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, sleep_for_ever, spin, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let sleeps = Query::of(&environ).has("sleep");
    start_text(&start_response)?;
    Ok(Body::with_close(["all of it\n"], move || -> () {
        if sleeps { sleep_for_ever() } else { spin() }
    }))
}

wasm_gw_guest::export!(app);
