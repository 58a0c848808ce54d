//! Says what the host says of its threads and processes.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(format!(
        "multithread={} multiprocess={} run_once={}",
        environ.multithread(),
        environ.multiprocess(),
        environ.run_once(),
    )
    .into())
}

wasm_gw_guest::export!(app);
