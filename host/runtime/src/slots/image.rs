//! What a memory holds at first: made once for an app, and mapped into each of its slots, copy on write.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::space::Space;

/// One segment of data, and where in the memory it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) at: usize,
    pub(crate) bytes: &'a [u8],
}

/// The first contents of a memory, in whole pages. Between and around its segments are zeros.
#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    /// The same, to be read.
    copy: Space,
    /// Its place in the memory.
    place: Range<usize>,
}

impl Image {
    /// Makes it of segments, of which a later one may overlap an earlier one. They lie within `place`,
    /// which is whole pages.
    ///
    /// # Errors
    ///
    /// The system's: it has no memory or no descriptor for it.
    pub(crate) fn new(place: Range<usize>, segments: &[Segment<'_>]) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("wasm-gw-image", flags)?);
        file.set_len(place.len() as u64)?;
        for segment in segments {
            file.write_all_at(segment.bytes, (segment.at - place.start) as u64)?;
        }
        // Whoever maps it can rely on it from now on.
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        let mut copy = Space::reserve(place.len(), rustix::param::page_size())?;
        copy.map(0..place.len(), file.as_fd(), 0)?;
        Ok(Self { file, copy, place })
    }

    /// Its place in the memory, in bytes.
    pub(super) fn place(&self) -> &Range<usize> {
        &self.place
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// A part of it; `part` counts as the memory does.
    pub(super) fn bytes(&self, part: &Range<usize>) -> &[u8] {
        let start = self.place.start;
        #[expect(unsafe_code, reason = "the image is mapped by hand")]
        // SAFETY: `new` has opened all of the copy, and nothing ever writes to it.
        unsafe {
            self.copy.read(part.start - start..part.end - start)
        }
    }
}
