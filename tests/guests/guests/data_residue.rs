//! Has 1200 KiB of data that are not zero, 64 KiB that are, and takes `?mib=` (1) of memory. It
//! answers with how many bytes of them are not as a new instance has them, and then writes over all
//! of them. For: S4 with a component whose memory begins with something.

use std::sync::{Mutex, PoisonError};

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

const SIZE: usize = 1200 << 10;

const fn pattern() -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let mut place = 0;
    while place < SIZE {
        bytes[place] = expected(place);
        place += 1;
    }
    bytes
}

const fn expected(place: usize) -> u8 {
    (place % 251) as u8 + 1
}

#[allow(
    long_running_const_eval,
    reason = "1200 KiB are filled by the compiler"
)]
static DATA: Mutex<[u8; SIZE]> = Mutex::new(pattern());
static ZEROS: Mutex<[u8; 64 << 10]> = Mutex::new([0; 64 << 10]);

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let mib = Query::of(&environ).number("mib", 1) as usize;
    let mut wrong = 0usize;
    {
        let mut data = DATA.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, byte) in data.iter_mut().enumerate() {
            wrong += usize::from(*byte != expected(place));
            *byte = 0xee;
        }
    }
    {
        let mut zeros = ZEROS.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in zeros.iter_mut() {
            wrong += usize::from(*byte != 0);
            *byte = 0xee;
        }
    }
    let mut taken = vec![0u8; mib << 20];
    for byte in &mut taken {
        wrong += usize::from(*byte != 0);
        *byte = 0xee;
    }
    std::hint::black_box(&taken);
    start_text(&start_response)?;
    Ok(format!("{wrong}\n").into())
}

wasm_gw_guest::export!(app);
