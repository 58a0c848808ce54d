//! Traps under `/trap` and every path below it, and answers "fine\n" elsewhere.
//! While the environment variable TRAPS_UNTIL names a file that does not exist, it
//! traps under every path.
//! For: an app is switched off only if it never answers, and on again when it does.

use std::path::Path;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{start_text, trap};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let broken = std::env::var("TRAPS_UNTIL").is_ok_and(|file| !Path::new(&file).exists());
    if broken || environ.path().starts_with("/trap") {
        trap();
    }
    start_text(&start_response)?;
    Ok("fine\n".into())
}

wasm_gw_guest::export!(app);
