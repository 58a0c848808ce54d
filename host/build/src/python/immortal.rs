//! Objects of the interpreter that nobody counts any more (PEP 683): those that the component begins with.
//!
//! CPython counts who uses an object in the object itself. A request that only looks at what was there before so writes
//! to hundreds of pages, which have to be made new for the next one. An object whose count says that it is
//! immortal is left alone. The shim lists where objects are (`layout.py`), since the interpreter knows; here the
//! counts are changed, in the component's data.
//!
//! Code that has run has learnt which of its constants are immortal, and counts the others without another look. So what it
//! has learnt is changed too: one byte of CPython's bytecode for each such place, of which there is a list.
//!
//! It is done only where everything is as it is known of CPython 3.14 with pointers of 32 bits: each place that was
//! listed must have a count that can be one, and a type that is listed, and that says of itself that it is a type.

use std::ops::Range;

use wasmparser::{DataKind, Operator, Parser, Payload};

/// `_Py_IMMORTAL_INITIAL_REFCNT`: what is made immortal has this count.
const IMMORTAL: u32 = 5 << 28;

/// `_Py_STATIC_IMMORTAL_INITIAL_REFCNT`: `None` and all that the interpreter is born with.
const BORN_IMMORTAL: u32 = 7 << 28;

/// What has a higher count is left alone: it may be an address, as in a place that was freed.
const MOST: u32 = 1 << 19;

/// From an object to the pointer to its type.
const OB_TYPE: usize = 4;

/// From a type to its flags.
const TP_FLAGS: usize = 84;

/// `Py_TPFLAGS_TYPE_SUBCLASS`: what is of this type is a type.
const TYPE_SUBCLASS: u32 = 1 << 31;

/// Makes the objects immortal that `listed` has a bit for, the lowest first, for each fourth byte of the memory; and lets
/// code load the constants in `constants` as such: its first two bytes are the instruction that is there and the one that is to
/// be there, and from the fifth on it has the places, of four bytes each.
///
/// # Errors
///
/// Something is not as it is known, and nothing was changed. The text says what.
pub(crate) fn make(component: &mut [u8], listed: &[u8], constants: &[u8]) -> Result<(), String> {
    let segments = segments(component)?;
    let memory = Memory::of(component, &segments);
    let mut mortal = Vec::new();
    let mut is_any_born_immortal = false;
    for at in places(listed) {
        let kind = memory.word(at + OB_TYPE).map(|kind| kind as usize);
        let is_typed = kind.is_some_and(|kind| has(listed, kind) && memory.is_type(kind));
        match memory.word(at) {
            Some(count @ 1..) if is_typed => {
                is_any_born_immortal |= count == BORN_IMMORTAL;
                if count <= MOST {
                    mortal.push(at);
                }
            }
            _ => return Err(format!("there is no object at {at:#x}")),
        }
    }
    if !is_any_born_immortal {
        return Err("no object is immortal from its beginning".to_owned());
    }
    let [before, after, _, _, loads @ ..] = constants else {
        return Err("nothing is known of constants".to_owned());
    };
    let whole = |at: usize, size: usize| {
        in_file(&segments, at, size).ok_or(format!("{at:#x} is not whole in the data"))
    };
    let counts = mortal.iter().map(|at| whole(*at, 4));
    let counts = counts.collect::<Result<Vec<_>, _>>()?;
    let loads = loads.as_chunks::<4>().0.iter().map(|at| {
        let place = whole(u32::from_le_bytes(*at) as usize, 1)?;
        match component[place] == *before {
            true => Ok(place),
            false => Err("code that loads no constant".to_owned()),
        }
    });
    let loads = loads.collect::<Result<Vec<_>, _>>()?;
    for place in counts {
        component[place..place + 4].copy_from_slice(&IMMORTAL.to_le_bytes());
    }
    for place in loads {
        component[place] = *after;
    }
    Ok(())
}

/// The places that have a bit.
fn places(listed: &[u8]) -> impl Iterator<Item = usize> {
    let bytes = listed.iter().enumerate();
    bytes.flat_map(|(index, byte)| {
        let bits = (0..8).filter(move |bit| byte & (1 << bit) != 0);
        bits.map(move |bit| (index * 8 + bit) * 4)
    })
}

fn has(listed: &[u8], at: usize) -> bool {
    let byte = listed.get(at / 32);
    at.is_multiple_of(4) && byte.is_some_and(|byte| byte & (1 << (at / 4 % 8)) != 0)
}

/// A piece of the memory's first contents.
struct Segment {
    /// Where in the memory it begins.
    at: usize,
    /// Where in the component it is.
    bytes: Range<usize>,
}

/// All of them, the lowest first.
fn segments(component: &[u8]) -> Result<Vec<Segment>, String> {
    let mut all = Vec::new();
    let mut modules = 0;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| error.to_string())?;
        let Payload::DataSection(reader) = payload else {
            continue;
        };
        modules += usize::from(reader.count() > 0);
        for data in reader {
            let data = data.map_err(|error| error.to_string())?;
            let DataKind::Active {
                memory_index: 0,
                offset_expr,
            } = data.kind
            else {
                return Err("a segment of no known memory".to_owned());
            };
            let mut operators = offset_expr.get_operators_reader();
            let (Ok(Operator::I32Const { value }), Ok(Operator::End)) =
                (operators.read(), operators.read())
            else {
                return Err("a segment at no known place".to_owned());
            };
            all.push(Segment {
                at: value.cast_unsigned() as usize,
                bytes: data.range.end - data.data.len()..data.range.end,
            });
        }
    }
    if modules != 1 {
        return Err(format!("data in {modules} modules"));
    }
    all.sort_by_key(|segment| segment.at);
    let overlap = |pair: &[Segment]| pair[0].at + pair[0].bytes.len() > pair[1].at;
    if all.windows(2).any(overlap) {
        return Err("segments that overlap".to_owned());
    }
    Ok(all)
}

