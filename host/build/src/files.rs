//! The files that a component brings along: a tar archive in a custom section of the component, which the host shows
//! the guest as a file system that can only be read.

use std::fs::File as StdFile;
use std::io::{self, Read, Write};
use std::path::Path;

use wasm_gw_protocol::FILES_SECTION;

use crate::error::BuildError;
use crate::tree::File;

/// Files for one archive.
pub(crate) struct Archive {
    tar: tar::Builder<Vec<u8>>,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

impl Archive {
    pub(crate) fn new() -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        tar.mode(tar::HeaderMode::Deterministic);
        Self {
            tar,
            files: 0,
            bytes: 0,
        }
    }

    /// Adds files beneath a folder of the guest's.
    pub(crate) fn add(&mut self, at: &Path, files: &[File]) -> Result<(), BuildError> {
        for file in files {
            let add = || -> io::Result<()> {
                let mut source = StdFile::open(&file.source)?;
                self.tar.append_file(at.join(&file.path), &mut source)
            };
            let mut add = add;
            add().map_err(|error| BuildError::read(&file.source, error))?;
            self.files += 1;
            self.bytes += file.bytes;
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
