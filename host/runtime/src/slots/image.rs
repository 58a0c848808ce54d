//! What a memory holds at first: made once for an app, and mapped into each of its slots, copy on write.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::space::Space;
use crate::source::Source;

/// One segment of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where in the memory it begins.
    pub(crate) at: usize,
    /// Where in the component its contents are.
    pub(crate) bytes: Range<usize>,
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

/// From this many bytes on a second thread costs less than it saves.
const LARGE: usize = 4 << 20;

/// So many bytes a thread writes before it takes the next.
const PIECE: usize = 1 << 20;

/// Writes segments to where they are in a memory that begins at `start`.
fn fill(file: &File, start: usize, segments: &[Segment], component: &Source<'_>) -> io::Result<()> {
    let pieces: Vec<_> = (segments.iter())
        .flat_map(|Segment { at, bytes }| {
            let place = at - start;
            let starts = bytes.clone().step_by(PIECE);
            starts.map(move |from| {
                let part = from..bytes.end.min(from + PIECE);
                (part, (place + from - bytes.start) as u64)
            })
        })
        .collect();
    let next = AtomicUsize::new(0);
    let write = || {
        while let Some((part, place)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut place = *place;
            component.pieces(part, |bytes| {
                file.write_all_at(bytes, place)?;
                place += bytes.len() as u64;
                Ok(())
            })?;
        }
        Ok(())
    };
    // Where they overlap, the order decides.
    let is_in_order = segments.is_sorted_by(|one, next| one.at + one.bytes.len() <= next.at);
    let size: usize = segments.iter().map(|segment| segment.bytes.len()).sum();
    if !is_in_order || size < LARGE {
        return write();
    }
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, write);
        let done: io::Result<()> = write();
        // Where there is no second thread, this one has written all.
        let other = other.map_or(Ok(Ok(())), |other| other.join());
        done.and(other.unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}

/// A file that has no name and is in memory only.
#[cfg(target_os = "linux")]
fn create() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(memfd_create("wasm-gw-image", flags)?.into())
}

/// Whoever maps it can rely on it from now on.
#[cfg(target_os = "linux")]
fn seal(file: &File) -> io::Result<()> {
    use rustix::fs::{SealFlags, fcntl_add_seals};
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    Ok(fcntl_add_seals(file, seals)?)
}

/// There are no slots elsewhere (`engine.rs`), and so no images.
#[cfg(not(target_os = "linux"))]
fn create() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn seal(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Image {
    /// Makes it of a component's segments, of which a later one may overlap an earlier one. They lie within
    /// `place`, which is whole pages.
    ///
    /// # Errors
    ///
    /// The system's: it has no memory or no descriptor for it, or the component's file cannot be read.
    pub(crate) fn new(
        place: Range<usize>,
        segments: &[Segment],
        component: &Source<'_>,
    ) -> io::Result<Self> {
        let file = create()?;
        file.set_len(place.len() as u64)?;
        fill(&file, place.start, segments, component)?;
        seal(&file)?;
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
