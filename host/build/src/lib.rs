//! Makes components of projects as they are.
//!
//! A build runs tools of the language, in an environment of its own and of pinned versions, and keeps what it may use
//! again in a [`Store`]. Not here: the command line, and running what was built.
//!
//! In reading order:
//!
//! | file | what |
//! |---|---|
//! | `python/` | WSGI applications |
//! | `tree.rs` | which files of a project count |
//! | `files.rs` | the archive of files in a component |
//! | `store.rs` | what is kept for the next build |
//! | `tool.rs` | runs a program |
//! | `put.rs` | puts a file in its place |
//! | `progress.rs`, `error.rs` | what whoever builds is told |

mod error;
mod files;
mod progress;
mod put;
pub mod python;
mod store;
mod tool;
mod tree;

pub use self::error::BuildError;
pub use self::progress::{Progress, Silent};
pub use self::put::put;
pub use self::store::Store;
pub use self::tree::{MOST_BYTES, MOST_FILES};
