//! A piece of address space with guards around it. Everything that is unsafe about memory that guests
//! use is in this file: each method says what it may be given, and checks it.

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

use rustix::mm::{self, Advice, MapFlags, MprotectFlags, ProtFlags};

/// The advice by which memory reads as zeros from then on. That of other systems promises nothing, so that what was
/// there could be seen again: they have no slots (`engine.rs`).
#[cfg(target_os = "linux")]
const DONT_NEED: Option<Advice> = Some(Advice::LinuxDontNeed);
#[cfg(not(target_os = "linux"))]
const DONT_NEED: Option<Advice> = None;

#[cfg(target_os = "linux")]
const KEEP_APART: Option<[Advice; 2]> = Some([Advice::LinuxNoHugepage, Advice::LinuxDontFork]);
#[cfg(not(target_os = "linux"))]
const KEEP_APART: Option<[Advice; 2]> = None;

const NO_SLOTS: io::ErrorKind = io::ErrorKind::Unsupported;

/// Address space of a fixed size, with a guard on either side that nobody can read or write. All of it
/// is closed at first; what is opened reads as zeros until it is written.
///
/// It is its owner's alone: nothing else in this process has its addresses, but for the guest that runs
/// in it while its owner lends it out.
#[derive(Debug)]
pub(super) struct Space {
    mapping: NonNull<c_void>,
    guard: usize,
    size: usize,
}

// SAFETY: it owns its mapping, which belongs to no thread; whoever writes through `start` answers for
// doing so alone.
#[expect(unsafe_code, reason = "a mapping can be used from any thread")]
unsafe impl Send for Space {}
// SAFETY: as above; no method that takes `&self` writes.
#[expect(unsafe_code, reason = "a mapping can be used from any thread")]
unsafe impl Sync for Space {}

impl Space {
    /// Reserves `size` bytes between two guards of `guard` bytes. Both are whole pages.
    ///
    /// # Errors
    ///
    /// The system's: its address space or the number of its mappings is used up.
    pub(super) fn reserve(size: usize, guard: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        assert!(
            size.is_multiple_of(page) && guard.is_multiple_of(page),
            "whole pages"
        );
        let all = guard
            .checked_mul(2)
            .and_then(|guards| guards.checked_add(size))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
        // SAFETY: a new mapping wherever the system likes touches no other.
        let mapping = unsafe {
            mm::mmap_anonymous(
                ptr::null_mut(),
                all,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        let mapping = NonNull::new(mapping).ok_or(io::ErrorKind::OutOfMemory)?;
        let space = Self {
            mapping,
            guard,
            size,
        };
        space.advise(0..size)?;
        Ok(space)
    }

    /// Its first byte behind the guard.
    pub(super) fn start(&self) -> NonNull<u8> {
        #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
        // SAFETY: the guard is part of the mapping.
        unsafe {
            self.mapping.cast::<u8>().add(self.guard)
        }
    }

    /// How large it is without its guards, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How large each of its guards is, in bytes.
    pub(super) fn guard(&self) -> usize {
        self.guard
    }

    /// The guard below it, by address.
    pub(super) fn guard_below(&self) -> Range<*mut u8> {
        self.mapping.as_ptr().cast()..self.start().as_ptr()
    }

    /// Lets this part be read and written.
    pub(super) fn open(&mut self, part: Range<usize>) -> io::Result<()> {
        self.protect(part, MprotectFlags::READ | MprotectFlags::WRITE)
    }

    /// Lets nobody read or write this part. What is in it stays.
    pub(super) fn close(&mut self, part: Range<usize>) -> io::Result<()> {
        self.protect(part, MprotectFlags::empty())
    }

    fn protect(&mut self, part: Range<usize>, flags: MprotectFlags) -> io::Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let (start, length) = self.part(&part);
        #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
        // SAFETY: `part` has checked that it is within this mapping. No reference into it exists: it
        // is only ever used by pointer.
        unsafe {
            mm::mprotect(start.cast(), length, flags)?;
        }
        Ok(())
    }

    /// Gives the memory of this part back to the system. It reads as zeros from then on.
    pub(super) fn give_back(&mut self, part: Range<usize>) -> io::Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let (start, length) = self.part(&part);
        #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
        // SAFETY: as in `protect`. The mapping is private and anonymous, so what is given back reads
        // as zeros.
        unsafe {
            mm::madvise(start.cast(), length, DONT_NEED.ok_or(NO_SLOTS)?)?;
        }
        Ok(())
    }

