//! A file as a stream, and a folder as a list of names. Nothing here waits for anything.

use bytes::Bytes;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::{Open, Result};

/// The most that one call reads, or may write, in bytes.
pub(super) const MOST: usize = 64 << 10;

/// Reads a file from some place on. It ends where the file does, but a file that grows goes on.
pub(super) struct Reader {
    pub(super) file: Open,
    pub(super) position: u64,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self
            .file
            .volume()
            .read(self.file.id, self.position, size.min(MOST));
        let bytes = bytes.map_err(failed)?;
        if bytes.is_empty() && size > 0 {
            return Err(StreamError::Closed);
        }
        self.position += bytes.len() as u64;
        Ok(bytes.into())
    }
}

/// Writes into a file, from some place on or always at its end. A write that has no room leaves nothing behind,
/// and may be tried again.
pub(super) struct Writer {
    pub(super) file: Open,
    /// None writes at the end.
    pub(super) position: Option<u64>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut volume = self.file.volume();
        match &mut self.position {
            Some(position) => {
                let written = volume.write(self.file.id, *position, &bytes);
                written.map_err(failed)?;
                *position += bytes.len() as u64;
            }
            None => volume.append(self.file.id, &bytes).map_err(failed)?,
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST)
    }
}

fn failed(error: ErrorCode) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

/// The names in a folder, one after the other as they are then: one that is removed meanwhile is not seen, and
/// none that stays is missed. What it holds, a name at most, is within what a handle costs, so that a folder that
/// has filled all can be emptied.
pub(super) struct Listing {
    dir: Open,
    last: Option<Box<str>>,
}

impl Listing {
    pub(super) fn new(dir: Open) -> Result<Self> {
        match dir.metadata()?.kind {
            DescriptorType::Directory => Ok(Self { dir, last: None }),
            _ => Err(ErrorCode::NotDirectory),
        }
    }

    pub(super) fn next(&mut self) -> Option<DirectoryEntry> {
        let entry = (self.dir.volume()).entry_after(self.dir.id, self.last.as_deref())?;
        self.last = Some(entry.name.as_str().into());
        Some(entry)
    }
}
