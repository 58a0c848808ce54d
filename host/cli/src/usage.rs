//! A mistake in what was asked for, on the command line or in `wasm-gw.toml`: told apart from what
//! went wrong in doing it, by an exit code of its own.

use std::fmt;

/// Says what is wrong with an option, and what would be right.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    /// From any error or text.
    pub(crate) fn of(message: impl ToString) -> Self {
        Self(message.to_string())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
