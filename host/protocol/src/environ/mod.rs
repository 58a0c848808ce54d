//! `environ`: the variables one application call gets.
//!
//! Strings only. The typed `wsgi.*` keys (the flags, the body, the log) are resources of
//! the interface and live with whoever hosts them.

mod build;
mod variables;

#[cfg(test)]
mod tests;

pub use build::Facts;
pub use variables::{Presence, VARIABLES, Variable};

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::latin1;

/// Names and values, in order of arrival, each name once. All native strings.
#[derive(Clone, Debug, Default)]
pub struct Environ {
    vars: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// Bytes of all names and values together.
    size: usize,
}

/// Why a variable cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VarError {
    /// An empty name, or one with NUL or `=` in it.
    BadName(String),
    /// A code point above U+00FF (S13); carries the name.
    NotLatin1(String),
    /// More than [`Environ::MAX_VARS`] variables.
    TooMany,
    /// More than [`Environ::MAX_BYTES`] bytes.
    TooLarge,
    /// A configured variable of a name that only requests may set; see
    /// [`Environ::check_extra`].
    Reserved(String),
}

impl Environ {
    /// Most variables an environ holds.
    pub const MAX_VARS: usize = 1024;
    /// Most bytes an environ holds, counted over names and values as UTF-8.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// An environ with no variables.
    pub fn new() -> Self {
        Environ::default()
    }

    /// An environ of these variables. Of two of one name the last stays, as in a dictionary.
    ///
    /// # Errors
    ///
    /// Those of [`Environ::set`], for the first variable that has one.
    pub fn from_vars(vars: Vec<(String, String)>) -> Result<Self, VarError> {
        // Of more, some must be of one name, and looking for each of them would take too long.
        if vars.len() > Environ::MAX_VARS {
            return Err(VarError::TooMany);
        }
        let mut environ = Environ::with_capacity(vars.len());
        for (name, value) in vars {
            environ.set(name, value)?;
        }
        Ok(environ)
    }

    /// The value of a variable. Names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).map(|index| &*self.vars[index].1)
    }

    /// Sets a variable, replacing its value if there is one.
    ///
    /// # Errors
    ///
    /// See [`VarError`]. The environ is then as it was.
    pub fn set(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<(), VarError> {
        let (name, value) = (name.into(), value.into());
        check_name(&name)?;
        if !latin1::is_native(&value) {
            return Err(VarError::NotLatin1(excerpt(&name)));
        }
        match self.position(&name) {
            Some(index) => {
                let old = &mut self.vars[index].1;
                let size = self.size - old.len() + value.len();
                if size > Environ::MAX_BYTES {
                    return Err(VarError::TooLarge);
                }
                *old = value;
                self.size = size;
            }
            None => self.push(name, value)?,
        }
        Ok(())
    }

    /// Removes a variable, if it is there. The order of the others stays.
    pub fn remove(&mut self, name: &str) {
        if let Some(index) = self.position(name) {
            let (name, value) = self.vars.remove(index);
            self.size -= name.len() + value.len();
        }
    }

    /// All variables, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.vars.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many variables there are.
    pub fn len(&self) -> usize {
        self.vars.len()
    }

    /// Bytes of all names and values together: what a copy of it costs to keep.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vars.is_empty()
    }

    /// Whether a deployer may configure this variable (S16). To be asked when the
    /// configuration is read; [`Environ::build`] leaves out what fails it.
    ///
    /// # Errors
    ///
    /// [`VarError::Reserved`] for `HTTP_*`, `wsgi.*`, `wasm_gw.*`, CONTENT_TYPE and
    /// CONTENT_LENGTH, whose presence must mirror the request; else as [`Environ::set`].
    pub fn check_extra(name: &str, value: &str) -> Result<(), VarError> {
        check_name(name)?;
        if !latin1::is_native(value) {
            return Err(VarError::NotLatin1(excerpt(name)));
        }
        let reserved = ["HTTP_", "wsgi.", "wasm_gw."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || matches!(name, "CONTENT_TYPE" | "CONTENT_LENGTH");
        if reserved {
            return Err(VarError::Reserved(excerpt(name)));
        }
        Ok(())
    }

    fn with_capacity(vars: usize) -> Self {
        Environ {
            vars: Vec::with_capacity(vars),
            size: 0,
        }
    }

    // A scan: with the two dozen variables a request has it beats any index, and the cap
    // bounds what a guest can make of it.
    fn position(&self, name: &str) -> Option<usize> {
        self.vars.iter().position(|(known, _)| known == name)
    }

    /// Adds a variable that is known to be new, with a native name and value.
    fn push(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<(), VarError> {
        let (name, value) = (name.into(), value.into());
        let size = self.size + name.len() + value.len();
        if self.vars.len() >= Environ::MAX_VARS {
            return Err(VarError::TooMany);
        }
        if size > Environ::MAX_BYTES {
            return Err(VarError::TooLarge);
        }
        self.vars.push((name, value));
        self.size = size;
        Ok(())
    }

    /// Appends bytes to the value of the variable added last.
    fn extend_last(&mut self, separator: &str, bytes: &[u8]) -> Result<(), VarError> {
        if let Some((_, value)) = self.vars.last_mut() {
            let before = value.len();
            let value = value.to_mut();
            value.push_str(separator);
            latin1::push(value, bytes);
            self.size += value.len() - before;
        }
        if self.size > Environ::MAX_BYTES {
            return Err(VarError::TooLarge);
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), VarError> {
    if name.is_empty() || name.contains(['\0', '=']) {
        return Err(VarError::BadName(excerpt(name)));
    }
    if !latin1::is_native(name) {
        return Err(VarError::NotLatin1(excerpt(name)));
    }
    Ok(())
}

/// Enough of a text to recognise it by, in a message.
fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for VarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VarError::BadName(name) => write!(f, "{name:?} is not a variable's name"),
            VarError::NotLatin1(name) => write!(f, "{name:?} has a code point above U+00FF"),
            VarError::TooMany => write!(f, "more than {} variables", Environ::MAX_VARS),
            VarError::TooLarge => {
                write!(f, "more than {} bytes of variables", Environ::MAX_BYTES)
            }
            VarError::Reserved(name) => write!(f, "{name:?} is set by requests alone"),
        }
    }
}

impl Error for VarError {}
