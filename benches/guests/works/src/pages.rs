//! `/pages`: memory that is written here and there, as the runtimes of other languages do it.

use std::sync::{Mutex, PoisonError};

const PAGE: usize = 4 << 10;
/// How many there are, and how many are written.
const ALL: usize = 2048;
const WRITTEN: usize = 300;

/// 8 MiB of zeroes: they take no place in the component.
static AREA: Mutex<[u8; ALL * PAGE]> = Mutex::new([0; ALL * PAGE]);

/// Writes one byte in each of [`WRITTEN`] pages, no two of them neighbours. Were all bytes as new?
pub fn touch_pages() -> bool {
    let mut area = AREA.lock().unwrap_or_else(PoisonError::into_inner);
    let mut clean = true;
    for number in 0..WRITTEN {
        // The remainder puts each at a place of its own in its page.
        let byte = &mut area[number * ALL / WRITTEN * PAGE + number * 13 % PAGE];
        clean &= *byte == 0;
        *byte = 1;
    }
    clean
}
