//! Uses the processor for `?ms=` (100) milliseconds of the monotonic clock, or for
//! `?iterations=` of a fixed piece of work, and then does what `?then=` says:
//!
//! - `done` (the default): answers "done\n".
//! - `echo`: reads the whole body and answers with it.
//! - `stream`: passes the body on, piece by piece.
//! - `blocks`: yields `?n=` (10) blocks of `?bytes=` (1000), and burns `?each=`
//!   (0) milliseconds before each.
//!
//! `?say=TEXT` logs "TEXT burned" when the work is done; then the body is an iterator
//! whose `close` burns as long again and logs "TEXT closed".
//! For: fair shares between requests, deadlines that are not reached, what comes
//! after a guest was moved to the queue.

use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, spin_for, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let time = Duration::from_millis(query.number("ms", 100));
    if query.has("iterations") {
        let count = query.number("iterations", 0);
        std::hint::black_box((0..count).fold(1_u64, |sum, number| {
            std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number))
        }));
    } else {
        spin_for(time);
    }
    let errors = environ.errors();
    let say = query.get("say");
    if let Some(text) = &say {
        writeln!(errors, "{text} burned");
    }

    let blocks: Box<dyn Iterator<Item = Result<Vec<u8>>>> =
        match query.text("then", "done").as_str() {
            "done" => Box::new(std::iter::once(Ok(b"done\n".to_vec()))),
            "echo" => Box::new(std::iter::once(Ok(environ.input().read_rest()?))),
            "stream" => {
                let mut input = environ.input();
                Box::new(std::iter::from_fn(move || {
                    let piece = input.read_some(64 << 10).map_err(Error::from);
                    Some(piece).filter(|piece| !matches!(piece, Ok(bytes) if bytes.is_empty()))
                }))
            }
            "blocks" => {
                let each = Duration::from_millis(query.number("each", 0));
                let block = vec![b'x'; query.number("bytes", 1000) as usize];
                Box::new((0..query.number("n", 10)).map(move |_| {
                    spin_for(each);
                    Ok(block.clone())
                }))
            }
            other => return Err(Error::msg(format!("nothing to do then: {other:?}"))),
        };
    start_text(&start_response)?;
    match say {
        None => Ok(Body::iter(blocks)),
        Some(text) => Ok(Body::with_close(blocks, move || {
            spin_for(time);
            writeln!(errors, "{text} closed");
        })),
    }
}

wasm_gw_guest::export!(app);
