//! Writes the contents of a core module again, with the indices that they have in the one module.

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasmparser::Operator;

use crate::error::{Unknown, unknown};

/// What each index of a module is in the one module.
#[derive(Default)]
pub(crate) struct Indices {
    /// How many types, tags and segments of elements are before its own.
    pub(crate) types: u32,
    pub(crate) tags: u32,
    pub(crate) elements: u32,
    pub(crate) functions: Vec<u32>,
    pub(crate) tables: Vec<u32>,
    pub(crate) globals: Vec<u32>,
    /// Segments that fill the memory at first are in another module then.
    pub(crate) data: Vec<Option<u32>>,
}

/// Writes what is of one module.
pub(crate) struct Recoder<'i> {
    pub(crate) indices: &'i Indices,
    /// For each global of the one module, whether any code sets it.
    pub(crate) is_set: &'i mut [bool],
}

type Recoded<T> = Result<T, Error<Unknown>>;

fn at(indices: &[u32], index: u32) -> Recoded<u32> {
    let found = indices.get(index as usize).copied();
    found.ok_or_else(|| Error::UserError(unknown("an index leads nowhere")))
}

impl Reencode for Recoder<'_> {
    type Error = Unknown;

    fn type_index(&mut self, ty: u32) -> Recoded<u32> {
        Ok(self.indices.types + ty)
    }

    fn tag_index(&mut self, tag: u32) -> Recoded<u32> {
        Ok(self.indices.tags + tag)
    }

    fn element_index(&mut self, element: u32) -> Recoded<u32> {
        Ok(self.indices.elements + element)
    }

    fn function_index(&mut self, function: u32) -> Recoded<u32> {
        at(&self.indices.functions, function)
    }

    fn table_index(&mut self, table: u32) -> Recoded<u32> {
        at(&self.indices.tables, table)
    }

    fn global_index(&mut self, global: u32) -> Recoded<u32> {
        at(&self.indices.globals, global)
    }

    fn data_index(&mut self, data: u32) -> Recoded<u32> {
        let found = self.indices.data.get(data as usize).copied().flatten();
        found.ok_or_else(|| {
            Error::UserError(unknown(
                "its code uses data that is put into memory at first",
            ))
        })
    }

    fn instruction<'a>(
        &mut self,
        operator: Operator<'a>,
    ) -> Recoded<wasm_encoder::Instruction<'a>> {
        if let Operator::GlobalSet { global_index } = operator {
            let global = self.global_index(global_index)? as usize;
            self.is_set[global] = true;
        }
        utils::instruction(self, operator)
    }
}
