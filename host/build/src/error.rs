//! Why there is no component, and what would mend it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why a project could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The project is more than a component should carry.
    #[error("{}", too_large(folder, *bytes, *files, largest))]
    ProjectTooLarge {
        /// The project.
        folder: PathBuf,
        /// Of all its files.
        bytes: u64,
        /// Their number.
        files: usize,
        /// Some of them, by their path from the folder.
        largest: Vec<(PathBuf, u64)>,
    },
    /// There is no interpreter to run the tools with.
    #[error("{0}")]
    NoPython(String),
    /// A program cannot be started, or not be heard.
    #[error("cannot run {name} ({}): {error}", program.display())]
    Tool {
        /// What people call it.
        name: &'static str,
        /// Its file.
        program: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A program has failed at what it is for.
    #[error("{name} failed ({status}) while {doing}:\n{said}")]
    ToolFailed {
        /// What people call it.
        name: &'static str,
        /// What it was asked to do.
        doing: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        said: String,
    },
    /// The packages cannot be had for this interpreter.
    #[error("{0}")]
    Packages(String),
    /// The application cannot be imported, or is none: what it says itself.
    #[error("{target} cannot be imported{hint}:\n{said}")]
    Application {
        /// As it was named.
        target: String,
        /// What may be the reason, if that is known.
        hint: String,
        /// Its own traceback, or a sentence.
        said: String,
    },
}

impl BuildError {
    pub(crate) fn read(path: &Path, error: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            error,
        }
    }

    pub(crate) fn write(path: &Path, error: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            error,
        }
    }
}

fn too_large(folder: &Path, bytes: u64, files: usize, largest: &[(PathBuf, u64)]) -> String {
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let mut text = format!(
        "{} has {files} files of {} MiB, more than the {} files and {} MiB that an application may bring along. \
         Leave out what it does not need, by `exclude = [\"path\"]` under [build] in wasm-gw.toml. The largest:",
        folder.display(),
        mebibytes(bytes),
        crate::tree::MOST_FILES,
        mebibytes(crate::tree::MOST_BYTES),
    );
    for (path, bytes) in largest {
        text.push_str(&format!(
            "\n  {:>6} MiB  {}",
            mebibytes(*bytes),
            path.display()
        ));
    }
    text
}
