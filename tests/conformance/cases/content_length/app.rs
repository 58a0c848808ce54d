//! Takes its Content-Length from the path, several with `;` between them.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let path = environ.path();
    let headers: Vec<(&str, &str)> = path[1..]
        .split(';')
        .map(|length| ("Content-Length", length))
        .collect();
    match start_response.start("200 OK", &headers) {
        Ok(_) => Ok("12345".into()),
        Err(error) => {
            start_response.restart("400 Refused", &[], &error.into())?;
            Ok("refused\n".into())
        }
    }
}

wasm_gw_guest::export!(app);
