//! Changes its variables, which are its own.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let show = |name| environ.get(name).unwrap_or_else(|| "absent".to_owned());
    let names = ["x.new", "PATH_INFO", "REQUEST_METHOD"];
    let before = names.map(show);
    environ.set("x.new", "set")?;
    environ.set("PATH_INFO", "/other")?;
    environ.remove("REQUEST_METHOD");
    let after = names.map(show);
    let lines: Vec<String> = (0..3)
        .map(|at| format!("{} {}, {}", names[at], before[at], after[at]))
        .collect();
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(lines.join("; ").into())
}

wasm_gw_guest::export!(app);
