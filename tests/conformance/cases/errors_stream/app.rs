//! Writes to its log, in any characters; a line is whole at its line feed, or at the end.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let errors = environ.errors();
    writeln!(errors, "to the log");
    writeln!(errors, "café € \u{1f600}");
    write!(errors, "in two ");
    writeln!(errors, "parts");
    write!(
        errors,
        "\na line feed ends a line\nnot the last: \u{1b}[31m\n"
    );
    errors.flush();
    write!(errors, "without an end");
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok("logged\n".into())
}

wasm_gw_guest::export!(app);
