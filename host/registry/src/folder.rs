//! The folder of a registry: made, checked, and held by one process. It knows nothing of what is in it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::error::RegistryError;

const LOCK: &str = "lock";

/// The folder, for as long as this or a clone of it is there.
#[derive(Clone, Debug)]
pub(crate) struct Folder(Arc<File>);

impl Folder {
    /// Makes the folder if it is missing, and takes it.
    pub(crate) fn open(dir: &Path) -> Result<Self, RegistryError> {
        let error = |source| RegistryError::io(dir, source);
        make(dir)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle =
            rustix::fs::open(dir, flags, Mode::empty()).map_err(|source| error(source.into()))?;
        let facts = rustix::fs::fstat(&handle).map_err(|source| error(source.into()))?;
        if facts.st_uid != rustix::process::geteuid().as_raw() {
            return Err(RegistryError::Foreign(dir.to_owned()));
        }
        if Mode::from_raw_mode(facts.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Err(RegistryError::Writable(dir.to_owned()));
        }
        let path = dir.join(LOCK);
        let lock = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| RegistryError::io(&path, source))?;
        // The system gives it back however the process ends.
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(Arc::new(lock))),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(RegistryError::InUse(dir.to_owned())),
            Err(source) => Err(RegistryError::io(&path, source.into())),
        }
    }

    /// Lets another process have it, although there may be clones.
    pub(crate) fn release(&self) {
        // It cannot fail for a lock that is held, and it ends with the process in any case.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// A folder that is this user's alone, if it is missing. That it is there outlives a loss of power.
pub(crate) fn make(dir: &Path) -> Result<(), RegistryError> {
    let missing: Vec<_> = dir
        .ancestors()
        .take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists())
        .collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| RegistryError::io(dir, source))?;
    for made in missing {
        let parent = match made.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => continue,
        };
        sync(parent).map_err(|source| RegistryError::io(parent, source))?;
    }
    Ok(())
}

/// Returns when the names in a folder are on the disk.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
