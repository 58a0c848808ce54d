//! Looks for what an earlier instance left: allocates `?mib=` (4) MiB, counts
//! the bytes that are not zero in memory fresh from the host, fills it with a
//! pattern, and answers with the count, always "0\n".
//! For: freshness of instances; one tenant's data never reaches another.

use std::alloc::{Layout, alloc};

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let size = (Query::of(&environ).number("mib", 4).max(1) << 20) as usize;
    let layout = Layout::from_size_align(size, 65_536)?;
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc(layout) };
    if memory.is_null() {
        return Err(Error::msg("no memory"));
    }
    let mut dirty = 0;
    for at in 0..size {
        // SAFETY: within the allocation. Its bytes may formally be undefined,
        // but a volatile read takes what the host put there.
        unsafe {
            let byte = memory.add(at);
            dirty += u64::from(byte.read_volatile() != 0);
            byte.write_volatile(0xA5);
        }
    }
    start_text(&start_response)?;
    Ok(format!("{dirty}\n").into())
}

wasm_gw_guest::export!(app);
