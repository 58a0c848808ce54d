//! The code: one function made anew for each number, with other constants each time.

use std::hint::black_box;

use crate::word::mix;

static FUNCTIONS: &[fn(u64) -> u64] = &include!(concat!(env!("OUT_DIR"), "/functions.rs"));

/// How many a request calls.
const CALLED: usize = 20;

/// Calls some of the functions. True, in a way that no compiler knows of.
pub(crate) fn call() -> bool {
    let step = FUNCTIONS.len() / CALLED;
    let called = FUNCTIONS.iter().step_by(step);
    called.fold(black_box(1), |value, function| function(value)) != 0
}

/// Some arithmetic whose constants come of the number. Never 0.
#[inline(never)]
fn function<const NUMBER: u64>(mut value: u64) -> u64 {
    macro_rules! rounds {
        ($($round:literal)*) => { $(
            value = (value ^ const { mix(NUMBER * 64 + $round) }).wrapping_mul(const { mix(NUMBER * 64 + $round) | 1 });
            if value & (1 << $round) != 0 {
                value = value.rotate_left(const { mix(NUMBER * 64 + $round) as u32 % 64 });
            }
        )* };
    }
    rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
    value | 1
}
