//! Logs each block that it is asked for, and `close`.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    let path = environ.path();
    let errors = environ.errors();
    let fails = path == "/error";
    let mut left = if path == "/none" {
        vec![]
    } else {
        vec!["two", "one"]
    };
    let blocks = std::iter::from_fn(move || {
        let block = left.pop();
        let last = if fails { "error" } else { "end" };
        writeln!(errors, "{}", block.unwrap_or(last));
        match block {
            Some(block) => Some(Ok(format!("{block}\n"))),
            None if fails => Some(Err(Error::msg("no more"))),
            None => None,
        }
    });
    Ok(Body::with_close(blocks, move || {
        writeln!(environ.errors(), "closed");
        if path == "/bad-close" {
            Err(Error::msg("cannot close"))
        } else {
            Ok(())
        }
    }))
}

wasm_gw_guest::export!(app);
