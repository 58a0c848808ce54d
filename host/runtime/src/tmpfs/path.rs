//! A guest's path, taken apart. Where it leads is the volume's business.

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// The longest name.
const NAME: usize = 255;

/// The longest path.
const PATH: usize = 4095;

/// A path from a folder to somewhere beneath it.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    text: &'a str,
    /// It ends in a way that only a folder can have.
    pub(crate) is_dir: bool,
}

/// One step of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Up,
    Down(&'a str),
}

impl<'a> Path<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, ErrorCode> {
        if text.is_empty() {
            return Err(ErrorCode::NoEntry);
        }
        if text.contains('\0') {
            return Err(ErrorCode::Invalid);
        }
        if text.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        if text.len() > PATH || text.split('/').any(|name| name.len() > NAME) {
            return Err(ErrorCode::NameTooLong);
        }
        let last = text.rsplit('/').next().unwrap_or_default();
        Ok(Self {
            text,
            is_dir: matches!(last, "" | "." | ".."),
        })
    }

    /// The steps, without those that lead nowhere.
    pub(crate) fn steps(self) -> impl Iterator<Item = Step<'a>> {
        let names = self.text.split('/');
        names.filter_map(|name| match name {
            "" | "." => None,
            ".." => Some(Step::Up),
            name => Some(Step::Down(name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_steps_from_where_it_begins() {
        let check = |path: &str, steps: &[Step<'_>], is_dir| {
            let path = Path::new(path).unwrap();
            assert_eq!(path.steps().collect::<Vec<_>>(), steps);
            assert_eq!(path.is_dir, is_dir);
        };
        check("a", &[Step::Down("a")], false);
        check("a//b/", &[Step::Down("a"), Step::Down("b")], true);
        check("./a/.", &[Step::Down("a")], true);
        check("a/../..", &[Step::Down("a"), Step::Up, Step::Up], true);
        check(".", &[], true);
        check("...", &[Step::Down("...")], false);
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused() {
        let check = |path: &str, error| assert_eq!(Path::new(path).err(), Some(error));
        check("", ErrorCode::NoEntry);
        check("a\0b", ErrorCode::Invalid);
        check("/tmp/a", ErrorCode::NotPermitted);
        check(&"n".repeat(256), ErrorCode::NameTooLong);
        check(&"n/".repeat(2048), ErrorCode::NameTooLong);
    }
}
