//! Mounts: which application a path belongs to, and how the path is split into
//! SCRIPT_NAME and PATH_INFO (protocol 2.1 and 2.4).
//!
//! Paths are compared segment by segment, decoded after they were split at the slashes
//! that were really sent: `/ad%6Din/x` is under `/admin`, `/admin%2Fx` is not.

use std::error::Error;
use std::fmt;

use percent_encoding::percent_decode_str;

use crate::error::Refusal;
use crate::latin1;

/// The place in the path space where an application lives: the empty string for the
/// root, else `/segment/segment` with decoded segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mount(String);

/// A path, split where its mount ends. Both are native strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The mount: empty, or starts with `/` and does not end in one.
    pub script_name: String,
    /// The decoded rest: empty, or starts with `/`.
    pub path_info: String,
}

/// Why a text is no mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountError {
    /// It is neither empty nor starts with `/`.
    NoLeadingSlash,
    /// Two slashes in a row.
    EmptySegment,
    /// A segment `.` or `..`, which no path could ever mean.
    DotSegment,
    /// A control character, `?`, `#` or `%`: mounts are written decoded.
    BadCharacter(char),
}

impl Mount {
    /// Accepts `""`, `"/"`, `"/a"`, `"/a/"`, `"/a/b"`: slashes in front, one at the end
    /// dropped.
    ///
    /// # Errors
    ///
    /// See [`MountError`].
    pub fn parse(text: &str) -> Result<Mount, MountError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            return Ok(Mount::root());
        }
        let segments = text.strip_prefix('/').ok_or(MountError::NoLeadingSlash)?;
        for segment in segments.split('/') {
            match segment {
                "" => return Err(MountError::EmptySegment),
                "." | ".." => return Err(MountError::DotSegment),
                _ => {}
            }
        }
        let bad = |c: &char| c.is_control() || matches!(c, '?' | '#' | '%');
        match text.chars().find(bad) {
            Some(c) => Err(MountError::BadCharacter(c)),
            None => Ok(Mount(text.to_owned())),
        }
    }

    /// The mount that every path is under.
    pub fn root() -> Mount {
        Mount(String::new())
    }

    /// `""` or `"/a/b"`, as Unicode text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Splits an encoded path that starts with `/`; none if it is not under this mount.
    pub fn matches(&self, raw_path: &str) -> Option<Split> {
        self.prefix_of(raw_path)
            .map(|len| self.split(raw_path, len))
    }

    /// What of an encoded path is below this mount, still encoded: empty, or starts with `/`; none if the path is
    /// not under it.
    pub fn below<'a>(&self, raw_path: &'a str) -> Option<&'a str> {
        raw_path.get(self.prefix_of(raw_path)?..)
    }

    /// The mount's part of an encoded path, in bytes.
    fn prefix_of(&self, raw_path: &str) -> Option<usize> {
        let mut rest = raw_path.strip_prefix('/')?;
        if self.0.is_empty() {
            return Some(0);
        }
        let mut wanted = self.segments().peekable();
        while let Some(segment) = wanted.next() {
            let (sent, after) = match rest.split_once('/') {
                Some((sent, after)) => (sent, Some(after)),
                None => (rest, None),
            };
            if !decodes_to(sent, segment) {
                return None;
            }
            match after {
                Some(after) if wanted.peek().is_some() => rest = after,
                // The slash belongs to the rest.
                Some(after) => return Some(raw_path.len() - after.len() - 1),
                None if wanted.peek().is_none() => return Some(raw_path.len()),
                None => return None,
            }
        }
        None
    }

    fn split(&self, raw_path: &str, prefix: usize) -> Split {
        Split {
            script_name: latin1::from_utf8_text(&self.0).into_owned(),
            path_info: decode(raw_path.get(prefix..).unwrap_or("")),
        }
    }

    /// None for the root.
    fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }

    /// Whether a list of encoded segments starts with this mount's.
    fn starts(&self, sent: &[&str]) -> bool {
        let mut sent = sent.iter();
        self.segments()
            .all(|segment| sent.next().is_some_and(|sent| decodes_to(sent, segment)))
    }
}

/// Finds the longest mount that an encoded path is under, and splits the path there.
/// None: no mount, a 404. Of two equal mounts the first wins.
///
/// Dot segments are passed on as they are, so `/a/../b` is under `/a`. But where resolving
/// them would lead to another mount the request is refused: what guards one application
/// must not be a way into the other.
///
/// # Errors
///
/// 400 for such a path.
pub fn route<'m>(
    mounts: impl Iterator<Item = &'m Mount> + Clone,
    raw_path: &str,
) -> Result<Option<(usize, Split)>, Refusal> {
    let mut found: Option<(usize, &Mount, usize)> = None;
    for (index, mount) in mounts.clone().enumerate() {
        if found.is_some_and(|(_, best, _)| mount.0.len() <= best.0.len()) {
            continue;
        }
        if let Some(prefix) = mount.prefix_of(raw_path) {
            found = Some((index, mount, prefix));
        }
    }

    if let Some(segments) = resolved(raw_path) {
        let mut meant: Option<&Mount> = None;
        for mount in mounts {
            let longer = meant.is_none_or(|best| mount.0.len() > best.0.len());
            if longer && mount.starts(&segments) {
                meant = Some(mount);
            }
        }
        if meant != found.map(|(_, mount, _)| mount) {
            return Err(Refusal::bad_request("dot segments lead out of the mount"));
        }
    }
    Ok(found.map(|(index, mount, prefix)| (index, mount.split(raw_path, prefix))))
}

/// The segments of a path once its dot segments are resolved (RFC 3986 5.2.4), still
/// encoded; none if it has no dot segments.
fn resolved(raw_path: &str) -> Option<Vec<&str>> {
    let segments = || raw_path.split('/').skip(1);
    if !segments().any(|segment| dots(segment) > 0) {
        return None;
    }
    let mut kept = Vec::new();
    for segment in segments() {
        match dots(segment) {
            0 => kept.push(segment),
            1 => {}
            _ => {
                kept.pop();
            }
        }
    }
    Some(kept)
}

/// 1 for `.`, 2 for `..`, in any mixture with `%2e`; else 0.
fn dots(segment: &str) -> usize {
    // The longest that could count is `%2e%2e`.
    if segment.is_empty() || segment.len() > 6 {
        return 0;
    }
    let mut count = 0;
    for byte in percent_decode_str(segment) {
        if byte != b'.' {
            return 0;
        }
        count += 1;
    }
    if count <= 2 { count } else { 0 }
}

fn decodes_to(sent: &str, segment: &str) -> bool {
    if sent.contains('%') {
        percent_decode_str(sent).eq(segment.bytes())
    } else {
        sent == segment
    }
}

/// Percent-decoded bytes as a native string. `%zz`, `%a` and `%` stay as they are.
fn decode(raw: &str) -> String {
    if raw.contains('%') {
        percent_decode_str(raw).map(char::from).collect()
    } else {
        latin1::from_utf8_text(raw).into_owned()
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountError::NoLeadingSlash => f.write_str("a mount starts with `/`"),
            MountError::EmptySegment => f.write_str("a mount has no empty segments"),
            MountError::DotSegment => f.write_str("a mount has no `.` or `..` segments"),
            MountError::BadCharacter(c) => write!(f, "a mount cannot contain {c:?}"),
        }
    }
}

impl Error for MountError {}

#[cfg(test)]
mod tests;
