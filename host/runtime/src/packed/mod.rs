//! The files that a component brings along ([`FILES_SECTION`](wasm_gw_protocol::FILES_SECTION)): read when the
//! application is loaded, shared by all its instances, and never written.
//!
//! What is in a file stays on the disk of the cache, in a file without a name, until a guest reads it; where there
//! is no cache, it stays in memory. Not here: a guest's calls (`host.rs`).

mod host;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wasm_gw_protocol::{FILES_MOST, FILES_MOST_BYTES};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

pub(crate) use self::host::{AllFiles, add_to_linker};
use crate::cache::Cache;
use crate::source::Source;
use crate::tmpfs::path::{Path as GuestPath, Step};

/// The longest path in it, in bytes.
const LONGEST_PATH: usize = 4_095;

/// Why the files cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PackedError {
    /// They are more than a component may bring along.
    #[error(
        "the component brings along more files than {FILES_MOST}, more bytes of them than {FILES_MOST_BYTES}, or a path longer \
         than {LONGEST_PATH} bytes"
    )]
    TooMany,
    /// It is no archive of files and folders, or one with names that lead out of it.
    #[error("the files that the component brings along are damaged: {0}")]
    Damaged(io::Error),
    /// They cannot be kept.
    #[error("cannot keep the files that the component brings along: {0}")]
    Kept(io::Error),
}

/// The files of one component.
#[derive(Debug)]
pub(crate) struct Packed {
    contents: Contents,
    /// The first is the folder without a name.
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Contents {
    Disk(File),
    Memory(Vec<u8>),
}

#[derive(Debug)]
struct Node {
    parent: Id,
    kind: Kind,
    modified: SystemTime,
}

#[derive(Debug)]
enum Kind {
    Folder(BTreeMap<Box<str>, Id>),
    File(Range<u64>),
}

/// Which node.
pub(crate) type Id = u32;

/// The folder without a name.
const ROOT: Id = 0;

impl Packed {
    /// Those of a component, if it has any. They are put onto the disk of the cache, if there is one.
    pub(crate) fn of(
        source: &Source<'_>,
        cache: Option<&Cache>,
    ) -> Result<Option<Arc<Self>>, PackedError> {
        let Some(place) = source.archive() else {
            return Ok(None);
        };
        if place.len() > FILES_MOST_BYTES {
            return Err(PackedError::TooMany);
        }
        let contents = Contents::copy(source, &place, cache).map_err(PackedError::Kept)?;
        let mut nodes = vec![Node {
            parent: ROOT,
            kind: Kind::Folder(BTreeMap::new()),
            modified: SystemTime::UNIX_EPOCH,
        }];
        read_archive(&mut nodes, &contents, place.len() as u64)?;
        Ok(Some(Arc::new(Self { contents, nodes })))
    }

    /// The folders at the top, and their names.
    pub(crate) fn top(&self) -> impl Iterator<Item = (&str, Id)> {
        self.names(ROOT)
            .into_iter()
            .flatten()
            .filter(|&(_, id)| self.names(id).is_some())
    }

    fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    /// The names in a folder, in order.
    fn names(&self, id: Id) -> Option<impl Iterator<Item = (&str, Id)>> {
        match &self.node(id).kind {
            Kind::Folder(names) => Some(names.iter().map(|(name, &id)| (&**name, id))),
            Kind::File(_) => None,
        }
    }

    /// The name in a folder that comes after another.
    fn name_after(&self, id: Id, last: Option<&str>) -> Option<(&str, Id)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let Kind::Folder(names) = &self.node(id).kind else {
            return None;
        };
        let after = last.map_or(Unbounded, Excluded);
        let next = names.range::<str, _>((after, Unbounded)).next();
        next.map(|(name, &id)| (&**name, id))
    }

    /// What a path leads to from a folder, which it cannot leave.
    fn find(&self, root: Id, from: Id, path: &str) -> Result<Id, ErrorCode> {
        let path = GuestPath::new(path)?;
        let mut here = from;
        for step in path.steps() {
            let Kind::Folder(names) = &self.node(here).kind else {
                return Err(ErrorCode::NotDirectory);
            };
            here = match step {
                Step::Up if here == root => return Err(ErrorCode::NotPermitted),
                Step::Up => self.node(here).parent,
                Step::Down(name) => *names.get(name).ok_or(ErrorCode::NoEntry)?,
            };
        }
        if path.is_dir && self.names(here).is_none() {
            return Err(ErrorCode::NotDirectory);
        }
        Ok(here)
    }

    /// Up to `most` bytes of a file from some place on; none at its end.
    fn read(&self, id: Id, offset: u64, most: usize) -> Result<Vec<u8>, ErrorCode> {
        let Kind::File(range) = &self.node(id).kind else {
            return Err(ErrorCode::IsDirectory);
        };
        let length = range.end - range.start;
        let left = length.saturating_sub(offset);
        if left == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; usize::try_from(left).map_or(most, |left| left.min(most))];
        let read = self
            .contents
            .read_at(&mut bytes, range.start.saturating_add(offset));
        read.map_err(|_| ErrorCode::Io)?;
        Ok(bytes)
    }
}

