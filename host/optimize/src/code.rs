//! Writes the contents of a core module again, with the indices that they have in the one module.

use std::collections::BTreeSet;

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
    indices: &'i Indices,
    /// The globals that the code sets, and the functions that it refers to without calling them; by their indices in the
    /// one module.
    pub(crate) set: BTreeSet<u32>,
    pub(crate) referred: BTreeSet<u32>,
}

impl<'i> Recoder<'i> {
    pub(crate) fn new(indices: &'i Indices) -> Self {
        Self {
            indices,
            set: BTreeSet::new(),
            referred: BTreeSet::new(),
        }
    }
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

    /// There is one, under however many names.
    fn memory_index(&mut self, _: u32) -> Recoded<u32> {
        Ok(0)
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
        match operator {
            Operator::GlobalSet { global_index }
            | Operator::GlobalAtomicSet { global_index, .. }
            | Operator::GlobalAtomicRmwAdd { global_index, .. }
            | Operator::GlobalAtomicRmwSub { global_index, .. }
            | Operator::GlobalAtomicRmwAnd { global_index, .. }
            | Operator::GlobalAtomicRmwOr { global_index, .. }
            | Operator::GlobalAtomicRmwXor { global_index, .. }
            | Operator::GlobalAtomicRmwXchg { global_index, .. }
            | Operator::GlobalAtomicRmwCmpxchg { global_index, .. } => {
                let global = self.global_index(global_index)?;
                self.set.insert(global);
            }
            Operator::RefFunc { function_index } => {
                let function = self.function_index(function_index)?;
                self.referred.insert(function);
            }
            _ => {}
        }
        utils::instruction(self, operator)
    }
}