/// Where in the component so many bytes of the memory are, if they are together.
fn in_file(segments: &[Segment], at: usize, size: usize) -> Option<usize> {
    let behind = segments.partition_point(|segment| segment.at <= at);
    let segment = &segments[behind.checked_sub(1)?];
    let within = at - segment.at;
    (within + size <= segment.bytes.len()).then_some(segment.bytes.start + within)
}

/// What the memory holds at first.
struct Memory(Vec<u8>);

impl Memory {
    fn of(component: &[u8], segments: &[Segment]) -> Self {
        let last = segments.last();
        let size = last.map_or(0, |last| last.at + last.bytes.len());
        let mut memory = vec![0; size];
        for Segment { at, bytes } in segments {
            memory[*at..at + bytes.len()].copy_from_slice(&component[bytes.clone()]);
        }
        Self(memory)
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Whether the type of this object says that such objects are types.
    fn is_type(&self, at: usize) -> bool {
        let kind = self.word(at + OB_TYPE);
        let flags = kind.and_then(|kind| self.word(kind as usize + TP_FLAGS));
        flags.is_some_and(|flags| flags & TYPE_SUBCLASS != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: u32 = 0x100;
    const NONE: u32 = 0x200;
    const TEXT: u32 = 0x208;

    /// Where a constant is loaded.
    const LOAD: u32 = 0x211;
    const CONSTANTS: [u8; 8] = [191, 190, 0, 0, 0x11, 2, 0, 0];

    /// `type`, which is its own type; `None`; a text that three use; and code. Here all objects are of type `type`.
    fn words() -> Vec<(u32, u32)> {
        vec![
            (TYPE, BORN_IMMORTAL),
            (TYPE + 4, TYPE),
            (TYPE + 84, TYPE_SUBCLASS),
            (NONE, BORN_IMMORTAL),
            (NONE + 4, TYPE),
            (TEXT, 3),
            (TEXT + 4, TYPE),
            (LOAD - 1, 0x00_00_bf_01),
        ]
    }

    fn listed(places: &[u32]) -> Vec<u8> {
        let mut bits = vec![0; 64];
        for place in places {
            bits[*place as usize / 32] |= 1 << (place / 4 % 8);
        }
        bits
    }

    /// A module with a segment for each of these words.
    fn module(words: &[(u32, u32)]) -> Vec<u8> {
        let mut section = leb(words.len());
        for (at, word) in words {
            section.extend([0, 0x41]);
            // Places are small enough to look the same with a sign.
            section.extend(leb(*at as usize));
            section.extend([0x0b, 4]);
            section.extend(word.to_le_bytes());
        }
        let mut module = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01\x0b".to_vec();
        module.extend(leb(section.len()));
        module.extend(section);
        module
    }

    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        // One byte more, so that the sign of a signed one is none.
        while number > 63 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    #[test]
    fn what_is_counted_becomes_immortal_and_nothing_else_changes() {
        let mut changed = module(&words());
        make(&mut changed, &listed(&[TYPE, NONE, TEXT]), &CONSTANTS).unwrap();
        let mut expected = words();
        expected[5].1 = IMMORTAL;
        expected[7].1 = 0x00_00_be_01;
        assert_eq!(changed, module(&expected));
    }

    #[test]
    fn what_is_counted_very_often_is_counted_on() {
        let mut often = words();
        often[5].1 = MOST + 1;
        let mut changed = module(&often);
        make(
            &mut changed,
            &listed(&[TYPE, NONE, TEXT]),
            &[191, 190, 0, 0],
        )
        .unwrap();
        assert_eq!(changed, module(&often));
    }

    #[test]
    fn what_is_not_as_it_is_known_is_left_as_it_is() {
        let refused = |words: Vec<(u32, u32)>, places: &[u32], why: &str| {
            let before = module(&words);
            let mut after = before.clone();
            let error = make(&mut after, &listed(places), &CONSTANTS).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert_eq!(after, before);
        };
        let all = [TYPE, NONE, TEXT];
        let with = |index: usize, word: u32| {
            let mut words = words();
            words[index].1 = word;
            words
        };
        refused(with(5, 0), &all, "no object at 0x208");
        // Of a type that is none, that is not listed, or that is nowhere.
        refused(with(2, 0), &all, "no object at 0x100");
        refused(words(), &[NONE, TEXT], "no object at 0x200");
        refused(with(6, 0x7fff_fff0), &all, "no object at 0x208");
        // Of another interpreter.
        let mut words_of_another = with(0, IMMORTAL);
        words_of_another[3].1 = IMMORTAL;
        refused(words_of_another, &all, "from its beginning");
        refused(words(), &[TYPE, NONE, TEXT, 0x1f0], "no object at 0x1f0");
        let mut doubled = words();
        doubled.push((NONE + 2, 1));
        refused(doubled, &all, "overlap");
        refused(Vec::new(), &all, "data in 0 modules");
        refused(with(7, 1), &all, "loads no constant");
        refused(words()[..7].to_vec(), &all, "not whole");
    }

    #[test]
    fn a_count_that_is_not_whole_in_the_data_is_none_to_change() {
        let all = segments(&module(&[(0x100, 1), (0x104, 2), (0x110, 3)])).unwrap();
        let place = |at| in_file(&all, at, 4).map(|place| place - all[0].bytes.start);
        assert_eq!(place(0x100), Some(0));
        assert!(place(0x110).is_some());
        for nowhere in [0xfc, 0xff, 0x102, 0x106, 0x10c, 0x112, 0x200] {
            assert_eq!(place(nowhere), None, "{nowhere:#x}");
        }
    }
}
