//! A component's bytes. Of a large file the code and the data stay there until someone wants them: where
//! the code was compiled before it is only hashed, and the data goes straight into the memory's image.
//!
//! Files that a component brings along stand behind it: they are in its last section, and what is compiled, hashed and
//! kept is the component without them.

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

use memmap2::MmapMut;
use wasm_gw_protocol::FILES_SECTION;
use wasmparser::{BinaryReader, BinaryReaderError, Chunk, Data, Parser, Payload};

/// Smaller files are read whole, in bytes.
const SMALL_FILE: u64 = 1 << 20;

/// Smaller parts are read with what is around them, in bytes.
const SMALL_PART: usize = 256 << 10;

/// So much is read at a time where no more is known to be needed, in bytes.
const AHEAD: usize = 64 << 10;

/// So much of what is left is read at a time: the processor's cache holds it, in bytes.
const PIECE: usize = 256 << 10;

/// More than the head of a section or of a plain segment takes, in bytes.
const HEAD: usize = 64;

/// The bytes of a component.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    bytes: Bytes<'a>,
    /// Where the bytes are zeros that stand for what is still in the file.
    left: Option<Left>,
    /// Where the component ends, and the files that it brings along.
    tail: Option<Tail>,
}

/// The last section, if it is an archive of files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tail {
    /// Where the section begins.
    section: usize,
    archive: Range<usize>,
}

#[derive(Debug)]
enum Bytes<'a> {
    Given(&'a [u8]),
    Read(Vec<u8>),
    Mapped(MmapMut),
}

#[derive(Debug)]
struct Left {
    file: File,
    /// As it was before anything was read.
    facts: Metadata,
    /// In order, and apart.
    parts: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes: Bytes::Given(bytes),
            left: None,
            tail: Tail::of(bytes),
        }
    }

    /// # Errors
    ///
    /// The file cannot be read, or there is no memory for it.
    pub(crate) fn read(mut file: File) -> io::Result<Source<'static>> {
        let facts = file.metadata()?;
        // A pipe has no length and no places.
        if !facts.is_file() || facts.len() < SMALL_FILE {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Ok(Source {
                tail: Tail::of(&bytes),
                bytes: Bytes::Read(bytes),
                left: None,
            });
        }
        let length = usize::try_from(facts.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        // Zeros that take no memory until something is read there.
        let bytes = MmapMut::map_anon(length)?;
        let mut walk = Walk {
            file,
            bytes,
            done: 0,
            left: Vec::new(),
        };
        walk.component()?;
        Ok(Source {
            // All heads of sections have been read.
            tail: Tail::of(&walk.bytes),
            bytes: Bytes::Mapped(walk.bytes),
            left: (!walk.left.is_empty()).then_some(Left {
                file: walk.file,
                facts,
                parts: walk.left,
            }),
        })
    }

    /// The component, with zeros for what is left in the file: code, and contents of segments of data.
    pub(crate) fn bytes(&self) -> &[u8] {
        let all = self.all();
        &all[..self.tail.as_ref().map_or(all.len(), |tail| tail.section)]
    }

    /// Where the archive is of the files that the component brings along, for [`pieces`](Self::pieces).
    pub(crate) fn archive(&self) -> Option<Range<usize>> {
        Some(self.tail.as_ref()?.archive.clone())
    }

    fn all(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Given(bytes) => bytes,
            Bytes::Read(bytes) => bytes,
            Bytes::Mapped(bytes) => bytes,
        }
    }

    /// Finds out whether what was read until now is of one and the same file.
    ///
    /// # Errors
    ///
    /// It was written to meanwhile.
    pub(crate) fn check(&self) -> io::Result<()> {
        let Some(Left { file, facts, .. }) = &self.left else {
            return Ok(());
        };
        let key = |facts: &Metadata| {
            let modified = (facts.mtime(), facts.mtime_nsec());
            (facts.len(), modified, (facts.ctime(), facts.ctime_nsec()))
        };
        if key(&file.metadata()?) == key(facts) {
            Ok(())
        } else {
            Err(changed())
        }
    }

    /// The component, with what was left of it.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub(crate) fn whole(&self) -> io::Result<Cow<'_, [u8]>> {
        let Some(left) = &self.left else {
            return Ok(Cow::Borrowed(self.bytes()));
        };
        let mut whole = self.bytes().to_vec();
        let whole_length = whole.len();
        for part in left.parts.iter().filter(|part| part.end <= whole_length) {
            read_at(&left.file, &mut whole[part.clone()], part.start)?;
        }
        Ok(Cow::Owned(whole))
    }

    /// Hands out a part, piece by piece.
    ///
    /// # Errors
    ///
    /// Those of `take`, and the file cannot be read.
    pub(crate) fn pieces(
        &self,
        part: &Range<usize>,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut here = part.start;
        if let Some(Left { file, parts, .. }) = &self.left {
            let first = parts.partition_point(|left| left.end <= part.start);
            let mut buffer = Vec::new();
            for left in &parts[first..] {
                let left = left.start.max(here)..left.end.min(part.end);
                if left.is_empty() {
                    break;
                }
                take(&self.all()[here..left.start])?;
                buffer.resize(left.len().min(PIECE).max(buffer.len()), 0);
                for start in left.clone().step_by(PIECE) {
                    let piece = &mut buffer[..(left.end - start).min(PIECE)];
                    read_at(file, piece, start)?;
                    take(piece)?;
                }
                here = left.end;
            }
        }
        take(&self.all()[here..part.end])
    }
}

