//! The module that comes first: the memory with all that is in it, and a way back.
//!
//! The host's functions need the memory, and a function that allocates in it, when they are made; and that is before
//! the code is there. So the memory is in a module of its own, and with it a table. The code puts the functions that
//! the host calls back into the table, and here is one for each that calls them.

use wasm_encoder::{
    CodeSection, DataSection, ExportKind, ExportSection, Function, FunctionSection, MemorySection,
    MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::DataKind;

use crate::constant;
use crate::error::{Unknown, unknown};
use crate::links::Links;

/// What the module exports.
pub(crate) const MEMORY: &str = "memory";
pub(crate) const TABLE: &str = "callbacks";

/// An instance's own function: what the host calls back.
pub(crate) type Callback = (usize, u32);

/// The type of the only memory that there is.
pub(crate) fn memory(links: &Links<'_, '_>) -> Result<MemoryType, Unknown> {
    let mut memories = (links.members.iter()).flat_map(|member| &links.module(member).memories);
    match (memories.next(), memories.next()) {
        (Some(&memory), None) => Ok(memory.into()),
        (None, _) => Err(unknown("it has no memory")),
        (Some(_), Some(_)) => Err(unknown("it has several memories")),
    }
}

/// The type of the table, which has a place for each callback.
pub(crate) fn table(callbacks: &[Callback]) -> TableType {
    TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: callbacks.len() as u64,
        maximum: Some(callbacks.len() as u64),
        shared: false,
    }
}

/// The module.
pub(crate) fn module(links: &Links<'_, '_>, callbacks: &[Callback]) -> Result<Vec<u8>, Unknown> {
    let mut types = TypeSection::new();
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    for (place, callback) in (0..).zip(callbacks) {
        let (parameters, results) = signature(links, *callback)?;
        types.ty().function(parameters.clone(), results);
        functions.function(place);
        let mut function = Function::new([]);
        let mut instructions = function.instructions();
        for parameter in 0..parameters.len() {
            instructions.local_get(parameter as u32);
        }
        instructions.i32_const(place.cast_signed());
        instructions.call_indirect(0, place).end();
        code.function(&function);
        exports.export(&place.to_string(), ExportKind::Func, place);
    }

    let mut module = Module::new();
    module.section(&types).section(&functions);
    if !callbacks.is_empty() {
        module.section(TableSection::new().table(table(callbacks)));
        exports.export(TABLE, ExportKind::Table, 0);
    }
    module.section(MemorySection::new().memory(memory(links)?));
    exports.export(MEMORY, ExportKind::Memory, 0);
    module
        .section(&exports)
        .section(&code)
        .section(&data(links)?);
    Ok(module.finish())
}

fn signature(
    links: &Links<'_, '_>,
    (instance, index): Callback,
) -> Result<(Vec<ValType>, Vec<ValType>), Unknown> {
    let module = links.module_of(instance)?;
    let ty = module.function_types().get(index as usize).copied();
    let signature = ty
        .and_then(|ty| module.signature(ty))
        .ok_or_else(|| unknown("an index leads nowhere"))?;
    let numbers = |types: &[wasmparser::ValType]| {
        let numbers = types.iter().map(|ty| match ty {
            wasmparser::ValType::I32 => Ok(ValType::I32),
            wasmparser::ValType::I64 => Ok(ValType::I64),
            _ => Err(unknown(
                "the host calls back with something else than numbers",
            )),
        });
        numbers.collect::<Result<Vec<_>, _>>()
    };
    Ok((numbers(signature.params())?, numbers(signature.results())?))
}

/// What is in the memory at first, in the order in which it was put there.
fn data(links: &Links<'_, '_>) -> Result<DataSection, Unknown> {
    let mut section = DataSection::new();
    for member in &links.members {
        let module = links.module(member);
        for data in &module.data {
            if let DataKind::Active { offset_expr, .. } = &data.kind {
                let offset = constant::number(links, member, offset_expr)?.expression();
                section.active(0, &offset, data.data.iter().copied());
            }
        }
    }
    Ok(section)
}
