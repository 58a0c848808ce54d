//! The allocator of the process: mimalloc, told to give back to the system what is freed.
//!
//! The C library's keeps what was freed for the thread that had it first, and so, after a burst of large
//! blocks, hundreds of MiB that the budget of `--memory-total` knows nothing of.

use libmimalloc_sys::mi_option_set;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3, which its bindings do not name: the time in milliseconds
/// after which memory that was freed goes back to the system. By itself it is a second, and is only
/// looked at when the next memory is asked for.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Makes the process as small as what it holds.
pub(crate) fn give_back_at_once() {
    #[expect(unsafe_code, reason = "a setting of a library in C")]
    // SAFETY: it stores a number under an index that mimalloc checks, and may be called at any time.
    unsafe {
        mi_option_set(PURGE_DELAY, 0);
    }
}
