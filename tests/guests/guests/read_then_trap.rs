//! Reads the request's body and fails if the reading did: `?then=err` (the
//! default) returns the error, `trap` traps, `panic` panics, `start` calls
//! `start` with 200 and then returns the error. A good body is answered by its
//! length. `?written` sends the head and a block first.
//! For: 2.2, last row but one: the client's fault decides the status.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text, trap};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let written = query.has("written");
    if written {
        let head = [("Content-Type", "text/plain")];
        let writer = start_response.start("200 OK", &head)?;
        writer.write_block(b"reading\n")?;
    }
    match environ.input().read_rest() {
        Ok(body) => {
            if !written {
                start_text(&start_response)?;
            }
            Ok(format!("{}\n", body.len()).into())
        }
        Err(error) => match query.text("then", "err").as_str() {
            "trap" => trap(),
            "panic" => panic!("reading failed: {error}"),
            "start" => {
                start_text(&start_response)?;
                Err(error.into())
            }
            _ => Err(error.into()),
        },
    }
}

wasm_gw_guest::export!(app);
