//! What the standard library would bring: memory, and words for a panic.

use alloc::alloc::{GlobalAlloc, Layout, alloc, handle_alloc_error, realloc};
use alloc::string::ToString;
use core::arch::wasm32;
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::panic::PanicInfo;
use core::ptr;

use crate::raw::types;

// The allocator of the C library, which begins with the rest of the memory that an instance has at its
// start: as long as that lasts, the memory need not grow, which costs the host much.
#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(align: usize, size: usize) -> *mut u8;
    fn malloc(size: usize) -> *mut u8;
    fn free(block: *mut u8);
    #[link_name = "realloc"]
    fn resize(block: *mut u8, size: usize) -> *mut u8;
}

/// What `malloc` aligns to.
const ALIGN: usize = 16;

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: the C library's functions are an allocator; each block is of the layout that was asked for, and
// goes back to where it came from.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: `malloc` takes any size; `aligned_alloc` gets a power of two and a multiple of it, which a
        // layout says does not overflow.
        unsafe {
            if layout.align() <= ALIGN {
                malloc(layout.size())
            } else {
                aligned_alloc(
                    layout.align(),
                    layout.size().next_multiple_of(layout.align()),
                )
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the block is one of `alloc`'s.
        unsafe { free(block) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGN {
            // SAFETY: the block is one of `malloc`'s.
            return unsafe { resize(block, size) };
        }
        // SAFETY: the caller says that the layout is the block's and the size is one that fits it.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// By which the host puts its answers into this memory. The arguments are those of the canonical ABI.
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(
    block: *mut u8,
    old_size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: the host keeps to the canonical ABI: a power of two, and a block of ours, or none.
    unsafe {
        let layout = Layout::from_size_align_unchecked(new_size, align);
        let new = if old_size > 0 {
            let old = Layout::from_size_align_unchecked(old_size, align);
            realloc(block, old, new_size)
        } else if new_size == 0 {
            return ptr::without_provenance_mut(align);
        } else {
            alloc(layout)
        };
        if new.is_null() {
            handle_alloc_error(layout);
        }
        new
    }
}

/// Where the log of the request is, which takes what a panic says, also when the application has dropped its
/// `environ`. Most requests do not panic, so it is asked for late: then, or when the `environ` may be gone before
/// the request is over. An instance has one thread.
struct Log {
    /// The number of the `environ` that the latest call came with, as long as it is sure to be there; else 0.
    environ: Cell<u32>,
    errors: Cell<Option<types::Errors>>,
}

// SAFETY: there is no other thread.
unsafe impl Sync for Log {}

static LOG: Log = Log {
    environ: Cell::new(0),
    errors: Cell::new(None),
};

/// This request has begun.
pub(crate) fn begin(environ: &types::Environ) {
    LOG.environ.set(environ.handle());
    LOG.errors.set(None);
}

/// This may be the request's `environ`, and belongs to somebody else from now on.
pub(crate) fn gives_away(environ: &types::Environ) {
    if environ.handle() == LOG.environ.get() {
        LOG.environ.set(0);
        LOG.errors.set(Some(environ.errors()));
    }
}

/// The request's `environ` may be dropped while the request goes on.
pub(crate) fn keep_log() {
    LOG.errors.set(take_log());
}

fn take_log() -> Option<types::Errors> {
    match LOG.environ.replace(0) {
        0 => LOG.errors.take(),
        number => {
            // SAFETY: the handle is there: it waits when it is dropped (`held`), and before it is given away or
            // given back, the number is made 0.
            let environ = ManuallyDrop::new(unsafe { types::Environ::from_handle(number) });
            Some(environ.errors())
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // Should this panic too, there is nothing left to say.
    if let Some(errors) = take_log() {
        errors.write(&info.to_string());
    }
    wasm32::unreachable()
}
