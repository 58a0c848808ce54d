//! Announces five bytes and gives nine.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let errors = environ.errors();
    let writer = start_response.start("200 OK", &[("Content-Length", "5")])?;
    if environ.path() == "/write" {
        writer.write_block(b"123")?;
        if writer.write_block(b"4567").is_err() {
            writeln!(errors, "refused");
        }
        return Ok("45".into());
    }
    let blocks = ["123", "4567", "89"].into_iter().inspect(move |block| {
        writeln!(errors, "gives {block}");
    });
    Ok(Body::with_close(blocks, move || {
        writeln!(environ.errors(), "closed")
    }))
}

wasm_gw_guest::export!(app);
