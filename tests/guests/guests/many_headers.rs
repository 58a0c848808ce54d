//! Answers with `?n=` (10) headers `X-Header-1: xxx...` whose values have `?m=`
//! (10) bytes, and Content-Type. What `start` said is the body, "ok\n" or
//! "StartError::TooLarge\n"; after a refusal it starts again with an error and
//! without those headers.
//! For: 1.4, step 4 (`too-large`) and step 9 (order is kept).

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::Query;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let value = "x".repeat(query.number("m", 10) as usize);
    let mut headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
    headers.extend(
        (1..=query.number("n", 10)).map(|number| (format!("X-Header-{number}"), value.clone())),
    );
    match start_response.start_with_headers("200 OK", &headers, None) {
        Ok(_) => Ok("ok\n".into()),
        Err(error) => {
            let answer = format!("{error}\n");
            let failure = Error::from(error);
            start_response.restart("200 OK", &[("Content-Type", "text/plain")], &failure)?;
            Ok(answer.into())
        }
    }
}

wasm_gw_guest::export!(app);
