//! What an application fails with. Not for the client: the host logs it and
//! answers `500` by itself.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use core::any::{Any, type_name};
use core::fmt;

use crate::raw::types::Exception;

/// The result of an application and of what it calls.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// An error that has lost its type: what of a guest's exception crosses the
/// boundary to the host.
///
/// Any [`std::error::Error`] turns into one by `?`. For that reason it does not
/// implement that trait itself.
///
/// ```
/// use wasm_gw_guest::{Error, Result};
///
/// fn count(text: &str) -> Result<u32> {
///     match text.parse()? {
///         0 => Err(Error::msg("nothing to count")),
///         count => Ok(count),
///     }
/// }
///
/// assert_eq!(count("0").unwrap_err().message(), "nothing to count");
/// assert_eq!(count("x").unwrap_err().message(), "invalid digit found in string");
/// ```
#[derive(Clone)]
pub struct Error(Exception);

impl Error {
    /// An error of the given kind (a type's name, as a rule) and text.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Exception {
            kind: kind.into(),
            message: message.into(),
            traceback: None,
        })
    }

    /// An error that is only a text.
    pub fn msg(message: impl Into<String>) -> Self {
        Self::new("Error", message)
    }

    /// The same with a traceback: any text of several lines.
    pub fn with_traceback(mut self, traceback: impl Into<String>) -> Self {
        self.0.traceback = Some(traceback.into());
        self
    }

    /// The name of the type of the error.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The error's text.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it comes from; for a converted error its chain of sources, one
    /// `caused by: ...` a line.
    pub fn traceback(&self) -> Option<&str> {
        self.0.traceback.as_deref()
    }

    /// What is given to the host.
    pub fn as_exception(&self) -> &Exception {
        &self.0
    }

    /// What is given to the host.
    pub fn into_exception(self) -> Exception {
        self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.kind)?;
        f.write_str(": ")?;
        f.write_str(&self.0.message)?;
        if let Some(traceback) = &self.0.traceback {
            f.write_str("\n")?;
            f.write_str(traceback)?;
        }
        Ok(())
    }
}

impl<E: core::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        // An exception that comes back from the host stays what it was.
        if let Some(exception) = (&error as &dyn Any).downcast_ref::<Exception>() {
            return Self(exception.clone());
        }
        Self(Exception {
            kind: short_name(type_name::<E>()),
            message: error.to_string(),
            traceback: sources(&error),
        })
    }
}

/// The path of one of this crate's generated types says nothing to a reader of the log.
fn short_name(name: &str) -> String {
    match name.strip_prefix("wasm_gw_guest::raw::") {
        Some(inner) => {
            let last = inner.rsplit("::").next().unwrap_or(inner);
            ["wasm_gw_guest::", last].concat()
        }
        None => name.to_owned(),
    }
}

fn sources(error: &dyn core::error::Error) -> Option<String> {
    let mut source = error.source()?;
    let mut text = String::new();
    loop {
        text.push_str("caused by: ");
        text.push_str(&source.to_string());
        match source.source() {
            Some(next) => {
                text.push('\n');
                source = next;
            }
            None => return Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IoError, StartError};

    #[test]
    fn a_standard_error_keeps_its_type_and_text() {
        let error: Error = "x".parse::<u8>().unwrap_err().into();
        assert_eq!(error.kind(), "core::num::error::ParseIntError");
        assert_eq!(error.message(), "invalid digit found in string");
        assert_eq!(error.traceback(), None);
    }

    #[test]
    fn the_chain_of_sources_is_the_traceback() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let error: Error = Outer("".parse::<u8>().unwrap_err()).into();
        assert_eq!(error.message(), "outer");
        assert_eq!(
            error.traceback(),
            Some("caused by: cannot parse integer from empty string")
        );
    }

    #[test]
    fn generated_types_have_short_names() {
        let error: Error = StartError::AlreadyStarted.into();
        assert_eq!(error.kind(), "wasm_gw_guest::StartError");
        let error: Error = IoError::TooLarge.into();
        assert_eq!(error.kind(), "wasm_gw_guest::IoError");
    }

    #[test]
    fn an_exception_stays_what_it_was() {
        let error = Error::new("ValueError", "no").with_traceback("line 1");
        let again: Error = error.clone().into_exception().into();
        assert_eq!(again.as_exception(), error.as_exception());
    }
}
