//! Which export is behind an import.

use std::cell::Cell;
use std::collections::HashMap;

use wasmparser::Import;

use crate::bridge::{self, Bridge};
use crate::constant;
use crate::error::{Unknown, unknown};
use crate::module::{Kind, Module};
use crate::parts::{Function, Instance, Parts};

/// What something is in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// An item that this instance's module has itself; its index counts those that are imported, too.
    Own { instance: usize, index: u32 },
    /// A function of the host, by its index among the canonical definitions.
    Canon(usize),
}

/// How the modules of a component hang together.
pub(crate) struct Links<'p, 'a> {
    parts: &'p Parts<'a>,
    modules: Vec<Module<'a>>,
    bridges: HashMap<usize, Bridge<'a>>,
    /// For [`constant`].
    pub(crate) steps_left: Cell<u32>,
    /// The instances that become one, in their order.
    pub(crate) members: Vec<Member>,
    /// What is called when all of them are there.
    pub(crate) starts: Vec<Source>,
}

/// An instance whose module becomes a part of the one module.
pub(crate) struct Member {
    pub(crate) instance: usize,
    module: usize,
}

/// A longer way from an import to what is behind it is a circle.
const FARTHEST: usize = 100;

impl<'p, 'a> Links<'p, 'a> {
    pub(crate) fn of(parts: &'p Parts<'a>) -> Result<Self, Unknown> {
        let modules = parts.modules.iter().map(|bytes| Module::of(bytes));
        let mut links = Self {
            parts,
            modules: modules.collect::<Result<_, _>>()?,
            bridges: HashMap::new(),
            steps_left: Cell::new(constant::MOST_STEPS),
            members: Vec::new(),
            starts: Vec::new(),
        };
        links.bridges = bridge::find(parts, &links.modules, |instance, name| {
            links.behind(Kind::Table, instance, name)
        })?;
        let crossed: Vec<usize> = (links.bridges.iter())
            .flat_map(|(&caller, bridge)| [caller, bridge.filler])
            .collect();
        let mut seen = vec![false; links.modules.len()];
        for (number, instance) in parts.instances.iter().enumerate() {
            let Instance::Module { module, .. } = instance else {
                continue;
            };
            if std::mem::replace(&mut seen[*module], true) {
                return Err(unknown("it makes two instances of one core module"));
            }
            if !crossed.contains(&number) {
                links.members.push(Member {
                    instance: number,
                    module: *module,
                });
            }
        }
        if links.members.is_empty() {
            return Err(unknown("it has no core module at its outermost level"));
        }
        links.find_starts()?;
        Ok(links)
    }

    /// The member that an instance is.
    pub(crate) fn member(&self, instance: usize) -> Option<&Member> {
        let place = (self.members).binary_search_by_key(&instance, |member| member.instance);
        self.members.get(place.ok()?)
    }

    pub(crate) fn module(&self, member: &Member) -> &Module<'a> {
        &self.modules[member.module]
    }

    /// The module of an instance that is a module's.
    pub(crate) fn module_of(&self, instance: usize) -> Result<&Module<'a>, Unknown> {
        match self.parts.instances[instance] {
            Instance::Module { module, .. } => Ok(&self.modules[module]),
            Instance::Items(_) => Err(unknown("an index leads nowhere")),
        }
    }

    /// What a member imports.
    pub(crate) fn import(&self, member: &Member, import: &Import<'a>) -> Result<Source, Unknown> {
        let instance = self.parts.argument(member.instance, import.module)?;
        self.behind(Kind::of(import.ty), instance, import.name)
    }

    /// What is behind a core function of the component.
    pub(crate) fn function(&self, index: u32) -> Result<Source, Unknown> {
        match self.parts.function(index)? {
            Function::Export(export) => self.behind(Kind::Function, export.instance, export.name),
            Function::Canon(canon) => Ok(Source::Canon(canon)),
        }
    }

    /// What is behind a memory of the component.
    pub(crate) fn memory(&self, index: u32) -> Result<Source, Unknown> {
        let export = self.parts.item(Kind::Memory, index)?;
        self.behind(Kind::Memory, export.instance, export.name)
    }

    /// What an instance exports by a name.
    fn behind(&self, kind: Kind, instance: usize, name: &'a str) -> Result<Source, Unknown> {
        let (mut instance, mut name) = (instance, name);
        for _ in 0..FARTHEST {
            (instance, name) = match &self.parts.instances[instance] {
                Instance::Items(items) => {
                    let index = *(items.get(&(kind, name)))
                        .ok_or_else(|| unknown("an import leads nowhere"))?;
                    let export = match kind {
                        Kind::Function => match self.parts.function(index)? {
                            Function::Export(export) => export,
                            Function::Canon(canon) => return Ok(Source::Canon(canon)),
                        },
                        _ => self.parts.item(kind, index)?,
                    };
                    (export.instance, export.name)
                }
                Instance::Module { module, .. } => {
                    let bridge = self.bridges.get(&instance);
                    let (importer, from) = match bridge.filter(|_| kind == Kind::Function) {
                        Some(bridge) => {
                            let behind = bridge.behind.get(name).copied();
                            let behind = behind.ok_or_else(|| unknown("a table has a gap"))?;
                            (bridge.filler, behind)
                        }
                        None => {
                            let module = &self.modules[*module];
                            let (_, index) = *(module.exports.get(name))
                                .ok_or_else(|| unknown("an import leads nowhere"))?;
                            // What is imported and exported again.
                            match module.imported(kind).nth(index as usize) {
                                Some(import) => (instance, (import.module, import.name)),
                                None => return Ok(Source::Own { instance, index }),
                            }
                        }
                    };
                    (self.parts.argument(importer, from.0)?, from.1)
                }
            };
        }
        Err(unknown("its imports go round in a circle"))
    }

    /// Functions that start a module are called when all are linked, in their order, and not one by one.
    fn find_starts(&mut self) -> Result<(), Unknown> {
        let fillers: HashMap<usize, &Bridge<'a>> = (self.bridges.values())
            .map(|bridge| (bridge.filler, bridge))
            .collect();
        let mut starts = Vec::new();
        for (number, instance) in self.parts.instances.iter().enumerate() {
            let Instance::Module { module, .. } = instance else {
                continue;
            };
            let module = &self.modules[*module];
            let imported = match fillers.get(&number) {
                // It does not fill anything any more.
                Some(filler) => filler.start,
                None => {
                    if !starts.is_empty() && module.initializes() {
                        return Err(unknown(
                            "a module of it starts before another one has put its data into memory",
                        ));
                    }
                    let Some(index) = module.start else {
                        continue;
                    };
                    match module.imported(Kind::Function).nth(index as usize) {
                        Some(import) => Some((import.module, import.name)),
                        None => {
                            starts.push(Source::Own {
                                instance: number,
                                index,
                            });
                            None
                        }
                    }
                }
            };
            if let Some((module, name)) = imported {
                let from = self.parts.argument(number, module)?;
                starts.push(self.behind(Kind::Function, from, name)?);
            }
        }
        self.starts = starts;
        Ok(())
    }
}