impl Tail {
    /// Goes along the sections of a component, of which only the heads are looked at.
    fn of(bytes: &[u8]) -> Option<Self> {
        const PREAMBLE: usize = 8;
        const CUSTOM: u8 = 0;
        let mut reader = BinaryReader::new(bytes, 0);
        reader.read_bytes(PREAMBLE).ok()?;
        loop {
            let section = reader.original_position();
            let id = reader.read_u8().ok()?;
            let length = reader.read_var_u32().ok()? as usize;
            let body = reader.original_position();
            reader.read_bytes(length).ok()?;
            if !reader.eof() {
                continue;
            }
            let mut inner = BinaryReader::new(&bytes[body..], body);
            let is_ours = id == CUSTOM && inner.read_string().ok()? == FILES_SECTION;
            return is_ours.then(|| Self {
                section,
                archive: inner.original_position()..bytes.len(),
            });
        }
    }
}

/// Somebody writes to the file.
pub(crate) fn changed() -> io::Error {
    io::Error::other("the file was written to while it was read; try again when it is whole")
}

/// Fills a part with what is in the file at that place.
fn read_at(file: &File, part: &mut [u8], at: usize) -> io::Result<()> {
    file.read_exact_at(part, at as u64)
        .map_err(|error| match error.kind() {
            // It was longer when its length was asked for.
            io::ErrorKind::UnexpectedEof => changed(),
            _ => error,
        })
}

/// Goes through a component and reads all but its large parts of code and data.
struct Walk {
    file: File,
    bytes: MmapMut,
    /// All before it is read or left.
    done: usize,
    left: Vec<Range<usize>>,
}

/// What to do about a payload.
enum Step {
    /// Its bytes are looked at by others: read them.
    Read,
    /// The code of a module.
    Code(Range<usize>),
    /// The segments of data between these places, so many.
    Data(Range<usize>, u32),
    /// The files that a component brings along.
    Files(Range<usize>),
    /// A module or component within this one, that this parser knows.
    Within(Parser),
    /// This module or component has ended.
    End,
}