    /// Maps what is in a file to this part, copy on write, and opens it. `offset` is the place in the file.
    pub(super) fn map(
        &mut self,
        part: Range<usize>,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> io::Result<()> {
        let (start, length) = self.part(&part);
        let open = ProtFlags::READ | ProtFlags::WRITE;
        let over = MapFlags::PRIVATE | MapFlags::FIXED;
        #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
        // SAFETY: it replaces a part of this very mapping, as `part` has checked.
        unsafe {
            mm::mmap(start.cast(), length, open, over, file, offset)?;
        }
        self.advise(part)
    }

    /// A huge page would have to be cleaned whole for one byte; and pages that the kernel put into one would be there without
    /// a page fault, which `faults.rs` relies on. And a forked child must not find here what
    /// was a guest's.
    fn advise(&self, part: Range<usize>) -> io::Result<()> {
        let (start, length) = self.part(&part);
        for advice in KEEP_APART.ok_or(NO_SLOTS)? {
            #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
            // SAFETY: the part is within this mapping, and this advice changes nothing that is in it.
            let advised = unsafe { mm::madvise(start.cast(), length, advice) };
            match advised {
                // A kernel without huge pages has none to refuse.
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What is in a part.
    ///
    /// # Safety
    ///
    /// The part is open, and nobody writes to it while the result is borrowed.
    #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
    pub(super) unsafe fn read(&self, part: Range<usize>) -> &[u8] {
        let (start, length) = self.part(&part);
        // SAFETY: within this mapping, as `part` has checked; open and not written to, as the caller
        // says. What was never written reads as zeros, so all of it is initialised.
        unsafe { std::slice::from_raw_parts(start, length) }
    }

    /// Writes over this part from `at` on.
    ///
    /// # Safety
    ///
    /// The part is open, and nobody else reads or writes it meanwhile.
    #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
    pub(super) unsafe fn write(&mut self, at: usize, bytes: &[u8]) {
        let (start, length) = self.part(&(at..at + bytes.len()));
        // SAFETY: within this mapping, as `part` has checked; open and not shared, as the caller says.
        // The bytes are borrowed, and so no part of what only this has.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start, length) }
    }

    /// Writes zeros over this part.
    ///
    /// # Safety
    ///
    /// The part is open, and nobody else reads or writes it meanwhile.
    #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
    pub(super) unsafe fn zero(&mut self, part: Range<usize>) {
        let (start, length) = self.part(&part);
        // SAFETY: within this mapping, as `part` has checked; open and not shared, as the caller says.
        unsafe { ptr::write_bytes(start, 0, length) }
    }

    /// A part as address and length.
    ///
    /// # Panics
    ///
    /// It is not within the space.
    fn part(&self, part: &Range<usize>) -> (*mut u8, usize) {
        assert!(
            part.start <= part.end && part.end <= self.size,
            "a part of another space"
        );
        (
            self.start().as_ptr().wrapping_add(part.start),
            part.end - part.start,
        )
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "memory for guests is mapped by hand")]
        // SAFETY: the mapping that `reserve` made, of that size, which nothing else knows of.
        let unmapped = unsafe { mm::munmap(self.mapping.as_ptr(), self.size + 2 * self.guard) };
        if let Err(error) = unmapped {
            tracing::error!("memory of a guest cannot be unmapped: {error}");
        }
    }
}
