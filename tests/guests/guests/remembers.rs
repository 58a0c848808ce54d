//! Counts its calls in a `static` as `counter` does, and answers with the count first: "2\n". Before that, by
//! `?do=`
//!
//! - `keep`: keeps this request's body, `start-response` and writer for later calls.
//! - `use`: uses what was kept, and answers "2 start ..., write ..., read ...\n" with what it is told.
//! - `iter`: answers with an iterator of two blocks.
//! - `host`: answers with 300 KiB of its own as a body of the host's.
//! - `wait`: reads the body to its end.
//! - `print`: writes `?text=` to stdout, `?lines=` (1) times.
//! - `grow`: takes `?mib=` more of memory.
//! - `spin`: computes for `?ms=` milliseconds.
//! - `error`, `error-in-next`, `error-in-close`, `trap`, `exit`: ends in that way.
//!
//! For: isolation by app.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Error, Input, Result, StartResponse, Writer};
use wasm_gw_test_guests::{Query, spin_for, start_text, trap};

static CALLS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static KEPT: RefCell<Option<(Input, StartResponse, Writer)>> = const { RefCell::new(None) };
    static GROWN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

const HEAD: [(&str, &str); 1] = [("Content-Type", "text/plain")];

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let count = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let query = Query::of(&environ);
    let text = format!("{count}\n");
    match query.text("do", "").as_str() {
        "keep" => {
            let writer = start_response.start("200 OK", &HEAD)?;
            KEPT.set(Some((environ.input(), start_response, writer)));
            return Ok(text.into());
        }
        "use" => {
            let told = KEPT.with_borrow_mut(|kept| {
                let (input, start, writer) = kept.as_mut().ok_or(Error::msg("nothing is kept"))?;
                let start = told(start.start("418 Kept", &[]).map(drop));
                let write = told(writer.write_block(b"kept"));
                let read = told(input.read_some(100).map(|block| block.len()));
                Ok::<_, Error>(format!("start {start}, write {write}, read {read}"))
            })?;
            start_text(&start_response)?;
            return Ok(format!("{count} {told}\n").into());
        }
        "iter" | "error-in-next" | "error-in-close" => {
            let how = query.text("do", "");
            start_text(&start_response)?;
            let failing = how == "error-in-next";
            let blocks = [
                Ok(text),
                Ok("more\n".to_owned()),
                Err(Error::msg("as asked")),
            ];
            let blocks = blocks.into_iter().take(if failing { 3 } else { 2 });
            return Ok(Body::with_close(blocks, move || match how.as_str() {
                "error-in-close" => Err(Error::msg("as asked")),
                _ => Ok(()),
            }));
        }
        "host" => {
            start_text(&start_response)?;
            return Ok(Body::input(Input::of_bytes(&[b'x'; 300 << 10])));
        }
        "wait" => while !environ.input().read_some(1024)?.is_empty() {},
        "print" => {
            for _ in 0..query.number("lines", 1) {
                println!("{}", query.text("text", ""));
            }
        }
        "grow" => GROWN.with_borrow_mut(|all| {
            all.push(vec![1; (query.number("mib", 1) as usize) << 20]);
        }),
        "spin" => spin_for(Duration::from_millis(query.number("ms", 0))),
        "error" => return Err(Error::msg("as asked")),
        "trap" => trap(),
        "exit" => {
            start_response
                .start("200 OK", &HEAD)?
                .write_block(text.as_bytes())?;
            std::process::exit(0);
        }
        _ => {}
    }
    start_text(&start_response)?;
    Ok(text.into())
}

/// What came of a call, in a word.
fn told<T: Debug, E: Debug>(outcome: Result<T, E>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error:?}"),
    }
}

wasm_gw_guest::export!(app);
