//! What can go wrong with a registry, told apart as far as callers act differently. What an answer to a client is, is theirs
//! to say.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::name::NameError;

type Cause = Box<dyn Error + Send + Sync>;

/// Why something could not be done. Nothing was changed then, and all that was there is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The disk is full, or the user has no more of it. Reading goes on.
    #[error("there is no room for more: {0}; free some of the disk and try again")]
    Full(#[source] Cause),
    /// Somebody else has it; says what.
    #[error("{0}")]
    Taken(String),
    /// It is not there; says what.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// There would be more than the caller allows.
    #[error("there are {most} {what} already, and more are not allowed; delete one first")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        most: u64,
    },
    /// A tenant has apps, so it cannot be deleted.
    #[error("the tenant still has apps; delete them first")]
    NotEmpty,
    /// A deployment has come to its end, and cannot go on from there.
    #[error("the deployment has come to its end; begin a new one")]
    Finished,
    /// No name for a tenant or an app.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not a cursor that this list gave.
    #[error("the cursor is none that this list gave; begin again without one")]
    Cursor,
    /// Another process has the folder open.
    #[error("another process uses {}; end it first, or use another folder", .0.display())]
    InUse(PathBuf),
    /// The folder belongs to another user.
    #[error("{} belongs to another user; use another folder, or chown it", .0.display())]
    Foreign(PathBuf),
    /// Others may write to the folder.
    #[error("other users may write to {path}; chmod go-w {path}", path = .0.display())]
    Writable(PathBuf),
    /// A newer program has written the database.
    #[error(
        "{} was written by a newer version of this program: it has layout {found}, and the newest that is known here is {known}; \
         install that version again, or restore the folder from before it ran",
        .path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// The newest layout that this program knows.
        known: i64,
    },
    /// The file is no database of a registry, or it is damaged.
    #[error("{} is no database of a registry ({message}); restore it, or move it away to begin anew", .path.display())]
    NoDatabase {
        /// The file.
        path: PathBuf,
        /// What about it.
        message: String,
    },
    /// The system refused something.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Of what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The database refused something.
    #[error("the database of the registry: {0}")]
    Sql(#[source] sqlx::Error),
}

/// SQLite's codes, without the part that only it can read.
const SQLITE_FULL: i32 = 13;
/// The index of the write-ahead log could not grow, which is a full disk too.
const SQLITE_IOERR_SHMSIZE: i32 = 4874;

impl RegistryError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            return Self::Full(format!("{}: {source}", path.display()).into());
        }
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// What the store of blobs said. Its errors have the system's somewhere inside.
    pub(crate) fn store(path: &Path, error: object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if inner.downcast_ref().is_some_and(is_full) {
                return Self::Full(error.into());
            }
            cause = inner.source();
        }
        Self::io(path, error.into())
    }

    /// As [`From`], but where a row may be there already, `text` says what is taken.
    pub(crate) fn or_taken(error: sqlx::Error, text: impl FnOnce() -> String) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Self::Taken(text())
            }
            _ => error.into(),
        }
    }
}

impl From<sqlx::Error> for RegistryError {
    fn from(error: sqlx::Error) -> Self {
        match code(&error) {
            Some(code) if code & 0xff == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE => {
                Self::Full(error.into())
            }
            _ => Self::Sql(error),
        }
    }
}

/// SQLite's extended code.
pub(crate) fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// No room, no more of it for this user, or no file of that length for this process.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
