//! Why there is no component, and what would mend it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use wasm_gw_protocol::{FILES_MOST, FILES_MOST_BYTES};

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
    #[error("{}", too_large(folder, largest))]
    ProjectTooLarge {
        /// The project.
        folder: PathBuf,
        /// Some of its files, by their path from the folder, and their lengths in bytes.
        largest: Vec<(PathBuf, u64)>,
    },
    /// A link in the project leads to what is not in it.
    #[error(
        "{} leads out of the project, to {}: put what is meant in the place of the link, or leave it out by --exclude",
        link.display(),
        target.display()
    )]
    LeadsOut {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The name of a file is not text.
    #[error("the name of {} is not UTF-8: rename it, or leave it out by --exclude", .0.display())]
    Name(PathBuf),
    /// All files together are more than a host takes.
    #[error(
        "project, packages and standard library are more than {} files and folders, or {} MiB, which is the most that a \
         component may bring along",
        FILES_MOST,
        FILES_MOST_BYTES >> 20
    )]
    TooManyFiles,
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
    /// More is to be warmed than makes sense.
    #[error(
        "more than {} paths to warm: name one of each kind of page",
        crate::python::MOST_WARM
    )]
    TooManyWarm,
    /// A path that was to be warmed cannot be.
    #[error("cannot warm {path}:\n{said}")]
    Warm {
        /// The path.
        path: String,
        /// The application's own traceback, or how it answered.
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

fn too_large(folder: &Path, largest: &[(PathBuf, u64)]) -> String {
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let mut text = format!(
        "{} has more than the {} files and {} MiB that an application may bring along. Leave out what it does not \
         need, by `exclude = [\"path\"]` under [build] in wasm-gw.toml. The largest so far:",
        folder.display(),
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
