//! Which pages hold something: asked of the kernel (`PAGEMAP_SCAN`, Linux 6.7).
//!
//! A page that holds something is *present*, or it is *swapped*: out on a device, or just being moved by
//! the kernel from one frame to another (compaction, balancing between nodes), for which the page table
//! has an entry of the same kind. Both are asked for, and the kernel looks at each entry under its
//! lock, so no page with something in it is missed, wherever it may be at that moment. Who then writes to
//! such a page waits until it is back.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode, opcode};

/// The kernel's `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// The kernel's `struct pm_scan_arg`.
#[repr(C)]
#[derive(Debug, Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// As it is in the file that is mapped there.
const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
/// The page of zeros that all share which have only been read.
const ZERO: u64 = 1 << 5;

/// How many regions the kernel tells at once.
const REGIONS: usize = 64;

/// One call; its output is the number of regions.
struct Scan<'a> {
    argument: &'a mut ScanArgument,
}

#[expect(unsafe_code, reason = "the kernel writes to where it is told")]
// SAFETY: the opcode is that of `PAGEMAP_SCAN`, whose argument this is. The call writes to the argument
// and to its `vec`, which `Pagemap::scan` points to as many regions as `vec_len` says. It changes
// nothing in the process: no flag asks for it.
unsafe impl Ioctl for Scan<'_> {
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<ScanArgument>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.argument).cast()
    }

    unsafe fn output_from_ptr(count: IoctlOutput, _: *mut c_void) -> rustix::io::Result<usize> {
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

/// This process's page table, as the kernel shows it.
///
/// It stays that of the process that opened it: a forked child must open its own.
#[derive(Debug)]
pub(super) struct Pagemap(File);

impl Pagemap {
    /// Opens it, and tries whether the kernel can do what is needed.
    pub(super) fn open() -> io::Result<Self> {
        let pagemap = Self(File::open("/proc/self/pagemap")?);
        let page = rustix::param::page_size();
        let probe = vec![1u8; 2 * page];
        // A whole page within the probe.
        let start = (probe.as_ptr() as usize).next_multiple_of(page);
        let mut found = 0;
        pagemap.scan(start..start + page, page, |region| found += region.len())?;
        if found == page {
            Ok(pagemap)
        } else {
            Err(io::Error::other("the scan misses a page that was written"))
        }
    }

    /// Calls `each` with the regions between two addresses that hold something of their own, in order,
    /// until they make up `most` bytes. The result is the address up to which all have been told.
    ///
    /// # Errors
    ///
    /// The kernel's. What was told until then is right, and not all.
    pub(super) fn scan(
        &self,
        within: Range<usize>,
        most: usize,
        mut each: impl FnMut(Range<usize>),
    ) -> io::Result<usize> {
        let page = rustix::param::page_size();
        let mut regions = [PageRegion::default(); REGIONS];
        let mut argument = ScanArgument {
            size: size_of::<ScanArgument>() as u64,
            start: within.start as u64,
            end: within.end as u64,
            vec_len: REGIONS as u64,
            category_inverted: ZERO | FILE,
            category_mask: ZERO | FILE,
            category_anyof_mask: PRESENT | SWAPPED,
            ..ScanArgument::default()
        };
        let mut pages = most / page;
        while argument.start < argument.end && pages > 0 {
            argument.vec = regions.as_mut_ptr() as u64;
            // 0 would be no bound.
            argument.max_pages = pages as u64;
            let scan = Scan {
                argument: &mut argument,
            };
            #[expect(unsafe_code, reason = "the kernel writes to where it is told")]
            // SAFETY: `vec` points to `REGIONS` regions that live until the call has returned.
            let count = unsafe { ioctl::ioctl(&self.0, scan)? };
            for region in regions.iter().take(count) {
                let region = address(region.start)?..address(region.end)?;
                pages = pages.saturating_sub(region.len() / page);
                each(region);
            }
            if argument.walk_end <= argument.start {
                return Err(io::Error::other("the scan does not get on"));
            }
            argument.start = argument.walk_end;
        }
        address(argument.start)
    }
}

fn address(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| io::Error::other("an address of another machine"))
}
