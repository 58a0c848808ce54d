//! Turns its `environ` upside down (method, target, length, protocol, request
//! id, client) before it starts, and answers "rewritten\n" as one `bytes`.
//! For: S5: the host reads nothing back from a guest's copy.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::start_text;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let method = match environ.get("REQUEST_METHOD").as_deref() {
        Some("HEAD") => "GET",
        _ => "HEAD",
    };
    for (name, value) in [
        ("REQUEST_METHOD", method),
        ("SERVER_PROTOCOL", "HTTP/1.0"),
        ("REQUEST_URI", "/elsewhere"),
        ("PATH_INFO", "/elsewhere"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("HTTP_CONNECTION", "close"),
        ("wasm_gw.request_id", "0"),
    ] {
        environ.set(name, value)?;
    }
    environ.remove("CONTENT_LENGTH");
    start_text(&start_response)?;
    Ok("rewritten\n".into())
}

wasm_gw_guest::export!(app);
