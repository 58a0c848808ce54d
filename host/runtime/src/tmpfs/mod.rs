//! A guest's `/tmp`: a folder in memory, made for one instance and gone with it. Programs that put aside what
//! they would rather not hold, such as uploads, look for a place there.
//!
//! Nothing in it is free. What a file or a name takes of the host is charged before it is made, to the
//! instance's own limit on memory as well as to the server's budget ([`Purse::spend_on_memory`]), and a file
//! that has no room fails with `insufficient-space`, as on a disk that is full. It has half of the instance's memory
//! at most, so that who is told so can still go on. The whole is a flat list of
//! nodes, so that no depth of folders can exhaust a stack. There are no symbolic links.
//!
//! It is not a place between requests or instances, and nothing of it is ever on a disk. Granted folders are
//! WASI's own business.

mod content;
mod host;
pub(crate) mod path;
mod stream;
#[cfg(test)]
mod tests;
mod volume;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, OpenFlags,
};

pub(crate) use self::host::{Files, date};
use self::volume::{Id, Metadata, ROOT, Volume};
use crate::memory::Purse;

type Result<T, E = ErrorCode> = std::result::Result<T, E>;

/// The `/tmp` of one instance. It is made when the guest asks which folders there are.
pub(crate) struct Tmp(Shared);

type Shared = Arc<Mutex<Volume>>;

impl Tmp {
    fn new(purse: Arc<Purse>, most: usize) -> Self {
        Self(Arc::new(Mutex::new(Volume::new(purse, most))))
    }

    /// A descriptor of the whole.
    fn root(&self) -> Open {
        lock(&self.0).acquire(ROOT);
        Open {
            volume: Arc::clone(&self.0),
            id: ROOT,
            mode: Mode {
                read: true,
                write: true,
            },
        }
    }
}

fn lock(volume: &Shared) -> MutexGuard<'_, Volume> {
    volume.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is open, by a descriptor or by a stream: it stays as long as it is, even when it has no name any more.
struct Open {
    volume: Shared,
    id: Id,
    mode: Mode,
}

/// What it was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mode {
    read: bool,
    write: bool,
}

impl Open {
    fn volume(&self) -> MutexGuard<'_, Volume> {
        lock(&self.volume)
    }

    /// Opens what a path leads to from this folder.
    fn open_at(&self, path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Self> {
        let write = flags.contains(DescriptorFlags::WRITE);
        // What is opened for nothing is opened to be looked at.
        let read = flags.contains(DescriptorFlags::READ) || !write;
        let id = self.volume().open(self.id, path, how, write)?;
        Ok(Self {
            volume: Arc::clone(&self.volume),
            id,
            mode: Mode { read, write },
        })
    }

    /// The same once more, for a stream.
    fn again(&self) -> Self {
        self.volume().acquire(self.id);
        Self {
            volume: Arc::clone(&self.volume),
            ..*self
        }
    }

    /// A file that was opened to be read.
    fn readable(&self) -> Result<&Self> {
        self.mode
            .read
            .then_some(self)
            .ok_or(ErrorCode::BadDescriptor)
    }

    /// A file that was opened to be written.
    fn writable(&self) -> Result<&Self> {
        self.mode
            .write
            .then_some(self)
            .ok_or(ErrorCode::BadDescriptor)
    }

    fn metadata(&self) -> Result<Metadata> {
        self.volume().metadata(self.id)
    }

    fn metadata_at(&self, path: &str) -> Result<Metadata> {
        let volume = self.volume();
        volume.metadata(volume.find_at(self.id, path)?)
    }

    fn a_file(&self) -> Result<&Self> {
        match self.metadata()?.kind {
            DescriptorType::Directory => Err(ErrorCode::IsDirectory),
            _ => Ok(self),
        }
    }

    fn flags(&self) -> Result<DescriptorFlags> {
        let write = match self.metadata()?.kind {
            // There is none that cannot be changed.
            DescriptorType::Directory => DescriptorFlags::MUTATE_DIRECTORY,
            _ if self.mode.write => DescriptorFlags::WRITE,
            _ => DescriptorFlags::empty(),
        };
        let read = if self.mode.read {
            DescriptorFlags::READ
        } else {
            DescriptorFlags::empty()
        };
        Ok(read | write)
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.volume, &other.volume) && self.id == other.id
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.volume).release(self.id);
    }
}
