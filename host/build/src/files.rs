//! The files that a component brings along: a tar archive in a custom section of the component, which the host shows
//! the guest as a file system that can only be read.

use std::collections::HashSet;
use std::fs::File as StdFile;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasm_gw_protocol::{FILES_MOST, FILES_MOST_BYTES, FILES_SECTION};

use crate::error::BuildError;
use crate::tree::File;

/// Files for one archive.
pub(crate) struct Archive {
    tar: tar::Builder<Vec<u8>>,
    folders: HashSet<PathBuf>,
    files: usize,
}

impl Archive {
    pub(crate) fn new() -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        // The host knows of no holes.
        tar.sparse(false);
        Self {
            tar,
            folders: HashSet::new(),
            files: 0,
        }
    }

    /// Adds files beneath a folder of the guest's.
    ///
    /// # Errors
    ///
    /// One cannot be read, or it is more than a host would take.
    pub(crate) fn add(&mut self, at: &Path, files: &[File]) -> Result<(), BuildError> {
        for file in files {
            let path = at.join(&file.path);
            self.folders
                .extend(path.ancestors().skip(1).map(Path::to_owned));
            self.files += 1;
            let bytes = self.tar.get_ref().len() as u64 + file.bytes;
            // Each has a head, and may have a second one for a long name.
            let nodes = self.files + self.folders.len();
            if nodes > FILES_MOST || bytes + 4096 > FILES_MOST_BYTES as u64 {
                return Err(BuildError::TooManyFiles);
            }
            let mut add = || -> io::Result<()> {
                let source = StdFile::open(&file.source)?;
                let mut header = header(&source)?;
                self.tar.append_data(&mut header, &path, source)
            };
            add().map_err(|error| BuildError::read(&file.source, error))?;
        }
        Ok(())
    }

    /// Adds the archive to the end of a component.
    pub(crate) fn append_to(self, component: &Path) -> Result<(), BuildError> {
        let append = || -> io::Result<()> {
            let archive = self.tar.into_inner()?;
            let mut file = StdFile::options().append(true).open(component)?;
            file.write_all(&head(archive.len()))?;
            file.write_all(&archive)
        };
        append().map_err(|error| BuildError::write(component, error))
    }
}

/// Nothing of who built it where, but the time of the file: frameworks make an `ETag` of it, and a browser that has
/// the file of an older build must not be told that nothing has changed.
fn header(source: &StdFile) -> io::Result<tar::Header> {
    let metadata = source.metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata_in_mode(&metadata, tar::HeaderMode::Deterministic);
    let age = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH);
    header.set_mtime(age.map_or(0, |age| age.as_secs()));
    Ok(header)
}

/// The beginning of a custom section with so many bytes to follow.
fn head(length: usize) -> Vec<u8> {
    const CUSTOM: u8 = 0;
    let name = FILES_SECTION.as_bytes();
    let mut body = Vec::new();
    leb128(&mut body, name.len());
    body.extend_from_slice(name);
    let mut head = vec![CUSTOM];
    leb128(&mut head, body.len() + length);
    head.extend_from_slice(&body);
    head
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Begins a digest by texts, of which none can be taken for a part of another.
pub(crate) fn hasher_of(texts: &[&str]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher
}

/// A digest of files: their names and what is in them.
pub(crate) fn digest(hasher: &mut blake3::Hasher, files: &[File]) -> Result<(), BuildError> {
    let mut buffer = vec![0; 64 * 1024];
    for file in files {
        let name = file.path.as_os_str().as_encoded_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        let read = |error| BuildError::read(&file.source, error);
        let mut source = StdFile::open(&file.source).map_err(read)?;
        let mut length = 0_u64;
        loop {
            let count = source.read(&mut buffer).map_err(read)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            length += count as u64;
        }
        hasher.update(&length.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_keeps_its_time_and_nothing_else_of_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a.css");
        std::fs::write(&source, "text").unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
        let file = StdFile::options().append(true).open(&source).unwrap();
        file.set_modified(time).unwrap();

        let mut archive = Archive::new();
        let files = [File {
            source,
            path: "static/a.css".into(),
            bytes: 4,
        }];
        archive.add(Path::new("2"), &files).unwrap();
        let bytes = archive.tar.into_inner().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(&*entry.path_bytes(), b"2/static/a.css");
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 1_234_567_890);
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
    }
}