fn read_archive(
    nodes: &mut Vec<Node>,
    contents: &Contents,
    length: u64,
) -> Result<(), PackedError> {
    let reader = || Reader {
        contents,
        length,
        at: 0,
    };
    check_heads(tar::Archive::new(reader()))?;
    let mut archive = tar::Archive::new(reader());
    for entry in archive.entries_with_seek().map_err(PackedError::Damaged)? {
        let entry = entry.map_err(PackedError::Damaged)?;
        let path = entry.path_bytes();
        if path.len() > LONGEST_PATH {
            return Err(PackedError::TooMany);
        }
        let path = std::str::from_utf8(&path).map_err(|_| damaged("a name is not UTF-8"))?;
        let begin = entry.raw_file_position();
        let end = begin.checked_add(entry.size()).filter(|&end| end <= length);
        let range = begin..end.ok_or_else(|| damaged("a file ends after the archive"))?;
        let file = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => Some(range),
            tar::EntryType::Directory => None,
            _ => return Err(damaged("there is something else than files and folders")),
        };
        let seconds = entry.header().mtime().map_err(PackedError::Damaged)?;
        let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let modified = modified.unwrap_or(SystemTime::UNIX_EPOCH);
        add(nodes, path, file.as_ref(), modified)?;
    }
    Ok(())
}

/// Refuses what takes memory to understand, before anything is understood: whoever reads lists of holes and long names
/// makes room for them first.
fn check_heads(mut archive: tar::Archive<Reader<'_>>) -> Result<(), PackedError> {
    const LONGEST_NAME: u64 = 2 * LONGEST_PATH as u64;
    for entry in archive
        .entries_with_seek()
        .map_err(PackedError::Damaged)?
        .raw(true)
    {
        let entry = entry.map_err(PackedError::Damaged)?;
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::Directory => {}
            tar::EntryType::GNULongName | tar::EntryType::XHeader => {
                if entry.size() > LONGEST_NAME {
                    return Err(PackedError::TooMany);
                }
            }
            _ => return Err(damaged("there is something else than files and folders")),
        }
    }
    Ok(())
}

/// Adds a file, or a folder, and those around it.
fn add(
    nodes: &mut Vec<Node>,
    path: &str,
    file: Option<&Range<u64>>,
    modified: SystemTime,
) -> Result<(), PackedError> {
    let mut names = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => names.extend(name.to_str()),
            _ => return Err(damaged("a name leads out of it")),
        }
    }
    let mut here = ROOT;
    let last = names.len().saturating_sub(1);
    for (number, name) in names.into_iter().enumerate() {
        let file = file.filter(|_| number == last);
        let count = nodes.len();
        let Kind::Folder(within) = &mut nodes[here as usize].kind else {
            return Err(damaged("a file is a folder, too"));
        };
        if let Some(&there) = within.get(name) {
            // As whoever unpacks an archive does: the later one counts.
            match (file, &mut nodes[there as usize].kind) {
                (Some(range), Kind::File(earlier)) => *earlier = range.clone(),
                (None, Kind::Folder(_)) => {}
                _ => return Err(damaged("a file is a folder, too")),
            }
            here = there;
            continue;
        }
        if count >= FILES_MOST {
            return Err(PackedError::TooMany);
        }
        let new = u32::try_from(count).map_err(|_| PackedError::TooMany)?;
        within.insert(name.into(), new);
        nodes.push(Node {
            parent: here,
            kind: file.map_or_else(
                || Kind::Folder(BTreeMap::new()),
                |range| Kind::File(range.clone()),
            ),
            modified,
        });
        here = new;
    }
    Ok(())
}

fn damaged(why: &str) -> PackedError {
    PackedError::Damaged(io::Error::new(io::ErrorKind::InvalidData, why))
}

impl Contents {
    fn copy(source: &Source<'_>, place: &Range<usize>, cache: Option<&Cache>) -> io::Result<Self> {
        if let Some(cache) = cache {
            let copy = || -> io::Result<File> {
                let mut file = cache.nameless()?;
                source.pieces(place, |piece| file.write_all(piece))?;
                Ok(file)
            };
            match copy() {
                Ok(file) => return Ok(Self::Disk(file)),
                Err(error) => tracing::warn!(
                    "the files that an application brings along are kept in memory, not beside the cache: {error}"
                ),
            }
        }
        let mut bytes = Vec::with_capacity(place.len());
        source.pieces(place, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(Self::Memory(bytes))
    }

    /// All of the bytes at a place, which is within.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.read_exact_at(bytes, at),
            Self::Memory(all) => {
                let begin = usize::try_from(at).map_err(|_| io::ErrorKind::UnexpectedEof)?;
                let end = begin.checked_add(bytes.len());
                let part = end.and_then(|end| all.get(begin..end));
                bytes.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// The archive, for whoever reads its heads.
struct Reader<'a> {
    contents: &'a Contents,
    length: u64,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.contents.read_at(&mut buffer[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
