//! Takes a body of any size and answers with its length and SHA-256. It holds
//! one block of the body at a time.

use sha2::{Digest, Sha256};
use wasm_gw_guest::{Body, Environ, IoError, Result, StartResponse};

/// How much of the body is in memory at once, in bytes.
const BLOCK: u64 = 64 * 1024;

const FORM: &str = r#"<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>upload</title>
<h1>Upload a file</h1>
<input type="file" id="file">
<pre id="answer"></pre>
<script>
  const answer = document.getElementById("answer");
  document.getElementById("file").onchange = async (event) => {
    answer.textContent = "sending ...";
    const response = await fetch("", { method: "POST", body: event.target.files[0] });
    answer.textContent = await response.text();
  };
</script>
</html>
"#;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    match environ.method().as_str() {
        "GET" | "HEAD" => {
            start_response.start("200 OK", &[("Content-Type", "text/html; charset=utf-8")])?;
            Ok(FORM.into())
        }
        "POST" | "PUT" => {
            let summary = summarise(&environ)?;
            start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
            Ok(summary.into())
        }
        _ => {
            start_response.start(
                "405 Method Not Allowed",
                &[
                    ("Allow", "GET, HEAD, POST, PUT"),
                    ("Content-Type", "text/plain"),
                ],
            )?;
            Ok("send a file by POST or PUT\n".into())
        }
    }
}

/// Reads the body to its end. Whether a `Content-Length` was announced does not
/// matter: the stream ends where the body does.
fn summarise(environ: &Environ) -> Result<String, IoError> {
    let mut input = environ.input();
    let mut length: u64 = 0;
    let mut hash = Sha256::new();
    loop {
        let block = input.read_some(BLOCK)?;
        if block.is_empty() {
            break;
        }
        length += block.len() as u64;
        hash.update(&block);
    }
    Ok(format!("{length} bytes\nsha256 {:x}\n", hash.finalize()))
}

wasm_gw_guest::export!(app);
