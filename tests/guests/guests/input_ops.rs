//! Runs operations on `wsgi.input` and answers with their results as a JSON
//! array: data as a string of latin-1, `lines` as an array of them, a failure as
//! `{"error":"too-large"}`, which is written to `wsgi.errors` as well, for a
//! client that is not there to be told.
//!
//! `?ops=` lists them, with commas: `read:N`, `rest` (read without size),
//! `some:N`, `line`, `line:N`, `lines`, `lines:N`, `iter` (lines until an empty
//! one), `new` (go on with a new handle; no result).
//! For: S17 to S22, S41 of `read` semantics in 2.2, one position for all handles.

use wasm_gw_guest::{Body, Environ, IoError, Result, StartResponse, latin1};
use wasm_gw_test_guests::{Query, json_array, json_string};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let ops = Query::of(&environ).text("ops", "rest");
    let mut input = environ.input().into_raw();
    let mut results = Vec::new();
    for op in ops.split(',') {
        let (name, size) = match op.split_once(':') {
            Some((name, size)) => (name, Some(size.parse::<u64>()?)),
            None => (op, None),
        };
        let result = match name {
            "read" | "rest" => input.read(size).map(data),
            "some" => input.read_some(size.unwrap_or(0)).map(data),
            "line" => input.read_line(size).map(data),
            "lines" => input.read_lines(size).map(lines),
            "iter" => all_lines(&input).map(lines),
            "new" => {
                input = environ.input().into_raw();
                continue;
            }
            _ => return Err(wasm_gw_guest::Error::msg(format!("no operation {name:?}"))),
        };
        results.push(result.unwrap_or_else(|error| {
            let failure = failure(error);
            writeln!(environ.errors(), "{failure}");
            failure
        }));
    }
    start_response.start("200 OK", &[("Content-Type", "application/json")])?;
    Ok(json_array(results).into())
}

fn data(bytes: Vec<u8>) -> String {
    json_string(&latin1::to_latin1_string(&bytes))
}

fn lines(lines: Vec<Vec<u8>>) -> String {
    json_array(lines.into_iter().map(data))
}

fn all_lines(input: &wasm_gw_guest::raw::types::Input) -> Result<Vec<Vec<u8>>, IoError> {
    let mut lines = Vec::new();
    loop {
        let line = input.read_line(None)?;
        if line.is_empty() {
            return Ok(lines);
        }
        lines.push(line);
    }
}

fn failure(error: IoError) -> String {
    let name = match error {
        IoError::Disconnected => "disconnected".to_owned(),
        IoError::TimedOut => "timed-out".to_owned(),
        IoError::TooLarge => "too-large".to_owned(),
        IoError::Malformed => "malformed".to_owned(),
        IoError::Other(text) => format!("other: {text}"),
    };
    format!("{{\"error\":{}}}", json_string(&name))
}

wasm_gw_guest::export!(app);
