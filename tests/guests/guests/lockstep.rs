//! Yields "ready\n" and then, for each line of the request's body, "got " and
//! that line. A client that sends a line only when it has read the answer to the
//! one before it proves that no block waits for the next one, with no clock.
//! For: S37, early response while the body still arrives (1.5).

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::start_text;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_text(&start_response)?;
    let mut input = environ.input();
    let first = std::iter::once(Ok(b"ready\n".to_vec()));
    let rest = std::iter::from_fn(move || match input.next_line(None) {
        Ok(line) if line.is_empty() => None,
        Ok(line) => Some(Ok([b"got ", line.as_slice()].concat())),
        Err(error) => Some(Err(error)),
    });
    Ok(Body::iter(first.chain(rest)))
}

wasm_gw_guest::export!(app);
