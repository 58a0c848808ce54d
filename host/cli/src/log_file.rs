//! A log in a file, which is opened anew by SIGHUP: whoever rotates it renames it first.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lines are appended to it.
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    reopen: Reopen,
}

/// Asks for a file to be opened anew before the next line is written to it. Clones ask for the same.
#[derive(Clone, Default)]
pub(crate) struct Reopen(Arc<AtomicBool>);

impl Reopen {
    /// The name may stand for another file by now, or for none.
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl LogFile {
    /// # Errors
    ///
    /// It cannot be made, or written to.
    pub(crate) fn open(path: &Path, reopen: Reopen) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: open(path)?,
            reopen,
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl Write for LogFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.reopen.0.swap(false, Ordering::Relaxed) {
            match open(&self.path) {
                Ok(file) => self.file = file,
                Err(error) => tracing::error!(
                    "{} cannot be opened anew, and the file that had this name is written to: {error}",
                    self.path.display()
                ),
            }
        }
        self.file.write(lines)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