impl Walk {
    /// What cannot be understood is read, whole: others say what is wrong with it.
    fn component(&mut self) -> io::Result<()> {
        let mut within = Vec::new();
        let mut parser = Parser::new(0);
        let mut at = 0;
        loop {
            self.read(at + HEAD)?;
            let rest = self.bytes.get(at..).unwrap_or_default();
            let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true) else {
                break;
            };
            match step(payload) {
                Step::Read => self.read(at + consumed)?,
                Step::Code(range) => {
                    self.part(&range)?;
                    parser.skip_section();
                    at = range.end;
                    continue;
                }
                Step::Data(range, count) => self.data(range, count)?,
                Step::Files(range) => self.part(&range)?,
                Step::Within(inner) => within.push(std::mem::replace(&mut parser, inner)),
                Step::End => match within.pop() {
                    Some(outer) => parser = outer,
                    None => break,
                },
            }
            at += consumed;
        }
        self.read(self.bytes.len())
    }

    fn data(&mut self, range: Range<usize>, count: u32) -> io::Result<()> {
        let mut at = range.start;
        for _ in 0..count {
            self.read(at + HEAD)?;
            let Ok(contents) = contents(&self.bytes[..range.end], at) else {
                break;
            };
            // Its head is longer than what was read of it, and so it is not what it seems.
            if contents.start > self.done {
                break;
            }
            at = contents.end;
            self.part(&contents)?;
        }
        self.read(range.end)
    }

    /// Reads on, to this place at least.
    fn read(&mut self, end: usize) -> io::Result<()> {
        if end.min(self.bytes.len()) <= self.done {
            return Ok(());
        }
        let end = end.max(self.done + AHEAD).min(self.bytes.len());
        read_at(&self.file, &mut self.bytes[self.done..end], self.done)?;
        self.done = end;
        Ok(())
    }

    /// Leaves a large part where it is.
    fn part(&mut self, part: &Range<usize>) -> io::Result<()> {
        if part.len() < SMALL_PART || part.end > self.bytes.len() {
            return self.read(part.end);
        }
        if self.done < part.end {
            self.left.push(self.done..part.end);
            self.done = part.end;
        }
        Ok(())
    }
}

fn step(payload: Payload<'_>) -> Step {
    match payload {
        Payload::CodeSectionStart { range, .. } => Step::Code(range),
        Payload::DataSection(data) => {
            Step::Data(data.original_position()..data.range().end, data.count())
        }
        Payload::ModuleSection { parser, .. } | Payload::ComponentSection { parser, .. } => {
            Step::Within(parser)
        }
        Payload::CustomSection(custom) if custom.name() == FILES_SECTION => {
            Step::Files(custom.data_offset()..custom.data_offset() + custom.data().len())
        }
        Payload::End(_) => Step::End,
        _ => Step::Read,
    }
}

