//! Answers with the request it got: method, path, headers, body.

use wasm_gw_guest::{Body, Environ, Result, StartResponse, latin1};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let body = environ.input().read_rest()?;

    let mut answer = latin1::bytes_of(&request(&environ))?;
    answer.extend_from_slice(&body);

    // The client's bytes come back as they are: let no browser guess at them.
    start_response.start(
        "200 OK",
        &[
            ("Content-Type", "text/plain"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )?;
    Ok(answer.into())
}

/// The request's head as a native string: one line, then its variables.
fn request(environ: &Environ) -> String {
    let path = [environ.script_name(), environ.path()].concat();
    let query = environ.query();
    let mark = if query.is_empty() { "" } else { "?" };
    let mut text = [environ.method().as_str(), " ", &path, mark, &query, "\n"].concat();

    let mut headers: Vec<(String, String)> = environ
        .vars()
        .into_iter()
        .filter(|(name, _)| name.starts_with("HTTP_") || name.starts_with("CONTENT_"))
        .collect();
    headers.sort();
    for (name, value) in headers {
        text.push_str(&[name.as_str(), ": ", &value, "\n"].concat());
    }
    text.push('\n');
    text
}

wasm_gw_guest::export!(app);
