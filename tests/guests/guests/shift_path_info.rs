//! Shifts `PATH_INFO` until nothing is left and answers with a line of JSON
//! strings for each step: name (or null), SCRIPT_NAME, PATH_INFO.
//! For: M13.

use wasm_gw_guest::{Body, Environ, Result, StartResponse, shift_path_info};
use wasm_gw_test_guests::{json_array, json_string, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mut report = String::new();
    while !environ.path().is_empty() {
        let name = shift_path_info(&environ)?;
        let name = name.map_or("null".to_owned(), |name| json_string(&name));
        report.push_str(&json_array([
            name,
            json_string(&environ.script_name()),
            json_string(&environ.path()),
        ]));
        report.push('\n');
    }
    start_text(&start_response)?;
    Ok(report.into())
}

wasm_gw_guest::export!(app);
