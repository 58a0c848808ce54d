//! Breaks the rule of the lint that the path names, and answers "ok" else.
//! For: `wasm-gw check`.

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse, Writer};
use wasm_gw_test_guests::trap;

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

/// With the answer of the path, and the plain one if it is refused.
fn start(start_response: &StartResponse, status: &str, fields: &[(&str, &str)]) -> Result<Writer> {
    match start_response.start(status, fields) {
        Ok(writer) => Ok(writer),
        Err(error) => start_response.restart("200 OK", &[TEXT], &Error::msg(error.to_string())),
    }
}

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let path = environ.path();
    let rule = path.trim_start_matches('/');
    let long = "x".repeat(70_000);
    let (status, fields): (&str, &[(&str, &str)]) = match rule {
        "bad-status" => ("200", &[TEXT]),
        "status-blank" => ("200 OK ", &[TEXT]),
        "unusual-status" => ("799 Odd", &[TEXT]),
        "status-field" => ("200 OK", &[TEXT, ("Status", "200 OK")]),
        "bad-name" => ("200 OK", &[TEXT, ("a b", "1")]),
        "odd-name" => ("200 OK", &[TEXT, ("2nd", "1")]),
        "name-ending" => ("200 OK", &[TEXT, ("a_", "1")]),
        "bad-value" => ("200 OK", &[TEXT, ("a", "1\r\nb: 2")]),
        "tab-in-value" => ("200 OK", &[TEXT, ("a", "1\t2")]),
        "not-latin1" => ("200 OK", &[TEXT, ("a", "\u{3b1}")]),
        "hop-by-hop" => ("200 OK", &[TEXT, ("Connection", "close")]),
        "bad-content-length" => ("200 OK", &[TEXT, ("Content-Length", "two")]),
        "two-content-lengths" => (
            "200 OK",
            &[TEXT, ("Content-Length", "2"), ("content-length", "2")],
        ),
        "head-too-large" => ("200 OK", &[TEXT, ("a", &long)]),
        "no-content-type" => ("200 OK", &[]),
        "content-type-without-body" => {
            start_response.start("204 No Content", &[TEXT])?;
            return Ok(Body::empty());
        }
        "body-without-room" => ("204 No Content", &[]),
        "longer-than-content-length" => ("200 OK", &[TEXT, ("Content-Length", "1")]),
        "shorter-than-content-length" => ("200 OK", &[TEXT, ("Content-Length", "3")]),
        "not-started" => return Ok("ok".into()),
        "error-returned" => return Err(Error::new("Mistake", "as asked")),
        "ended" => trap(),
        _ => ("200 OK", &[TEXT]),
    };
    let writer = start(&start_response, status, fields)?;
    match rule {
        "started-twice" => {
            // The error is looked over.
            let _ = start_response.start("200 OK", &[TEXT]);
        }
        "went-on-after-headers-sent" => {
            writer.write_block(b"o")?;
            let failure = Error::msg("too late");
            let _ = start_response.restart("500 Internal Server Error", &[TEXT], &failure);
        }
        "write-in-body" => {
            return Ok(Body::iter(["o", "k"].into_iter().inspect(move |_| {
                // The error is looked over.
                let _ = writer.write_block(b"x");
            })));
        }
        "close-failed" => {
            return Ok(Body::with_close(["ok"], || {
                Err::<(), _>(Error::msg("as asked"))
            }));
        }
        _ => {}
    }
    Ok("ok".into())
}

wasm_gw_guest::export!(app);
