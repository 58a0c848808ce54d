//! Answers with every variable as a line `NAME="value"`, sorted; values are JSON
//! strings of ASCII only. Then the run flags as lines `run.multithread=true`.
//! For: the whole of docs/protocol.md 2.1, 2.3 and 2.4, S6 to S15.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{json_string, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut lines: Vec<String> = environ
        .vars()
        .iter()
        .map(|(name, value)| format!("{name}={}\n", json_string(value)))
        .collect();
    lines.sort();
    let flags = environ.run_flags();
    for (name, flag) in [
        ("multithread", wasm_gw_guest::RunFlags::MULTITHREAD),
        ("multiprocess", wasm_gw_guest::RunFlags::MULTIPROCESS),
        ("run-once", wasm_gw_guest::RunFlags::RUN_ONCE),
        (
            "input-terminated",
            wasm_gw_guest::RunFlags::INPUT_TERMINATED,
        ),
    ] {
        lines.push(format!("run.{name}={}\n", flags.contains(flag)));
    }
    start_text(&start_response)?;
    Ok(lines.concat().into())
}

wasm_gw_guest::export!(app);
