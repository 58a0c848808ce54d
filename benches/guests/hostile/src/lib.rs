//! Each way to be a bad neighbour, by path. The same ways stand in `proxy`, for `wasmtime serve`.
//!
//! | path | what it does |
//! |---|---|
//! | `/` | answers, like a good application |
//! | `/spin` | spins inside `app` |
//! | `/spin-body` | spins in the first `next` of its body |
//! | `/spin-host` | spins in calls of the host |
//! | `/sleep` | sleeps for a millisecond, for ever |
//! | `/doze` | sleeps for an hour |
//! | `/fill?mib=N` | fills N MiB by `memory.fill`, for ever |
//! | `/bomb` | takes memory and touches it until there is none, and traps |
//! | `/squat` | takes memory until there is none, and sleeps on it |
//! | `/handles` | makes handles and keeps them |
//! | `/keep` | makes the host keep bodies of 1 MiB |
//! | `/header?mib=N` | answers with a header of N MiB: N fields that are one text |
//! | `/log?mib=N` | writes N MiB of log, half to `wsgi.errors` and half to stderr, and answers |
//! | `/flood?mib=N` | answers with N MiB, and logs when it is closed |
//! | `/read` | reads the request's body, and answers with its size |
//! | `/inject?number=N` | begins its answer with the Nth of [`INJECTIONS`], and answers whether it was let |

mod header;

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Error, Input, Result, StartResponse};
use ways::{INJECTIONS, MIB, fill, spin, take_all};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    match environ.path().as_str() {
        "/" => {}
        "/spin" => spin(),
        "/spin-body" => {
            start(&start_response)?;
            return Ok(Body::iter(std::iter::from_fn(|| -> Option<String> {
                spin()
            })));
        }
        "/flood" => {
            let blocks = number(&environ, "mib", 1024) * 16;
            start(&start_response)?;
            let blocks = std::iter::repeat_n(vec![b'x'; MIB / 16], blocks);
            return Ok(Body::with_close(blocks, || {
                eprintln!("the flood is closed");
            }));
        }
        "/read" => {
            let read = std::io::copy(&mut environ.input(), &mut std::io::sink())?;
            start(&start_response)?;
            return Ok(format!("read {read}\n").into());
        }
        "/inject" => {
            let [status, name, value] = INJECTIONS[number(&environ, "number", 0)];
            let refused = start_response.start(status, &[(name, value)]).err();
            if let Some(refused) = refused {
                let why = Error::msg("refused");
                start_response.restart("200 OK", &[], &why)?;
                return Ok(format!("refused: {refused:?}\n").into());
            }
            return Ok("let through\n".into());
        }
        "/spin-host" => loop {
            black_box(environ.method());
        },
        "/sleep" => loop {
            std::thread::sleep(Duration::from_millis(1));
        },
        "/doze" => std::thread::sleep(Duration::from_secs(3600)),
        "/fill" => fill(number(&environ, "mib", 64)),
        "/bomb" => {
            take_all();
            // There is no more, so something else would fail soon.
            std::process::abort()
        }
        "/squat" => {
            take_all();
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
        "/handles" => loop {
            std::mem::forget(environ.copy());
        },
        "/keep" => {
            let body = vec![b'x'; MIB];
            loop {
                std::mem::forget(Input::of_bytes(&body));
            }
        }
        "/header" => header::start(&start_response, number(&environ, "mib", 1024)),
        "/log" => log(&environ, number(&environ, "mib", 1024))?,
        _ => return Err(Error::msg("no such behaviour")),
    }
    start(&start_response)?;
    Ok("hostile\n".into())
}

fn start(start_response: &StartResponse) -> Result<()> {
    start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
    Ok(())
}

/// The number in `?name=`.
fn number(environ: &Environ, name: &str, otherwise: usize) -> usize {
    let query = environ.query();
    let number = query.strip_prefix(name);
    number
        .and_then(|rest| rest.strip_prefix('='))
        .and_then(|number| number.parse().ok())
        .unwrap_or(otherwise)
}

fn log(environ: &Environ, mib: usize) -> Result<()> {
    let text = format!("{}\n", "x".repeat(1023)).repeat(1024);
    let errors = environ.errors();
    for number in 0..mib {
        if number % 2 == 0 {
            errors.write_str(&text);
        } else {
            std::io::stderr().write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

wasm_gw_guest::export!(app);
