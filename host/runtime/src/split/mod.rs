//! Takes a component apart into its code and what its memory holds at first, so that the memory can be
//! made once and shared by all instances (`slots`), where running the code's own data segments would copy
//! all of it for each request.
//!
//! Where code may name a segment, what is taken out leaves an empty one behind, so that every index still means the same. Only what
//! is plain is taken out: one module with one memory, and segments at constant places. Everything else
//! stays as it is, and is copied.

mod code;

use std::collections::HashSet;
use std::mem;
use std::ops::Range;

use wasmparser::{
    BinaryReaderError, Chunk, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, DataKind, ElementItems, ElementKind, Encoding,
    Instance, MemoryType, Operator, Parser, Payload,
};

pub(crate) use self::code::Code;
use crate::slots::Segment;

/// Below this size copying is cheaper than the page faults of a mapping, in bytes.
const SMALL: usize = 64 << 10;

/// The host's pages, and those of a memory, are multiples of it.
const PAGE: usize = 64 << 10;

/// Components deeper within each other than people's tools make them are left as they are: copying goes
/// level by level.
const DEEPEST: usize = 16;

/// What a component consists of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// What its memory holds at first, if it can be taken out.
    pub(crate) data: Option<Data>,
    /// What an instance takes of the host for its tables of functions, globals and the like; an upper
    /// bound, in bytes.
    pub(crate) instance_size: usize,
}

/// The first contents of a memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Data {
    /// Where it is, in whole pages.
    pub(crate) place: Range<usize>,
    /// In the order in which they are in the component.
    pub(crate) segments: Vec<Segment>,
    /// The number of the module whose memory it is.
    module: usize,
}

/// Finds out what a component consists of. Its code and the contents of its data are not looked at. An instance of it can consist of `most_parts` modules
/// ([`InstanceLimits::parts`](crate::InstanceLimits::parts)).
///
/// # Errors
///
/// It cannot be read. Whether what can be read is valid, the compiler says.
pub(crate) fn split(bytes: &[u8], most_parts: usize) -> Result<Split, BinaryReaderError> {
    let found = Found::of(bytes)?;
    Ok(Split {
        data: found.data()?,
        instance_size: found.instance_size(most_parts),
    })
}

/// Goes through a component, but not through the bodies of functions.
fn for_each<'a>(
    bytes: &'a [u8],
    mut look: impl FnMut(Payload<'a>) -> Result<(), BinaryReaderError>,
) -> Result<(), BinaryReaderError> {
    let mut outer = Vec::new();
    let mut parser = Parser::new(0);
    let mut at = 0;
    loop {
        let (consumed, payload) = match parser.parse(bytes.get(at..).unwrap_or_default(), true)? {
            Chunk::Parsed { consumed, payload } => (consumed, payload),
            // Not where all there is was given.
            Chunk::NeedMoreData(_) => return Ok(()),
        };
        at += consumed;
        let within = match &payload {
            Payload::ModuleSection { parser, .. } | Payload::ComponentSection { parser, .. } => {
                Some(parser.clone())
            }
            Payload::CodeSectionStart { range, .. } => {
                parser.skip_section();
                at = range.end;
                None
            }
            _ => None,
        };
        let is_end = matches!(payload, Payload::End(_));
        look(payload)?;
        if let Some(within) = within {
            outer.push(mem::replace(&mut parser, within));
        } else if is_end {
            match outer.pop() {
                Some(around) => parser = around,
                None => return Ok(()),
            }
        }
    }
}

/// What is in a component, over all modules, however deep.
#[derive(Default)]
struct Found<'a> {
    modules: Vec<Module<'a>>,
    /// So many components are within each other at most.
    depth: usize,
    /// Something may be instantiated more than once.
    repeats: bool,
}

/// What one component has instantiated, by index.
#[derive(Default)]
struct Scope {
    is_module: bool,
    modules: HashSet<u32>,
    components: HashSet<u32>,
}

#[derive(Default)]
struct Module<'a> {
    memories: Vec<MemoryType>,
    imports_memory: bool,
    data: Option<wasmparser::DataSectionReader<'a>>,
    /// Functions, globals and the like, imported or not.
    items: usize,
}

