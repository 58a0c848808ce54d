//! `wsgi.errors`: the application's log. It is not a part of the response.

use alloc::string::ToString;
use core::fmt;
#[cfg(feature = "std")]
use std::io;

#[cfg(feature = "std")]
use crate::latin1;
use crate::raw::types;

/// The application's log of this request (`S23`).
///
/// Any Unicode; it never fails. `write!` and `writeln!` work on it without an
/// import and give no result to look at:
///
/// ```no_run
/// # fn example(environ: wasm_gw_guest::Environ) {
/// writeln!(environ.errors(), "no such user: {}", environ.path());
/// # }
/// ```
///
/// For code that wants a [`std::io::Write`] or a [`std::fmt::Write`] it is both.
#[derive(Debug)]
pub struct Errors(types::Errors);

impl Errors {
    /// Wraps a handle of [`raw`](crate::raw).
    pub fn from_raw(errors: types::Errors) -> Self {
        Self(errors)
    }

    /// The handle itself.
    pub fn as_raw(&self) -> &types::Errors {
        &self.0
    }

    /// Appends a text, in one call of the host. The host ends an entry at `\n`.
    pub fn write_str(&self, text: &str) {
        self.0.write(text);
    }

    /// What `write!` calls: formats first, then makes one call of the host.
    pub fn write_fmt(&self, arguments: fmt::Arguments<'_>) {
        match arguments.as_str() {
            Some(text) => self.0.write(text),
            None => self.0.write(&arguments.to_string()),
        }
    }

    /// Makes what was written visible now, also without a last `\n`.
    pub fn flush(&self) {
        self.0.flush();
    }
}

/// Bytes that are not UTF-8 are shown as latin-1, so that none is lost.
#[cfg(feature = "std")]
impl io::Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match core::str::from_utf8(bytes) {
            Ok(text) => self.0.write(text),
            Err(_) => self.0.write(&latin1::to_latin1_string(bytes)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush();
        Ok(())
    }
}

impl fmt::Write for Errors {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text);
        Ok(())
    }
}
