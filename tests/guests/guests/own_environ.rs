//! Makes an `environ` by its constructor, of `?n=` (1) variables with values of
//! `?bytes=` (1) bytes and no request in it, and answers with their number.
//! `?bad` gives it a value that is no native string.
//! For: caps of the constructor, which has no error to return.

use wasm_gw_guest::{Body, Environ, Result, RunFlags, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let value = if query.has("bad") {
        "\u{20ac}".to_owned()
    } else {
        "x".repeat(query.number("bytes", 1) as usize)
    };
    let vars: Vec<(String, String)> = (0..query.number("n", 1))
        .map(|number| (format!("V{number}"), value.clone()))
        .collect();
    let own = Environ::new(&vars, RunFlags::empty());
    let count = own.vars().len();
    start_text(&start_response)?;
    Ok(format!("{count}\n").into())
}

wasm_gw_guest::export!(app);