/// Where the contents are of the segment of data that begins at this place.
fn contents(bytes: &[u8], at: usize) -> Result<Range<usize>, BinaryReaderError> {
    let mut reader = BinaryReader::new(&bytes[at..], at);
    let length = reader.read::<Data<'_>>()?.data.len();
    let end = reader.original_position();
    Ok(end - length..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::split;
    use crate::split::tests::{active, component, module, passive, section};

    use std::io::{Seek, Write};

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    /// A component with large data between other things.
    fn large() -> Vec<u8> {
        let segments = [
            active(16, b"small"),
            active(65_536, &vec![b'a'; SMALL_PART + 5]),
            passive(&vec![b'b'; 3 * SMALL_PART]),
            active(7_000_000, &vec![b'c'; 2 * SMALL_PART]),
        ];
        // Nobody looks at the code.
        let code = section(10, &[&[0], &vec![b'x'; SMALL_PART + 9][..]].concat());
        let mut inner = module(127, &segments);
        // Behind the memory, which takes five bytes.
        inner.splice(13..13, code);
        let inner = component(&[inner]);
        let first = component(&[module(1, &[active(0, b"first")])]);
        // Within a component, and before a custom section named "end".
        [first, section(4, &inner), section(0, b"\x03end...")].concat()
    }

    fn taken(source: &Source<'_>, part: &Range<usize>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let taken = source.pieces(part, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        taken.unwrap();
        bytes
    }

    #[test]
    fn large_parts_stay_in_the_file_until_they_are_wanted() {
        let whole = large();
        let source = Source::read(file(&whole)).unwrap();
        let left = source.left.as_ref().unwrap().parts.clone();
        let total: usize = left.iter().map(Range::len).sum();
        assert_eq!(left.len(), 4);
        // Of each at most what had been read ahead is not left.
        assert!(total > 7 * SMALL_PART - 4 * AHEAD, "{left:?}");
        for (part, byte) in left.iter().zip(*b"xabc") {
            assert!(whole[part.clone()].iter().all(|&it| it == byte));
            assert!(source.bytes()[part.clone()].iter().all(|&it| it == 0));
        }
        for part in [
            0..whole.len(),
            left[0].clone(),
            left[0].start + 1..left[0].end - 1,
            left[0].start - 9..left[1].start + 9,
            left[1].end..left[2].start,
            left[3].end..whole.len(),
            5..5,
            left[2].start + 5..left[2].start + 5,
        ] {
            assert!(taken(&source, &part) == whole[part.clone()], "{part:?}");
        }
        assert!(source.whole().unwrap() == whole);
        // What is left is nothing that is looked at.
        assert_eq!(split(source.bytes(), 9).unwrap(), split(&whole, 9).unwrap());
    }

    #[test]
    fn files_that_are_brought_along_are_not_part_of_the_component() {
        let component = large();
        let archive = vec![b'f'; 3 * SMALL_PART];
        let name = [&[FILES_SECTION.len() as u8], FILES_SECTION.as_bytes()].concat();
        let whole = [
            component.clone(),
            section(0, &[&name, &archive[..]].concat()),
        ]
        .concat();
        let source = Source::read(file(&whole)).unwrap();
        for source in [&source, &Source::of(&whole)] {
            let place = source.archive().unwrap();
            assert!(taken(source, &place) == archive);
            assert!(source.whole().unwrap() == component);
            assert!(taken(source, &(0..source.bytes().len())) == component);
        }
        assert!(
            source.left.as_ref().unwrap().parts.len() > 4,
            "they stay in the file"
        );
        // Where something follows, it is a section as any other.
        let within = [whole, section(0, b"\x03end...")].concat();
        assert_eq!(Source::of(&within).archive(), None);
        assert!(Source::of(&within).whole().unwrap() == within);
        assert_eq!(Source::of(&component).archive(), None);
    }

    #[test]
    fn what_cannot_be_understood_is_read_whole() {
        let whole = large();
        let text = b"This is no component. ".repeat(100_000);
        let mut cut = whole[..whole.len() - 700_000].to_vec();
        let mut altered = whole.clone();
        altered[40..90].fill(0xff);
        for bytes in [&text, &cut, &altered] {
            let source = Source::read(file(bytes)).unwrap();
            assert!(source.left.is_none() || *bytes != text);
            assert!(source.whole().unwrap() == *bytes);
            assert!(taken(&source, &(0..bytes.len())) == *bytes);
        }
        cut.truncate(SMALL_FILE as usize - 1);
        assert!(Source::read(file(&cut)).unwrap().bytes() == cut);
    }

    #[test]
    fn a_file_that_was_cut_off_meanwhile_is_an_error() {
        let whole = large();
        let file = file(&whole);
        let source = Source::read(file.try_clone().unwrap()).unwrap();
        file.set_len(whole.len() as u64 / 2).unwrap();
        assert!(source.pieces(&(0..whole.len()), |_| Ok(())).is_err());
        let error = source.whole().unwrap_err().to_string();
        assert!(error.contains("try again when it is whole"), "{error}");
        assert!(source.check().is_err());
    }
}
