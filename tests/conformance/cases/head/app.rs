//! Answers HEAD as it answers GET: the body is the server's to leave out.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let path = environ.path();
    let mut headers = vec![("Content-Type", "text/plain")];
    if path == "/length" {
        headers.push(("Content-Length", "12"));
    }
    start_response.start("200 OK", &headers)?;
    Ok(match path.as_str() {
        "/bytes" => "bytes\n".into(),
        "/empty" => Body::empty(),
        _ => Body::with_close(["first\n", "second"], move || {
            writeln!(environ.errors(), "closed")
        }),
    })
}

wasm_gw_guest::export!(app);
