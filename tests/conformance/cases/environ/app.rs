//! Shows what the host says of a request, a variable a line.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

const NAMES: [&str; 15] = [
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "SERVER_NAME",
    "SERVER_PROTOCOL",
    "GATEWAY_INTERFACE",
    "REMOTE_ADDR",
    "REMOTE_USER",
    "REMOTE_HOST",
    "REQUEST_URI",
    "HTTPS",
    "wsgi.url_scheme",
];

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    let lines = NAMES.map(|name| match environ.get(name) {
        Some(value) => format!("{name}={value}\n"),
        None => format!("{name} is absent\n"),
    });
    Ok(lines.concat().into())
}

wasm_gw_guest::export!(app);
