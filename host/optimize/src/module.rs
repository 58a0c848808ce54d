//! A core module, taken apart.

use std::collections::HashMap;

use wasmparser::{
    CompositeInnerType, Data, Element, ExternalKind, FuncType, FunctionBody, Global, Import,
    KnownCustom, MemoryType, Name, NameSectionReader, Parser, Payload, RecGroup, Table, TagType,
    TypeRef,
};

use crate::error::Unknown;

/// A core module. Its own items do not count those that it imports.
#[derive(Default)]
pub(crate) struct Module<'a> {
    pub(crate) types: Vec<RecGroup>,
    pub(crate) imports: Vec<Import<'a>>,
    /// The type of each function.
    pub(crate) functions: Vec<u32>,
    pub(crate) tables: Vec<Table<'a>>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) tags: Vec<TagType>,
    pub(crate) globals: Vec<Global<'a>>,
    pub(crate) exports: HashMap<&'a str, (ExternalKind, u32)>,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<Element<'a>>,
    pub(crate) data: Vec<Data<'a>>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    /// What functions are called, for whoever looks for a fault.
    pub(crate) names: Vec<(u32, &'a str)>,
    /// The group of each type, and its place in it.
    type_at: Vec<(usize, usize)>,
    /// The imports of each kind, by their places in `imports`.
    imported: [Vec<usize>; 5],
}

impl<'a> Module<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, Unknown> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            module.add(payload?)?;
        }
        for (number, group) in module.types.iter().enumerate() {
            let places = 0..group.types().len();
            module.type_at.extend(places.map(|place| (number, place)));
        }
        for (place, import) in module.imports.iter().enumerate() {
            module.imported[Kind::of(import.ty) as usize].push(place);
        }
        Ok(module)
    }

    fn add(&mut self, payload: Payload<'a>) -> Result<(), Unknown> {
        match payload {
            Payload::TypeSection(reader) => extend(&mut self.types, reader)?,
            Payload::ImportSection(reader) => extend(&mut self.imports, reader.into_imports())?,
            Payload::FunctionSection(reader) => extend(&mut self.functions, reader)?,
            Payload::TableSection(reader) => extend(&mut self.tables, reader)?,
            Payload::MemorySection(reader) => extend(&mut self.memories, reader)?,
            Payload::TagSection(reader) => extend(&mut self.tags, reader)?,
            Payload::GlobalSection(reader) => extend(&mut self.globals, reader)?,
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    self.exports
                        .insert(export.name, (export.kind, export.index));
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => extend(&mut self.elements, reader)?,
            Payload::DataSection(reader) => extend(&mut self.data, reader)?,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(reader) => {
                if let KnownCustom::Name(names) = reader.as_known() {
                    // Nothing depends on them.
                    self.names = function_names(names).unwrap_or_default();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The imported ones of a kind, in the order of their indices.
    pub(crate) fn imported(&self, kind: Kind) -> impl ExactSizeIterator<Item = &Import<'a>> {
        (self.imported[kind as usize].iter()).map(|&place| &self.imports[place])
    }

    /// The type of each function, those that are imported first.
    pub(crate) fn function_types(&self) -> Vec<u32> {
        let imported = self.imports.iter().filter_map(|import| match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => Some(ty),
            _ => None,
        });
        imported.chain(self.functions.iter().copied()).collect()
    }

    /// How many types it has.
    pub(crate) fn type_count(&self) -> u32 {
        self.type_at.len() as u32
    }

    /// The type of a function, by the type's index, if all that there is to it is what it takes and returns: such types
    /// are the same wherever they are.
    pub(crate) fn signature(&self, ty: u32) -> Option<&FuncType> {
        let &(group, place) = self.type_at.get(ty as usize)?;
        let mut types = self.types[group].types();
        let ty = types.nth(place)?;
        let is_plain = self.types[group].types().len() == 1
            && ty.is_final
            && ty.supertype_idx.is_none()
            && !ty.composite_type.shared;
        match &ty.composite_type.inner {
            CompositeInnerType::Func(signature) if is_plain => Some(signature),
            _ => None,
        }
    }

    /// Whether it puts something into memories or tables at first.
    pub(crate) fn initializes(&self) -> bool {
        !self.data.is_empty() || !self.elements.is_empty()
    }
}

/// What can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Function,
    Table,
    Memory,
    Global,
    Tag,
}

impl Kind {
    pub(crate) fn of(ty: TypeRef) -> Self {
        match ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => Self::Function,
            TypeRef::Table(_) => Self::Table,
            TypeRef::Memory(_) => Self::Memory,
            TypeRef::Global(_) => Self::Global,
            TypeRef::Tag(_) => Self::Tag,
        }
    }
}

impl From<ExternalKind> for Kind {
    fn from(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Function,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => Self::Tag,
        }
    }
}

fn extend<T>(
    all: &mut Vec<T>,
    items: impl IntoIterator<Item = wasmparser::Result<T>>,
) -> Result<(), Unknown> {
    for item in items {
        all.push(item?);
    }
    Ok(())
}

fn function_names(names: NameSectionReader<'_>) -> wasmparser::Result<Vec<(u32, &str)>> {
    let mut found = Vec::new();
    for subsection in names {
        if let Name::Function(map) = subsection? {
            for naming in map {
                let naming = naming?;
                found.push((naming.index, naming.name));
            }
        }
    }
    Ok(found)
}
