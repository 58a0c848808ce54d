//! A component around a core module at random. The outside never changes: it is what wit-component makes of the world
//! `application` (`any_calls` of `tests/components`), and another module is put in the place of the first in it.

use std::ops::Range;
use std::sync::LazyLock;

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, FunctionSection,
    GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module, TableSection,
    TableType, TypeSection, ValType,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

use super::body::{self, DATA};
use super::smith;
use crate::source::Source;

/// The outside, with a module that calls nothing.
const TEMPLATE: &[u8] = include_bytes!("any_calls.component");

/// The ids of core modules and of their instances among a component's sections.
const CORE_MODULE: u8 = 1;
const CORE_INSTANCE: u8 = 2;

/// What the module in it imports and exports.
pub(super) struct Shape {
    types: Vec<(Vec<ValType>, Vec<ValType>)>,
    /// Module, name and type.
    pub(super) imports: Vec<(String, String, u32)>,
    /// Name and type.
    exports: Vec<(String, u32)>,
    has_memory: bool,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    let (_, module, _) = cut(TEMPLATE);
    Shape::of(module)
});

/// A component whose choices are these.
pub(super) fn of(source: &mut Source<'_>) -> Vec<u8> {
    let beside = source.once_in(4);
    // Both are made of the same bytes: what is left is then not much.
    let module = beside.then(|| smith::module(source.all()));
    let component = around(&calls(&SHAPE, source));
    match module {
        Some(module) if !module.is_empty() => beside_it(component, &module),
        _ => component,
    }
}

/// One that does as little as possible: it answers 200.
pub(crate) fn plain() -> Vec<u8> {
    around(&calls(&SHAPE, &mut Source::new(&[])))
}

/// A component with one more module at its end, and an instance of that.
fn beside_it(mut component: Vec<u8>, module: &[u8]) -> Vec<u8> {
    let modules = sections(&component).filter(|section| section.0 == CORE_MODULE);
    let index = u8::try_from(modules.count()).expect("there are few");
    push_section(&mut component, CORE_MODULE, module);
    // One instance, of this module, without arguments.
    push_section(&mut component, CORE_INSTANCE, &[1, 0, index, 0]);
    component
}

impl Shape {
    fn of(module: &[u8]) -> Self {
        let mut shape = Self {
            types: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            has_memory: false,
        };
        let mut functions = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload.expect("the template is whole") {
                Payload::TypeSection(types) => {
                    for ty in types.into_iter_err_on_gc_types() {
                        let ty = ty.expect("there are functions only");
                        let values = |values: &[wasmparser::ValType]| {
                            values.iter().copied().map(value).collect()
                        };
                        shape
                            .types
                            .push((values(ty.params()), values(ty.results())));
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.expect("the template is whole");
                        let TypeRef::Func(ty) = import.ty else {
                            panic!("{} is no function", import.name);
                        };
                        let names = (import.module.to_owned(), import.name.to_owned(), ty);
                        shape.imports.push(names);
                        functions.push(ty);
                    }
                }
                Payload::FunctionSection(defined) => {
                    functions.extend(
                        defined
                            .into_iter()
                            .map(|ty| ty.expect("the template is whole")),
                    );
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export.expect("the template is whole");
                        match export.kind {
                            ExternalKind::Func => {
                                let ty = functions[export.index as usize];
                                shape.exports.push((export.name.to_owned(), ty));
                            }
                            ExternalKind::Memory => shape.has_memory = true,
                            _ => panic!("{} is neither function nor memory", export.name),
                        }
                    }
                }
                _ => {}
            }
        }
        assert!(shape.has_memory && shape.imports.len() > 20);
        shape
    }

    pub(super) fn ty(&self, index: u32) -> (&[ValType], &[ValType]) {
        let (params, results) = &self.types[index as usize];
        (params, results)
    }

    /// The index of an import whose name ends like this.
    pub(super) fn import(&self, name: &str) -> Option<u32> {
        let found = self
            .imports
            .iter()
            .position(|(_, import, _)| import.ends_with(name));
        found.and_then(|index| index.try_into().ok())
    }
}

fn value(ty: wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        other => panic!("{other} is none of the canonical ABI's"),
    }
}

/// A module of this shape whose functions are rows of calls.
fn calls(shape: &Shape, source: &mut Source<'_>) -> Vec<u8> {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    for (params, results) in &shape.types {
        types
            .ty()
            .function(params.iter().copied(), results.iter().copied());
    }
    let mut imports = ImportSection::new();
    for (from, name, ty) in &shape.imports {
        imports.import(from, name, EntityType::Function(*ty));
    }
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    let first = u32::try_from(shape.imports.len()).unwrap_or(0);
    for (index, (name, ty)) in (first..).zip(&shape.exports) {
        functions.function(*ty);
        exports.export(name, ExportKind::Func, index);
        code.function(&body::of(shape, name, *ty, source));
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: wasm_encoder::RefType::FUNCREF,
        table64: false,
        minimum: 1,
        maximum: None,
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 3,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    // Where the next piece of memory is, and how often `next` was called.
    for initial in [1 << 16, 0] {
        let ty = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(ty, &ConstExpr::i32_const(initial));
    }
    let mut data = DataSection::new();
    let words = body::WORDS.concat();
    data.active(0, &ConstExpr::i32_const(DATA), words.bytes());
    let after = DATA + i32::try_from(words.len()).unwrap_or(0);
    data.active(
        0,
        &ConstExpr::i32_const(after),
        source.rest().iter().copied().take(400),
    );
    data.active(0, &ConstExpr::i32_const(body::HEADERS), body::headers());
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&tables)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&code)
        .section(&data);
    module.finish()
}

/// The template with this module in the place of its own.
fn around(module: &[u8]) -> Vec<u8> {
    let (before, _, after) = cut(TEMPLATE);
    let mut out = before.to_vec();
    push_section(&mut out, CORE_MODULE, module);
    out.extend_from_slice(after);
    out
}

fn push_section(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    out.push(kind);
    let mut size = content.len();
    while size >= 0x80 {
        out.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
    out.extend_from_slice(content);
}

/// What stands before the first core module, the module, and what follows.
fn cut(component: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (_, start, content) = sections(component)
        .find(|section| section.0 == CORE_MODULE)
        .expect("the template has a module");
    (
        &component[..start],
        &component[content.clone()],
        &component[content.end..],
    )
}

/// The sections of a component that is whole: the kind of each, where it starts, and where its content is.
pub(crate) fn sections(component: &[u8]) -> impl Iterator<Item = (u8, usize, Range<usize>)> {
    let mut at = 8;
    std::iter::from_fn(move || {
        let start = at;
        let kind = *component.get(start)?;
        let (mut size, mut shift, mut content) = (0usize, 0, start + 1);
        loop {
            let byte = *component.get(content)?;
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            content += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at = content + size;
        Some((kind, start, content..at))
    })
}
