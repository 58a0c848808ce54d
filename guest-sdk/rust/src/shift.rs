//! Routing by rewriting `SCRIPT_NAME` and `PATH_INFO` (`M13`).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Environ, Result};

/// Moves the first segment of `PATH_INFO` to the end of `SCRIPT_NAME` and
/// returns it, as `wsgiref.util.shift_path_info` does.
///
/// `None` when `PATH_INFO` is empty or the segment is `.`; an empty name for a
/// trailing slash. `..` is resolved and returned; empty segments and `.` on the
/// way are dropped. Do not call it before the application has to know: it
/// changes what [`url::reconstruct`](crate::url::reconstruct) tells.
///
/// # Errors
///
/// What [`Environ::set`] refuses.
pub fn shift_path_info(environ: &Environ) -> Result<Option<String>> {
    let Some(shifted) = shift(&environ.script_name(), &environ.path()) else {
        return Ok(None);
    };
    environ.set("SCRIPT_NAME", &shifted.script_name)?;
    environ.set("PATH_INFO", &shifted.path_info)?;
    Ok(shifted.name)
}

#[derive(Debug, PartialEq, Eq)]
struct Shifted {
    name: Option<String>,
    script_name: String,
    path_info: String,
}

fn shift(script_name: &str, path_info: &str) -> Option<Shifted> {
    if path_info.is_empty() {
        return None;
    }
    let segments: Vec<&str> = path_info.split('/').collect();
    let last = segments.len() - 1;
    let mut kept = segments
        .iter()
        .enumerate()
        .filter(|&(at, &segment)| at == 0 || at == last || !(segment.is_empty() || segment == "."))
        .map(|(_, &segment)| segment);
    let before = kept.next().unwrap_or_default();
    let name = kept.next().unwrap_or_default();
    let mut path_info = before.to_owned();
    for segment in kept {
        path_info.push('/');
        path_info.push_str(segment);
    }

    let mut script_name = normalise(&[script_name, "/", name].concat());
    if script_name.ends_with('/') {
        script_name.pop();
    }
    if name.is_empty() && !script_name.ends_with('/') {
        script_name.push('/');
    }
    Some(Shifted {
        // A last `.` was not dropped above and is no name.
        name: (name != ".").then(|| name.to_owned()),
        script_name,
        path_info,
    })
}

/// `posixpath.normpath` of a path that holds a `/`.
fn normalise(path: &str) -> String {
    // POSIX leaves two leading slashes to the system, and Python keeps them.
    let root = match path.bytes().take_while(|&byte| byte == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if kept.last().is_some_and(|&last| last != "..") => {
                kept.pop();
            }
            ".." if !root.is_empty() => {}
            other => kept.push(other),
        }
    }
    let normal = [root, &kept.join("/")].concat();
    if normal.is_empty() {
        ".".to_owned()
    } else {
        normal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, path: &str, name: Option<&str>, script_after: &str, path_after: &str) {
        let shifted = shift(script, path).unwrap_or_else(|| Shifted {
            name: None,
            script_name: script.to_owned(),
            path_info: path.to_owned(),
        });
        let expected = Shifted {
            name: name.map(str::to_owned),
            script_name: script_after.to_owned(),
            path_info: path_after.to_owned(),
        };
        assert_eq!(shifted, expected, "{script:?} {path:?}");
    }

    // Each line was compared with CPython's function.
    #[test]
    fn shifts() {
        check("", "/", Some(""), "/", "");
        check("", "/x", Some("x"), "/x", "");
        check("/", "", None, "/", "");
        check("/a", "/x/y", Some("x"), "/a/x", "/y");
        check("/a", "/x/", Some("x"), "/a/x", "/");
    }

    #[test]
    fn normalised_shifts() {
        check("/a/b", "/../y", Some(".."), "/a", "/y");
        check("", "/../y", Some(".."), "", "/y");
        check("/a/b", "//y", Some("y"), "/a/b/y", "");
        check("/a/b", "//y/", Some("y"), "/a/b/y", "/");
        check("/a/b", "/./y", Some("y"), "/a/b/y", "");
        check("/a/b", "/./y/", Some("y"), "/a/b/y", "/");
        check("/a/b", "///./..//y/.//", Some(".."), "/a", "/y/");
        check("/a/b", "///", Some(""), "/a/b/", "");
        check("/a/b", "/.//", Some(""), "/a/b/", "");
        check("/a/b", "/x//", Some("x"), "/a/b/x", "/");
        check("/a/b", "/.", None, "/a/b", "");
    }
}
