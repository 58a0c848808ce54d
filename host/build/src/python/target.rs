//! Where the application is: `package.module:app`, as gunicorn and others name it.

use std::fmt;
use std::str::FromStr;

/// A module, and what in it is the WSGI callable, or makes it.
///
/// ```
/// use wasm_gw_build::python::Target;
///
/// let target: Target = "notes.site:create_app()".parse().unwrap();
/// assert_eq!(target.module(), "notes.site");
/// assert!("notes/site.py".parse::<Target>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    module: String,
    /// As it was given, with the parentheses of a factory.
    object: String,
}

/// It is no such name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError(String);

impl Target {
    /// The module's name, with dots.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.module
    }

    /// The callable's name in the module, which may have dots.
    #[must_use]
    pub fn object(&self) -> &str {
        self.object.strip_suffix("()").unwrap_or(&self.object)
    }

    /// Whether it is called once, at build, and the application is what it returns.
    #[must_use]
    pub fn is_factory(&self) -> bool {
        self.object.ends_with("()")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.module, self.object)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        // As gunicorn takes it.
        let (module, object) = text.split_once(':').unwrap_or((text, "application"));
        let name = object.strip_suffix("()").unwrap_or(object);
        let is_file = object == "application" && module.ends_with(".py");
        if is_path(module) && is_path(name) && !is_file {
            return Ok(Self {
                module: module.to_owned(),
                object: object.to_owned(),
            });
        }
        let mend = match text.strip_suffix(".py") {
            Some(stem) => format!("; did you mean {}:app?", stem.replace('/', ".")),
            None => String::new(),
        };
        Err(TargetError(format!(
            "`{text}` does not name an application; write package.module:app, or \
             package.module:create_app(){mend}"
        )))
    }
}

/// Whether these are identifiers with dots between them.
fn is_path(text: &str) -> bool {
    text.split('.').all(|name| {
        let mut letters = name.chars();
        letters
            .next()
            .is_some_and(|first| first == '_' || first.is_alphabetic())
            && letters.all(|letter| letter == '_' || letter.is_alphanumeric())
    })
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TargetError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_gunicorn() {
        for (text, module, object, is_factory) in [
            ("app:app", "app", "app", false),
            ("a.b.wsgi", "a.b.wsgi", "application", false),
            ("notes:create_app()", "notes", "create_app", true),
            ("notes:site.app", "notes", "site.app", false),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.module(), module);
            assert_eq!(target.object(), object);
            assert_eq!(target.is_factory(), is_factory);
        }
    }

    #[test]
    fn what_is_no_target_is_told_with_the_mend() {
        for text in [
            "",
            ":",
            "app:",
            ":app",
            "a b:app",
            "app:app:app",
            "app:app(1)",
            "9:app",
            "app.py",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        let error = "src/app.py".parse::<Target>().unwrap_err().to_string();
        assert!(error.contains("did you mean src.app:app?"), "{error}");
    }
}
