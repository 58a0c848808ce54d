//! A folder whose files are served, and nothing beside it: by whatever way a path would lead out, as by a
//! link, there is nothing there.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs;

/// What `ServeDir` asks for files.
#[derive(Clone, Debug)]
pub(super) struct Folder(Arc<Dir>);

type Promise<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Folder {
    /// # Errors
    ///
    /// It is not there, or is no folder.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Dir::open_ambient_dir(path, ambient_authority()).map(|dir| Self(Arc::new(dir)))
    }

    /// Does this on a thread that may wait for a disk.
    fn apart<T: Send + 'static>(
        &self,
        path: PathBuf,
        work: impl FnOnce(&Dir, &Path) -> io::Result<T> + Send + 'static,
    ) -> Promise<T> {
        let Self(dir) = self.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || {
                if is_hidden(&path) {
                    return Err(ErrorKind::NotFound.into());
                }
                work(&dir, &path).map_err(nothing_there)
            });
            done.await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
        })
    }
}

/// Names that begin with a dot are not for the public: `.git`, `.env`.
fn is_hidden(path: &Path) -> bool {
    path.components().any(|part| match part {
        Component::Normal(name) => name.as_encoded_bytes().first() == Some(&b'.'),
        Component::CurDir => false,
        Component::ParentDir | Component::RootDir | Component::Prefix(_) => true,
    })
}

/// That the system has no more descriptors or memory is no news about a file; all else means that there is
/// none for whoever asks.
fn nothing_there(error: io::Error) -> io::Error {
    use rustix::io::Errno;
    const OURS: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO];
    match Errno::from_io_error(&error) {
        Some(errno) if OURS.contains(&errno) => error,
        _ => ErrorKind::NotFound.into(),
    }
}

impl fs::Backend for Folder {
    type File = File;
    type Metadata = Metadata;
    type OpenFuture = Promise<File>;
    type MetadataFuture = Promise<Metadata>;

    fn open(&self, path: PathBuf) -> Promise<File> {
        self.apart(path, |dir, path| {
            let mut options = OpenOptions::new();
            // Whoever opens a pipe would wait for its other end.
            let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            options.read(true).custom_flags(flags);
            let file = dir.open_with(path, &options)?.into_std();
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(ErrorKind::NotFound.into());
            }
            Ok(File {
                metadata: Metadata::of(&metadata),
                file: tokio::fs::File::from_std(file),
            })
        })
    }

    fn metadata(&self, path: PathBuf) -> Promise<Metadata> {
        self.apart(path, |dir, path| {
            let metadata = dir.metadata(path)?;
            if !metadata.is_file() && !metadata.is_dir() {
                return Err(ErrorKind::NotFound.into());
            }
            Ok(Metadata {
                is_dir: metadata.is_dir(),
                modified: metadata.modified()?.into_std(),
                len: metadata.len(),
            })
        })
    }
}

/// What is to be known of a file before it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metadata {
    is_dir: bool,
    modified: SystemTime,
    len: u64,
}

impl Metadata {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            is_dir: metadata.is_dir(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            len: metadata.len(),
        }
    }
}

impl fs::Metadata for Metadata {
    fn is_dir(&self) -> bool {
        self.is_dir
    }

    fn modified(&self) -> io::Result<SystemTime> {
        Ok(self.modified)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// One that is open.
#[derive(Debug)]
pub(super) struct File {
    metadata: Metadata,
    file: tokio::fs::File,
}

impl fs::File for File {
    type Metadata = Metadata;
    type MetadataFuture<'a> = std::future::Ready<io::Result<Metadata>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        std::future::ready(Ok(self.metadata))
    }
}

impl AsyncRead for File {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_read(context, buffer)
    }
}

impl AsyncSeek for File {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.file).poll_complete(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_dot_or_leads_away_is_hidden() {
        for hidden in [
            ".env",
            "./.git/config",
            "a/.b/c",
            "../a",
            "/etc/passwd",
            "a/../../b",
        ] {
            assert!(is_hidden(Path::new(hidden)), "{hidden}");
        }
        for shown in ["./a", "a.b", "a/b.c", "./", "a/~b"] {
            assert!(!is_hidden(Path::new(shown)), "{shown}");
        }
    }
}
