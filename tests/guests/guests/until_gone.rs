//! Goes on until it learns that its client has left, and logs what it learns. Each
//! line begins with `?mark=` (none): "MARK begun", then "MARK told ..." with the
//! error of each call that failed, then "MARK closed" in `close`. `?by=`
//!
//! - `write` (the default): starts and writes blocks of `?bytes=` (65536) until one
//!   fails, and returns an iterator of nothing.
//! - `next`: yields such blocks for ever.
//! - `empty`: yields empty blocks for ever, so that no head goes out.
//! - `read`: reads the request's body to its end, one piece after the other.
//! - `line`: yields a block for each line of the body.
//! - `host`: returns the body itself, by `host-body.of-input`.
//! - `sleep`: sleeps for `?ms=` (20000) milliseconds in `app`, then does the same.
//! - `sleep-next`: yields one block, and then sleeps so long before each.
//! - `spin`: spins in `app` without a call of the host.
//! - `spin-next`: yields one block, then spins.
//! - `burn-next`: burns `?ms=` milliseconds before each block.
//!
//! For: S41, and what becomes of each of them when its client goes.

use std::fmt::Display;
use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, spin, spin_for, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mark = query.text("mark", "");
    let block = vec![b'x'; query.number("bytes", 65_536) as usize];
    let time = Duration::from_millis(query.number("ms", 20_000));
    let errors = environ.errors();
    let told = {
        let (mark, errors) = (mark.clone(), environ.errors());
        move |error: &dyn Display| {
            writeln!(errors, "{mark} told {error}");
        }
    };
    writeln!(errors, "{mark} begun");

    let by = query.text("by", "write");
    let mut input = environ.input();
    let blocks: Box<dyn FnMut() -> Option<Result<Vec<u8>>>> = match by.as_str() {
        "write" | "sleep" => {
            if by == "sleep" {
                std::thread::sleep(time);
            }
            let head = [("Content-Type", "application/octet-stream")];
            match start_response.start("200 OK", &head) {
                Ok(writer) => loop {
                    if let Err(error) = writer.write_block(&block) {
                        told(&error);
                        break;
                    }
                },
                Err(error) => told(&error),
            }
            Box::new(|| None)
        }
        "read" => {
            let outcome = loop {
                match input.read_some(65_536) {
                    Ok(bytes) if bytes.is_empty() => break "all of it\n",
                    Ok(_) => {}
                    Err(error) => {
                        told(&error);
                        break "not all of it\n";
                    }
                }
            };
            if let Err(error) = start_text(&start_response) {
                told(&error);
            }
            let mut outcome = Some(Ok(outcome.as_bytes().to_vec()));
            Box::new(move || outcome.take())
        }
        "host" => {
            start_text(&start_response)?;
            return Ok(Body::input(input));
        }
        "spin" => spin(),
        "empty" => {
            let (mark, errors) = (mark.clone(), environ.errors());
            let mut yields = false;
            Box::new(move || {
                if !std::mem::replace(&mut yields, true) {
                    writeln!(errors, "{mark} yields");
                }
                Some(Ok(Vec::new()))
            })
        }
        "next" => Box::new(move || Some(Ok(block.clone()))),
        "line" => Box::new(move || match input.next_line(None) {
            Ok(line) if line.is_empty() => None,
            Ok(line) => Some(Ok(line)),
            Err(error) => {
                told(&error);
                None
            }
        }),
        "sleep-next" | "spin-next" | "burn-next" => {
            let (mark, errors) = (mark.clone(), environ.errors());
            let mut calls = 0u64;
            Box::new(move || {
                calls += 1;
                if calls == 2 {
                    writeln!(errors, "{mark} goes on");
                }
                if calls > 1 {
                    match by.as_str() {
                        "sleep-next" => std::thread::sleep(time),
                        "burn-next" => spin_for(time),
                        _ => spin(),
                    }
                }
                Some(Ok(b"block\n".to_vec()))
            })
        }
        other => return Err(Error::msg(format!("no way {other:?}"))),
    };
    if !matches!(
        query.text("by", "write").as_str(),
        "write" | "sleep" | "read"
    ) {
        start_text(&start_response)?;
    }
    Ok(Body::with_close(std::iter::from_fn(blocks), move || {
        writeln!(errors, "{mark} closed");
    }))
}

wasm_gw_guest::export!(app);
