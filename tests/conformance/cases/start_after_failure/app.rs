//! A bad first call, a good second one without an error, a third one with it.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut report = String::new();
    let Err(error) = start_response.start("200 OK", &[("Bad Name", "1")]) else {
        return Ok("first accepted\n".into());
    };
    report.push_str("first refused\n");
    if start_response.start("200 OK", &[]).is_err() {
        report.push_str("second refused\n");
    }
    start_response.restart("500 Oops", &[("X-Call", "third")], &error.into())?;
    Ok(report.into())
}

wasm_gw_guest::export!(app);