impl<'a> Found<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut found = Self::default();
        // What has begun and not ended.
        let mut within: Vec<Scope> = Vec::new();
        for_each(bytes, |payload| {
            match &payload {
                Payload::Version { encoding, .. } => {
                    let is_module = *encoding == Encoding::Module;
                    if is_module {
                        found.modules.push(Module::default());
                    }
                    within.push(Scope {
                        is_module,
                        ..Scope::default()
                    });
                    found.depth = found.depth.max(within.len());
                }
                Payload::End(_) => {
                    within.pop();
                }
                _ => {
                    let again = match within.last_mut() {
                        Some(scope) => scope.instantiates_again(&payload)?,
                        None => false,
                    };
                    found.repeats |= again;
                }
            }
            let is_module = within.last().is_some_and(|scope| scope.is_module);
            if let (true, Some(module)) = (is_module, found.modules.last_mut()) {
                module.see(payload)?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// As if as many as there may be were the largest, where something may be instantiated twice.
    fn instance_size(&self, most_parts: usize) -> usize {
        /// A function that a table or export refers to: the most that one item takes.
        const ITEM: usize = 64;
        /// The fixed part of a module's own.
        const MODULE: usize = 512;
        let sizes = self
            .modules
            .iter()
            .map(|module| MODULE + module.items * ITEM);
        if self.repeats {
            sizes.max().unwrap_or(0).saturating_mul(most_parts)
        } else {
            sizes.sum()
        }
    }

    /// What can be taken out.
    fn data(&self) -> Result<Option<Data>, BinaryReaderError> {
        if self.depth > DEEPEST {
            return Ok(None);
        }
        let mut owners =
            (self.modules.iter().enumerate()).filter(|(_, module)| !module.memories.is_empty());
        let (Some((number, module)), None) = (owners.next(), owners.next()) else {
            return Ok(None);
        };
        module.plain_data(number)
    }
}

impl Scope {
    /// Whether this instantiates what was instantiated before, or gives it a second name by which it
    /// could be.
    fn instantiates_again(&mut self, payload: &Payload<'_>) -> Result<bool, BinaryReaderError> {
        let mut again = false;
        match payload {
            Payload::InstanceSection(instances) => {
                for instance in instances.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        again |= !self.modules.insert(module_index);
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone() {
                    if let ComponentInstance::Instantiate {
                        component_index, ..
                    } = instance?
                    {
                        again |= !self.components.insert(component_index);
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    again |= match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => can_be_instantiated(kind),
                        ComponentAlias::CoreInstanceExport { .. } => false,
                        ComponentAlias::Outer { kind, .. } => matches!(
                            kind,
                            ComponentOuterAliasKind::CoreModule
                                | ComponentOuterAliasKind::Component
                        ),
                    };
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    again |= matches!(
                        import?.ty,
                        ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_)
                    );
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    again |= can_be_instantiated(export?.kind);
                }
            }
            _ => {}
        }
        Ok(again)
    }
}

fn can_be_instantiated(kind: ComponentExternalKind) -> bool {
    matches!(
        kind,
        ComponentExternalKind::Module | ComponentExternalKind::Component
    )
}

impl<'a> Module<'a> {
    fn see(&mut self, payload: Payload<'a>) -> Result<(), BinaryReaderError> {
        let count = match payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    // It has a place beside its function's.
                    self.items += 2;
                    if let wasmparser::TypeRef::Memory(_) = import?.ty {
                        self.imports_memory = true;
                    }
                }
                0
            }
            Payload::MemorySection(memories) => {
                let count = memories.count();
                self.memories = memories.into_iter().collect::<Result<_, _>>()?;
                count
            }
            Payload::DataSection(data) => {
                let count = data.count();
                self.data = Some(data);
                count
            }
            Payload::FunctionSection(functions) => functions.count(),
            Payload::TableSection(tables) => tables.count(),
            Payload::GlobalSection(globals) => globals.count(),
            Payload::TagSection(tags) => tags.count(),
            Payload::ElementSection(elements) => {
                for element in elements.clone() {
                    let element = element?;
                    // Those are copied for each instance, 16 bytes each.
                    if let ElementKind::Passive = element.kind {
                        let count = match element.items {
                            ElementItems::Functions(functions) => functions.count(),
                            ElementItems::Expressions(_, expressions) => expressions.count(),
                        };
                        self.items += count.div_ceil(4) as usize;
                    }
                }
                elements.count()
            }
            Payload::ExportSection(exports) => exports.count(),
            _ => 0,
        };
        self.items += count as usize;
        Ok(())
    }

    /// The segments, if they are plain, worth it, and within the memory.
    fn plain_data(&self, number: usize) -> Result<Option<Data>, BinaryReaderError> {
        let ([memory], Some(section)) = (&self.memories[..], &self.data) else {
            return Ok(None);
        };
        let is_plain = !self.imports_memory
            && !memory.memory64
            && !memory.shared
            && memory.page_size_log2.is_none();
        if !is_plain {
            return Ok(None);
        }
        let size = usize::try_from(memory.initial).unwrap_or(usize::MAX);
        let size = size.saturating_mul(PAGE);
        let mut segments = Vec::new();
        for segment in section.clone() {
            let segment = segment?;
            let offset_expr = match &segment.kind {
                DataKind::Passive => continue,
                DataKind::Active {
                    memory_index: 0,
                    offset_expr,
                } => offset_expr,
                DataKind::Active { .. } => return Ok(None),
            };
            let mut operators = offset_expr.get_operators_reader();
            let Operator::I32Const { value } = operators.read()? else {
                return Ok(None);
            };
            let Operator::End = operators.read()? else {
                return Ok(None);
            };
            let at = value.cast_unsigned() as usize;
            if at.saturating_add(segment.data.len()) > size {
                // Making an instance fails by it.
                return Ok(None);
            }
            if !segment.data.is_empty() {
                let end = segment.range.end;
                segments.push(Segment {
                    at,
                    bytes: end - segment.data.len()..end,
                });
            }
        }
        let total: usize = segments.iter().map(|segment| segment.bytes.len()).sum();
        let start = segments.iter().map(|segment| segment.at).min();
        let end = segments
            .iter()
            .map(|segment| segment.at + segment.bytes.len())
            .max();
        let (Some(start), Some(end)) = (start, end) else {
            return Ok(None);
        };
        let place = start / PAGE * PAGE..end.next_multiple_of(PAGE);
        // One that is mostly holes would take more of the host than was uploaded.
        if total < SMALL || place.len() > 2 * total + 2 * PAGE {
            return Ok(None);
        }
        Ok(Some(Data {
            place,
            segments,
            module: number,
        }))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::code::{COMPONENT, CORE_MODULE, DATA, write_length};
    use super::*;
    use crate::source::Source;

    const MOST_PARTS: usize = 200;

    fn split(bytes: &[u8]) -> Result<Split, BinaryReaderError> {
        super::split(bytes, MOST_PARTS)
    }

    /// What is compiled of a component.
    fn code(bytes: &[u8]) -> Vec<u8> {
        let found = split(bytes).unwrap();
        let code = Code {
            component: &Source::of(bytes),
            without: found.data.as_ref(),
        };
        code.bytes().unwrap().into_owned()
    }

    pub(crate) fn section(id: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![id];
        write_length(&mut bytes, body.len());
        bytes.extend_from_slice(body);
        bytes
    }

    /// An active segment at `i32.const at`.
    pub(crate) fn active(at: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x00, 0x41];
        // Signed LEB128: a last byte whose bit 6 is not set.
        let mut left = at;
        while left >= 0x40 {
            bytes.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        bytes.extend([left as u8, 0x0b]);
        write_length(&mut bytes, data.len());
        bytes.extend_from_slice(data);
        bytes
    }

    pub(crate) fn passive(data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x01];
        write_length(&mut bytes, data.len());
        bytes.extend_from_slice(data);
        bytes
    }

    /// A module with a memory of so many pages and these segments.
    pub(crate) fn module(pages: u8, segments: &[Vec<u8>]) -> Vec<u8> {
        let mut data = vec![segments.len() as u8];
        data.extend(segments.concat());
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        bytes.extend(section(5, &[1, 0, pages]));
        bytes.extend(section(DATA, &data));
        bytes
    }

    pub(crate) fn component(modules: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for module in modules {
            bytes.extend(section(CORE_MODULE, module));
        }
        bytes
    }

    fn large(byte: u8) -> Vec<u8> {
        vec![byte; SMALL]
    }

    #[test]
    fn segments_are_taken_out_and_leave_empty_ones_where_code_may_name_them() {
        let data = [
            active(70_000, &large(7)),
            passive(b"stays"),
            active(10, b"low"),
        ];
        // Before its data, which are the last section.
        let named = |segments: &[Vec<u8>]| {
            let mut bytes = module(4, segments);
            let before = module(4, &[]).len() - section(DATA, &[0]).len();
            bytes.splice(before..before, section(12, &[segments.len() as u8]));
            bytes
        };
        let whole = component(&[named(&data)]);
        let found = split(&whole).unwrap();
        let taken = found.data.unwrap();
        assert_eq!(taken.place, 0..3 * PAGE);
        let places: Vec<_> = taken.segments.iter().map(|segment| segment.at).collect();
        assert_eq!(places, [70_000, 10]);
        assert_eq!(whole[taken.segments[0].bytes.clone()], *large(7));
        assert_eq!(whole[taken.segments[1].bytes.clone()], *b"low");
        let emptied = [passive(b""), passive(b"stays"), passive(b"")];
        assert_eq!(code(&whole), component(&[named(&emptied)]));

        let whole = component(&[module(4, &data)]);
        assert_eq!(code(&whole), component(&[module(4, &[])]));
    }

    #[test]
    fn a_component_within_a_component_is_looked_into() {
        let inner = component(&[module(2, &[active(0, &large(1))])]);
        let mut outer = b"\0asm\x0d\0\x01\0".to_vec();
        outer.extend(section(COMPONENT, &inner));
        let data = split(&outer).unwrap().data.unwrap();
        assert_eq!(outer[data.segments[0].bytes.clone()], *large(1));
        let code = code(&outer);
        assert!(code.len() < outer.len() - SMALL);
        assert!(split(&code).unwrap().data.is_none());
    }

    #[test]
    fn code_is_told_from_other_code_but_not_by_data() {
        let identity = |bytes: &[u8]| {
            let mut identity = Vec::new();
            let found = split(bytes).unwrap();
            let code = Code {
                component: &Source::of(bytes),
                without: found.data.as_ref(),
            };
            let read = code.identify(|part| identity.extend_from_slice(part));
            read.unwrap();
            identity
        };
        let made = |at: u32, data: &[u8], tail: &[u8]| {
            let mut bytes = component(&[module(4, &[active(at, data)])]);
            bytes.extend(section(0, &[&[3], tail].concat()));
            bytes
        };
        let one = identity(&made(70_000, &large(1), b"end"));
        assert_eq!(one, identity(&made(70_000, &large(2), b"end")));
        assert_ne!(one, identity(&made(70_000, &large(1), b"And")));
        assert_ne!(one, identity(&made(70_001, &large(1), b"end")));
        assert_ne!(one, identity(&made(70_000, &vec![1; SMALL + 1], b"end")));
        let small = component(&[module(1, &[active(0, b"small")])]);
        assert_eq!(identity(&small), [&[2][..], &[0; 8], &small].concat());
    }

    #[test]
    fn what_is_not_plain_stays_as_it_is() {
        let stays = |what: &str, whole: Vec<u8>| {
            let found = split(&whole).unwrap();
            assert!(found.data.is_none(), "{what}");
        };
        let two = module(2, &[active(0, &large(1))]);
        stays("two memories", component(&[two.clone(), two]));
        stays("little", component(&[module(2, &[active(0, b"little")])]));
        let beyond = active(2 * 65_536 - 10, &large(1));
        stays("beyond the memory", component(&[module(2, &[beyond])]));
        let far = [active(0, &large(1)), active(100 * 65_536, b"far")];
        stays("mostly holes", component(&[module(101, &far)]));
        let mut global = active(0, &large(1));
        // `global.get 0`
        global[1] = 0x23;
        stays("not constant", component(&[module(2, &[global])]));
        let mut other = vec![0x02, 0x01, 0x41, 0x00, 0x0b];
        write_length(&mut other, SMALL);
        other.extend(large(1));
        stays("another memory", component(&[module(2, &[other])]));
    }

    #[test]
    fn what_may_be_instantiated_twice_counts_as_often_as_it_could_be() {
        const CORE_INSTANCE: u8 = 2;
        let module = module(1, &[]);
        let size = |tail: &[u8]| {
            let bytes = [component(std::slice::from_ref(&module)), tail.to_vec()].concat();
            split(&bytes).unwrap().instance_size
        };
        let instantiate = |times: u8| {
            let mut body = vec![times];
            for _ in 0..times {
                // Module 0, without arguments.
                body.extend([0, 0, 0]);
            }
            section(CORE_INSTANCE, &body)
        };
        let once = size(&instantiate(1));
        assert_eq!(size(&instantiate(2)), once * MOST_PARTS);
        // Modules that nobody needs do not hide it.
        let idle = component(&[b"\0asm\x01\0\0\0".to_vec()])[8..].repeat(100);
        assert!(size(&[idle, instantiate(100)].concat()) >= once * 100);
    }

    #[test]
    fn passive_elements_are_counted_one_by_one() {
        const ELEMENTS: u8 = 9;
        let count = 4000usize;
        // One segment, passive, of functions.
        let mut body = vec![1, 1, 0];
        write_length(&mut body, count);
        body.extend(vec![0; count]);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(section(ELEMENTS, &body));
        let whole = component(&[module]);
        assert!(split(&whole).unwrap().instance_size >= count * 16);
    }

    #[test]
    fn components_deep_within_each_other_are_left_alone() {
        let mut whole = component(&[module(2, &[active(0, &large(1))])]);
        for depth in 2..2000 {
            let mut outer = b"\0asm\x0d\0\x01\0".to_vec();
            outer.extend(section(COMPONENT, &whole));
            whole = outer;
            if depth == DEEPEST - 1 {
                assert!(split(&whole).unwrap().data.is_some());
            }
        }
        assert!(split(&whole).unwrap().data.is_none());
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let whole = component(&[module(2, &[active(0, &large(1))])]);
        for length in [9, 30, whole.len() - 1] {
            assert!(split(&whole[..length]).is_err(), "{length}");
        }
    }
}
