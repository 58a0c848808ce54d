//! The table that tools put between a module and the host.
//!
//! The host's functions need the module's memory, so they can be made only when the module is there; but it imports
//! them. So tools give it the functions of a small module that call through a table, and fill that table afterwards.
//! Here that is seen through: which function is behind each.

use std::collections::HashMap;

use wasmparser::{ElementItems, ElementKind, ExternalKind, FuncType, Operator, TableInit};

use crate::constant::plain;
use crate::error::Unknown;
use crate::links::Source;
use crate::module::{Kind, Module};
use crate::parts::{Instance, Parts};

/// A module that calls through a table, and the one that fills it. Nobody else has the table.
pub(crate) struct Bridge<'a> {
    /// The instance that fills the table.
    pub(crate) filler: usize,
    /// For each function by its name, what the filler imports for it, as module and name.
    pub(crate) behind: HashMap<&'a str, (&'a str, &'a str)>,
    /// What the filler calls when the table is filled.
    pub(crate) start: Option<(&'a str, &'a str)>,
}

/// Finds those of a component, by the instance that calls through a table.
pub(crate) fn find<'a>(
    parts: &Parts<'a>,
    modules: &[Module<'a>],
    table_behind: impl Fn(usize, &'a str) -> Result<Source, Unknown>,
) -> Result<HashMap<usize, Bridge<'a>>, Unknown> {
    // Who imports which instance's table.
    let mut users: HashMap<usize, Vec<usize>> = HashMap::new();
    for (number, instance) in parts.instances.iter().enumerate() {
        let Instance::Module { module, .. } = instance else {
            continue;
        };
        for import in modules[*module].imported(Kind::Table) {
            let from = parts.argument(number, import.module)?;
            if let Source::Own { instance, .. } = table_behind(from, import.name)? {
                users.entry(instance).or_default().push(number);
            }
        }
    }
    let mut bridges = HashMap::new();
    for (number, instance) in parts.instances.iter().enumerate() {
        let Instance::Module { module, .. } = instance else {
            continue;
        };
        let Some(&[filler]) = users.get(&number).map(Vec::as_slice) else {
            continue;
        };
        let Instance::Module {
            module: filling, ..
        } = parts.instances[filler]
        else {
            continue;
        };
        if let Some(places) = calls_through(&modules[*module])?
            && let Some(filled) = fills(&modules[filling])?
            // Else no instance of it can be made.
            && filled.end <= modules[*module].tables[0].ty.initial
            && let Some(behind) = behind(&places, &filled)
        {
            bridges.insert(
                number,
                Bridge {
                    filler,
                    behind,
                    start: filled.start,
                },
            );
        }
    }
    Ok(bridges)
}

/// What is behind each function, if a call of any would come to it.
fn behind<'a>(
    places: &HashMap<&'a str, Place<'_>>,
    filled: &Filled<'a, '_>,
) -> Option<HashMap<&'a str, (&'a str, &'a str)>> {
    let mut behind = HashMap::new();
    for (&name, place) in places {
        let (function, signature) = filled.functions.get(&place.number)?;
        if *signature != place.signature {
            return None;
        }
        behind.insert(name, *function);
    }
    Some(behind)
}

/// A place in the table, and the type that it is called with.
struct Place<'m> {
    number: u32,
    signature: &'m FuncType,
}

/// The place in the table of each function, if a module does nothing but call through it.
fn calls_through<'a, 'm>(
    module: &'m Module<'a>,
) -> Result<Option<HashMap<&'a str, Place<'m>>>, Unknown> {
    let is_small = module.imports.is_empty()
        && module.tables.len() == 1
        && matches!(module.tables[0].init, TableInit::RefNull)
        && module.memories.is_empty()
        && module.globals.is_empty()
        && !module.initializes()
        && module.start.is_none();
    if !is_small {
        return Ok(None);
    }
    let mut places = HashMap::new();
    for (&name, &(kind, index)) in &module.exports {
        if kind != ExternalKind::Func {
            continue;
        }
        let index = index as usize;
        match place_of_call(module, module.functions[index], index)? {
            Some(place) => {
                places.insert(name, place);
            }
            None => return Ok(None),
        }
    }
    Ok(Some(places))
}

/// The place that a function calls, which passes on what it got and does nothing else.
fn place_of_call<'m>(
    module: &'m Module<'_>,
    ty: u32,
    index: usize,
) -> Result<Option<Place<'m>>, Unknown> {
    let body = &module.bodies[index];
    let Some(signature) = module.signature(ty) else {
        return Ok(None);
    };
    let mut operators = body.get_operators_reader()?;
    for number in 0..signature.params().len() {
        match operators.read()? {
            Operator::LocalGet { local_index } if local_index as usize == number => {}
            _ => return Ok(None),
        }
    }
    let Operator::I32Const { value } = operators.read()? else {
        return Ok(None);
    };
    let passes_on = matches!(
        operators.read()?,
        Operator::CallIndirect { type_index, table_index: 0 } if type_index == ty
    ) && matches!(operators.read()?, Operator::End)
        && operators.eof();
    Ok(passes_on.then(|| Place {
        number: value.cast_unsigned(),
        signature,
    }))
}

/// What a module puts where in a table, and what it starts then; both by what it imports.
struct Filled<'a, 'm> {
    functions: HashMap<u32, ((&'a str, &'a str), &'m FuncType)>,
    /// The table must be so large.
    end: u64,
    start: Option<(&'a str, &'a str)>,
}

/// What a module fills a table with, if it does nothing else.
fn fills<'a, 'm>(module: &'m Module<'a>) -> Result<Option<Filled<'a, 'm>>, Unknown> {
    let is_small = module.functions.is_empty()
        && module.tables.is_empty()
        && module.memories.is_empty()
        && module.globals.is_empty()
        && module.data.is_empty()
        && module.exports.is_empty()
        && module.imported(Kind::Table).len() == 1
        && (module.imports.iter())
            .all(|import| matches!(Kind::of(import.ty), Kind::Table | Kind::Function));
    if !is_small {
        return Ok(None);
    }
    let mut imported = Vec::new();
    for (import, ty) in (module.imported(Kind::Function)).zip(module.function_types()) {
        let Some(signature) = module.signature(ty) else {
            return Ok(None);
        };
        imported.push(((import.module, import.name), signature));
    }
    let mut functions = HashMap::new();
    let mut end = 0;
    for element in &module.elements {
        let ElementKind::Active { offset_expr, .. } = &element.kind else {
            return Ok(None);
        };
        let (Some(first), ElementItems::Functions(items)) =
            (plain(offset_expr)?, element.items.clone())
        else {
            return Ok(None);
        };
        end = end.max(u64::from(first) + u64::from(items.count()));
        let mut place = first;
        for function in items {
            functions.insert(place, imported[function? as usize]);
            place = place.saturating_add(1);
        }
    }
    let start = module.start.map(|start| imported[start as usize].0);
    Ok(Some(Filled {
        functions,
        end,
        start,
    }))
}
