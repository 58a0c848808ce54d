//! Allocates memory and keeps it, `?mib=` (1) MiB at a time, each page touched,
//! until `?until=` MiB (for ever), then answers "got N MiB\n". Where the host
//! gives no more the guest aborts; `?try` stops there and answers instead.
//! For: limits of an instance's memory; 502 when a guest runs out.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let step = query.number("mib", 1).max(1);
    let until = query.number("until", u64::MAX);
    let mut kept = Vec::new();
    let mut got = 0;
    while got < until {
        let mut block: Vec<u8> = Vec::new();
        let size = (step << 20) as usize;
        if query.has("try") {
            if block.try_reserve_exact(size).is_err() {
                break;
            }
        } else {
            block.reserve_exact(size);
        }
        block.resize(size, 1);
        kept.push(std::hint::black_box(block));
        got += step;
    }
    drop(kept);
    start_text(&start_response)?;
    Ok(format!("got {got} MiB\n").into())
}

wasm_gw_guest::export!(app);
