//! Writes to the standard output, the standard error and `wsgi.errors`, then
//! answers "logged\n". By default one line each: "to stdout", "to stderr", "to
//! errors". `?text=` (percent-encoded) writes that text and a line end to each
//! instead, `?times=` times; `?only=stdout`, `stderr` or `errors` picks one; `?controls` writes
//! all control characters; `?line=` one line of so many bytes; `?mib=` so many
//! MiB in lines of 1 KiB; `?open` leaves out the last line end; `?raw` writes
//! bytes that are no UTF-8 (standard streams only).
//! For: S23, S24 (escapes, limits, the last line), log injection.

use std::io::{self, Write};

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    for name in ["stdout", "stderr", "errors"] {
        if query.get("only").is_some_and(|only| only != name) {
            continue;
        }
        // Through one type, so that the three differ in nothing else.
        let mut target: Box<dyn Write> = match name {
            "stdout" => Box::new(io::stdout()),
            "stderr" => Box::new(io::stderr()),
            _ => Box::new(environ.errors()),
        };
        for _ in 0..query.number("mib", 0) * 1024 {
            target.write_all(format!("{}\n", "x".repeat(1023)).as_bytes())?;
        }
        for _ in 0..query.number("times", 1) {
            target.write_all(&message(&query, name))?;
        }
        target.flush()?;
    }
    start_text(&start_response)?;
    Ok("logged\n".into())
}

fn message(query: &Query, name: &str) -> Vec<u8> {
    let mut bytes = if let Some(text) = query.get("text") {
        text.into_bytes()
    } else if query.has("controls") {
        let controls = (0_u8..0x20).chain([0x7f]);
        let mut text: Vec<u8> = controls.collect();
        text.extend("\u{85}\u{9b}31m\u{2028}\u{202e}end".bytes());
        text
    } else if query.has("line") {
        vec![b'x'; query.number("line", 0) as usize]
    } else if query.has("raw") && name != "errors" {
        b"raw \xff\xfe\xc3".to_vec()
    } else {
        format!("to {name}").into_bytes()
    };
    if !query.has("open") {
        bytes.push(b'\n');
    }
    bytes
}

wasm_gw_guest::export!(app);
