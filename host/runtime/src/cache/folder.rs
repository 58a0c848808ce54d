//! A folder that only this user can write, held open. Everything in it is reached by that
//! descriptor, and no link is followed, so that what was checked is what is used whatever others do
//! to the path that leads here. It knows nothing of what is kept in it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::CacheError;

/// How the names of files end that are not whole yet.
const UNFINISHED: &str = ".unfinished";

/// Long enough to write any file; what is older was left behind by a process that died.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

/// A file of the folder.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

impl Folder {
    /// Opens the folder, which is made when it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        let io = |source| CacheError::io(path, source);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(io)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| io(error.into()))?;
        let facts = rustix::fs::fstat(&handle).map_err(|error| io(error.into()))?;
        refuse_shared(path, &facts)?;
        Ok(Self {
            path: path.to_owned(),
            handle: handle.into(),
        })
    }

    /// A file without a name, gone with whoever holds it.
    pub(super) fn nameless(&self) -> io::Result<File> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&self.handle, ".", flags, Mode::RUSR | Mode::WUSR)?;
            Ok(file.into())
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where a file of this name lies, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn error(&self, name: &str, source: impl Into<io::Error>) -> CacheError {
        CacheError::io(&self.path(name), source.into())
    }

    /// Opens a file for reading, if it is there. It is refused if it is no regular file, or if
    /// another user could have written it.
    pub(super) fn file(&self, name: &str) -> Result<Option<(File, Stat)>, CacheError> {
        // Without blocking: a pipe in its place would have no other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.error(name, error)),
        };
        let facts = rustix::fs::fstat(&opened).map_err(|error| self.error(name, error))?;
        if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
            return Err(CacheError::Altered(self.path(name)));
        }
        refuse_shared(&self.path(name), &facts)?;
        Ok(Some((opened.into(), facts)))
    }

    /// The bytes of an open file that has exactly `N`; none if it has more or fewer.
    pub(super) fn exactly<const N: usize>(
        &self,
        name: &str,
        file: &mut File,
    ) -> Result<Option<[u8; N]>, CacheError> {
        let mut bytes = Vec::with_capacity(N + 1);
        file.take(N as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.error(name, error))?;
        Ok(bytes.try_into().ok())
    }

    /// Writes a file in one step: what was there before is whole until the new one is.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), CacheError> {
        self.write(name, bytes, |unfinished| {
            rustix::fs::renameat(&self.handle, unfinished, &self.handle, name)
        })
    }

    /// Writes a file in one step unless there is one. Of two processes that do so at once one wins:
    /// a link, unlike a rename, does not replace.
    pub(super) fn create(&self, name: &str, bytes: &[u8]) -> Result<(), CacheError> {
        self.write(name, bytes, |unfinished| {
            let flags = AtFlags::empty();
            let linked = rustix::fs::linkat(&self.handle, unfinished, &self.handle, name, flags);
            self.remove(unfinished);
            match linked {
                Err(rustix::io::Errno::EXIST) => Ok(()),
                other => other,
            }
        })
    }

    fn write(
        &self,
        name: &str,
        bytes: &[u8],
        publish: impl FnOnce(&str) -> rustix::io::Result<()>,
    ) -> Result<(), CacheError> {
        // A name of its own for each attempt: process ids repeat, in containers at each start.
        let unfinished = format!("{:016x}{UNFINISHED}", fastrand::u64(..));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let written = rustix::fs::openat(&self.handle, &unfinished, flags, mode)
            .map_err(io::Error::from)
            .and_then(|file| {
                let mut file = File::from(file);
                file.write_all(bytes)?;
                file.sync_data()?;
                Ok(publish(&unfinished)?)
            });
        written.map_err(|error| {
            self.remove(&unfinished);
            self.error(name, error)
        })
    }

    /// Removes a file; whether it was there.
    pub(super) fn remove(&self, name: &str) -> bool {
        rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()).is_ok()
    }

    /// The regular files in it. What cannot be read is left out.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let Ok(listed) = Dir::read_from(&self.handle) else {
            return Vec::new();
        };
        let entry = |listed: rustix::fs::DirEntry| {
            let name = listed.file_name().to_str().ok()?;
            let facts = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let is_file = FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile;
            is_file.then(|| Entry {
                name: name.to_owned(),
                size: u64::try_from(facts.st_size).unwrap_or(0),
                modified: modified(&facts),
            })
        };
        listed.filter_map(|listed| entry(listed.ok()?)).collect()
    }

    /// Removes what processes that died in the middle of writing have left.
    pub(super) fn tidy(&self) {
        for entry in self.entries() {
            // A clock that was set back makes files of the future; they are not old.
            let age = entry.modified.elapsed().unwrap_or_default();
            if entry.name.ends_with(UNFINISHED) && age > LEFT_BEHIND {
                self.remove(&entry.name);
            }
        }
    }
}

fn modified(facts: &Stat) -> SystemTime {
    let seconds = u64::try_from(facts.st_mtime).unwrap_or(0);
    let nanoseconds = u32::try_from(facts.st_mtime_nsec).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

/// Refuses what another user could have written.
fn refuse_shared(path: &Path, facts: &Stat) -> Result<(), CacheError> {
    if facts.st_uid != rustix::process::geteuid().as_raw() && facts.st_uid != 0 {
        return Err(CacheError::Foreign(path.to_owned()));
    }
    let mode = Mode::from_raw_mode(facts.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(CacheError::Writable(path.to_owned()));
    }
    Ok(())
}

/// Whether others than the owner may read it.
pub(super) fn others_may_read(facts: &Stat) -> bool {
    Mode::from_raw_mode(facts.st_mode).intersects(Mode::RWXG | Mode::RWXO)
}
