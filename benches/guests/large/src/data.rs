//! The data: it is in the component, and it may be written.

use std::sync::{Mutex, PoisonError};

use crate::word::{WORDS, bytes};

type Data = [u8; WORDS * 8];

static DATA: Mutex<Data> = Mutex::new(*include_bytes!(concat!(env!("OUT_DIR"), "/data.bin")));

/// How many places are written, far from each other.
const REGIONS: usize = 20;

/// Writes a word in each region. Were they all as new?
pub(crate) fn touch() -> bool {
    let mut data = DATA.lock().unwrap_or_else(PoisonError::into_inner);
    let mut clean = true;
    for region in 0..REGIONS {
        // Not at the same place of its page each time.
        let number = region * WORDS / REGIONS + region * 29;
        let word = &mut data[number * 8..][..8];
        clean &= word == bytes(number);
        word.fill(0);
    }
    clean
}
