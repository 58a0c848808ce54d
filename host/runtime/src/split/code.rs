//! What is compiled of a component: all of it, or all but what its memory begins with.

use std::borrow::Cow;
use std::io;

use wasmparser::{BinaryReaderError, DataKind};

use super::Data;
use crate::slots::Segment;
use crate::source::Source;

/// What is compiled of a component.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code<'a> {
    pub(crate) component: &'a Source<'a>,
    /// What [`split`](super::split) has found in it, if that is left out.
    pub(crate) without: Option<&'a Data>,
}

impl<'a> Code<'a> {
    /// A component, all of it or without its data.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn bytes(&self) -> wasmtime::Result<Cow<'a, [u8]>> {
        let whole = self.component.whole()?;
        Ok(match self.without {
            None => whole,
            Some(data) => Cow::Owned(without_data(&whole, data.module)?),
        })
    }

    /// Hands out all that decides what [`bytes`](Self::bytes) is, which costs less than to make it. No two
    /// that differ hand out the same.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn identify(&self, mut part: impl FnMut(&[u8])) -> io::Result<()> {
        let segments = self.without.map_or(&[][..], |data| &data.segments);
        let number = |number: usize| (number as u64).to_le_bytes();
        part(&[FORMAT]);
        part(&number(segments.len()));
        for Segment { bytes, .. } in segments {
            part(&number(bytes.start));
            part(&number(bytes.end));
        }
        let mut between = |range| {
            self.component.pieces(&range, |piece| {
                part(piece);
                Ok(())
            })
        };
        let mut end = 0;
        for Segment { bytes, .. } in segments {
            between(end..bytes.start)?;
            end = bytes.end;
        }
        between(end..self.component.bytes().len())
    }
}

/// The component, without the active segments of its module of that number, or with empty ones in their place where the
/// code may name them.
fn without_data(bytes: &[u8], number: usize) -> Result<Vec<u8>, BinaryReaderError> {
    let mut copier = Copier { modules: 0, number };
    copier.component(bytes)
}

/// Copies section by section. What holds others is written anew, since its length changes.
struct Copier {
    /// Modules that have begun.
    modules: usize,
    /// The one to be changed.
    number: usize,
}

/// Changes when data is taken out in another way.
const FORMAT: u8 = 2;

/// Magic number, version and layer.
const PREAMBLE: usize = 8;
pub(super) const CORE_MODULE: u8 = 1;
pub(super) const COMPONENT: u8 = 4;
pub(super) const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;

impl Copier {
    fn component(&mut self, bytes: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        sections(bytes, |id, body| match id {
            CORE_MODULE => Ok(Cow::Owned(self.module(body)?)),
            COMPONENT => Ok(Cow::Owned(self.component(body)?)),
            _ => Ok(Cow::Borrowed(body)),
        })
    }

    fn module(&mut self, bytes: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        self.modules += 1;
        if self.modules - 1 != self.number {
            return Ok(bytes.to_vec());
        }
        let mut is_named = false;
        sections(bytes, |id, body| match id {
            // It is before the code, if there is any code that names a segment.
            DATA_COUNT => {
                is_named = true;
                Ok(Cow::Borrowed(body))
            }
            DATA if is_named => Ok(Cow::Owned(emptied(body)?)),
            // An empty section.
            DATA => Ok(Cow::Borrowed(&[0])),
            _ => Ok(Cow::Borrowed(body)),
        })
    }
}

/// Copies a module or component with each section's body replaced by what `body` makes of it.
fn sections<'a>(
    bytes: &'a [u8],
    mut body: impl FnMut(u8, &'a [u8]) -> Result<Cow<'a, [u8]>, BinaryReaderError>,
) -> Result<Vec<u8>, BinaryReaderError> {
    let mut reader = wasmparser::BinaryReader::new(bytes, 0);
    let mut copy = reader.read_bytes(PREAMBLE)?.to_vec();
    while !reader.eof() {
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()?;
        let new = body(id, reader.read_bytes(length as usize)?)?;
        copy.push(id);
        write_length(&mut copy, new.len());
        copy.extend_from_slice(&new);
    }
    Ok(copy)
}

/// A data section whose active segments are empty. Others stay.
fn emptied(body: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    /// Passive, of no bytes: what an active one is for the code, once it has been copied. An active one costs each
    /// instance a call that copies nothing.
    const EMPTY: [u8; 2] = [0x01, 0x00];
    let section = wasmparser::DataSectionReader::new(wasmparser::BinaryReader::new(body, 0))?;
    let mut copy = Vec::new();
    write_length(&mut copy, section.count() as usize);
    for segment in section {
        let segment = segment?;
        match segment.kind {
            DataKind::Active { .. } => copy.extend_from_slice(&EMPTY),
            DataKind::Passive => copy.extend_from_slice(&body[segment.range]),
        }
    }
    Ok(copy)
}

/// An unsigned LEB128 number.
pub(super) fn write_length(to: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            to.push(low);
            return;
        }
        to.push(low | 0x80);
    }
}
