//! A component, taken apart: its sections in their order, and what is known of its core side by index.

use std::collections::HashMap;

use wasmparser::{
    CanonicalFunction, Chunk, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentType, ComponentTypeRef, ComponentTypeSectionReader,
    ExternalKind, Parser, Payload,
};

use crate::error::{Unknown, unknown};
use crate::module::Kind;

/// A component's outermost level. What is deeper inside stays as it is.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) modules: Vec<&'a [u8]>,
    pub(crate) instances: Vec<Instance<'a>>,
    pub(crate) functions: Vec<Function<'a>>,
    /// What makes a core function of a function or a resource of the component.
    pub(crate) canons: Vec<CanonicalFunction>,
    memories: Vec<Export<'a>>,
    tables: Vec<Export<'a>>,
    globals: Vec<Export<'a>>,
}

/// An export of a core instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Export<'a> {
    pub(crate) instance: usize,
    pub(crate) name: &'a str,
}

/// A core function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function<'a> {
    Export(Export<'a>),
    /// By its index in `canons`.
    Canon(usize),
}

/// A core instance.
pub(crate) enum Instance<'a> {
    /// A module, and the instance behind each module that it imports from.
    Module {
        module: usize,
        arguments: HashMap<&'a str, usize>,
    },
    /// Items of other instances, put together: the index of each, by kind and name.
    Items(HashMap<(Kind, &'a str), u32>),
}

/// A section of the component.
pub(crate) enum Section<'a> {
    Module,
    Instances,
    /// Those of core instances are left out.
    Aliases(Vec<ComponentAlias<'a>>),
    Canons(Vec<Canon>),
    /// In which a resource names a core function.
    Types(ComponentTypeSectionReader<'a>),
    /// Nothing in it has to do with the core side.
    Other {
        id: u8,
        bytes: &'a [u8],
    },
}

/// One canonical definition.
pub(crate) enum Canon {
    /// A function of the component.
    Lift(CanonicalFunction),
    /// A core function, by its index in `canons`.
    Core(usize),
}

impl<'a> Parts<'a> {
    pub(crate) fn of(component: &'a [u8]) -> Result<Self, Unknown> {
        let mut parts = Self::default();
        let mut parser = Parser::new(0);
        let mut at = 0;
        loop {
            let Chunk::Parsed { consumed, payload } = parser.parse(&component[at..], true)? else {
                return Err(unknown("it is cut off"));
            };
            at += consumed;
            let inner = match &payload {
                Payload::ModuleSection {
                    unchecked_range, ..
                }
                | Payload::ComponentSection {
                    unchecked_range, ..
                } => Some(&component[unchecked_range.clone()]),
                _ => None,
            };
            at += inner.map_or(0, <[u8]>::len);
            if matches!(payload, Payload::End(_)) {
                return Ok(parts);
            }
            parts.add(component, payload, inner)?;
        }
    }

    fn add(
        &mut self,
        component: &'a [u8],
        payload: Payload<'a>,
        inner: Option<&'a [u8]>,
    ) -> Result<(), Unknown> {
        let raw = payload.as_section();
        let section = match payload {
            Payload::Version { encoding, .. } => {
                return match encoding {
                    wasmparser::Encoding::Component => Ok(()),
                    wasmparser::Encoding::Module => {
                        Err(unknown("it is a core module, and not a component"))
                    }
                };
            }
            Payload::ModuleSection { .. } => {
                self.modules.extend(inner);
                Section::Module
            }
            Payload::ComponentSection { .. } => {
                let bytes = inner.unwrap_or_default();
                names_no_module_outside(bytes)?;
                Section::Other { id: 4, bytes }
            }
            Payload::InstanceSection(reader) => {
                for instance in reader {
                    self.add_instance(instance?);
                }
                Section::Instances
            }
            Payload::ComponentAliasSection(reader) => {
                let mut kept = Vec::new();
                for alias in reader {
                    kept.extend(self.add_alias(alias?)?);
                }
                Section::Aliases(kept)
            }
            Payload::ComponentCanonicalSection(reader) => {
                let mut canons = Vec::new();
                for canon in reader {
                    canons.push(self.add_canon(canon?)?);
                }
                Section::Canons(canons)
            }
            Payload::ComponentTypeSection(reader) if names_functions(reader.clone())? => {
                Section::Types(reader)
            }
            // What it says of indices would no longer be true.
            Payload::CustomSection(reader) if reader.name() == "component-name" => return Ok(()),
            ref other => {
                has_no_modules(other)?;
                let (id, range) =
                    raw.ok_or_else(|| unknown("it has a section that is not known"))?;
                Section::Other {
                    id,
                    bytes: &component[range],
                }
            }
        };
        self.sections.push(section);
        Ok(())
    }

    fn add_instance(&mut self, instance: wasmparser::Instance<'a>) {
        self.instances.push(match instance {
            wasmparser::Instance::Instantiate { module_index, args } => Instance::Module {
                module: module_index as usize,
                arguments: args
                    .iter()
                    .map(|argument| (argument.name, argument.index as usize))
                    .collect(),
            },
            wasmparser::Instance::FromExports(items) => {
                let items = items.iter();
                Instance::Items(
                    items
                        .map(|item| ((item.kind.into(), item.name), item.index))
                        .collect(),
                )
            }
        });
    }

    /// Gives back what is of the component's side.
    fn add_alias(
        &mut self,
        alias: ComponentAlias<'a>,
    ) -> Result<Option<ComponentAlias<'a>>, Unknown> {
        match alias {
            ComponentAlias::CoreInstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let export = Export {
                    instance: instance_index as usize,
                    name,
                };
                match kind {
                    ExternalKind::Func | ExternalKind::FuncExact => {
                        self.functions.push(Function::Export(export));
                    }
                    ExternalKind::Memory => self.memories.push(export),
                    ExternalKind::Table => self.tables.push(export),
                    ExternalKind::Global => self.globals.push(export),
                    ExternalKind::Tag => return Err(unknown("its modules share exceptions")),
                }
                Ok(None)
            }
            ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::CoreModule,
                ..
            }
            | ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Module,
                ..
            } => Err(passes_modules()),
            other => Ok(Some(other)),
        }
    }

    fn add_canon(&mut self, canon: CanonicalFunction) -> Result<Canon, Unknown> {
        match canon {
            CanonicalFunction::Lift { .. } => Ok(Canon::Lift(canon)),
            CanonicalFunction::Lower { .. }
            | CanonicalFunction::ResourceNew { .. }
            | CanonicalFunction::ResourceDrop { .. }
            | CanonicalFunction::ResourceRep { .. } => {
                let index = self.canons.len();
                self.functions.push(Function::Canon(index));
                self.canons.push(canon);
                Ok(Canon::Core(index))
            }
            _ => Err(unknown("it waits for several things at once (async)")),
        }
    }

    /// The instance that a module's instance imports from, by the name of the module that it imports.
    pub(crate) fn argument(&self, instance: usize, module: &str) -> Result<usize, Unknown> {
        let argument = match &self.instances[instance] {
            Instance::Module { arguments, .. } => arguments.get(module),
            Instance::Items(_) => None,
        };
        argument
            .copied()
            .ok_or_else(|| unknown("an import leads nowhere"))
    }

    /// The item behind an index that is no function's.
    pub(crate) fn item(&self, kind: Kind, index: u32) -> Result<Export<'a>, Unknown> {
        let space = match kind {
            Kind::Memory => &self.memories,
            Kind::Table => &self.tables,
            Kind::Global => &self.globals,
            _ => return Err(unknown("its modules share exceptions")),
        };
        let export = space.get(index as usize);
        export
            .copied()
            .ok_or_else(|| unknown("an index leads nowhere"))
    }

    pub(crate) fn function(&self, index: u32) -> Result<Function<'a>, Unknown> {
        let function = self.functions.get(index as usize);
        function
            .copied()
            .ok_or_else(|| unknown("an index leads nowhere"))
    }
}

fn passes_modules() -> Unknown {
    unknown("it passes core modules on")
}

/// Whether a resource in it has a destructor.
fn names_functions(types: ComponentTypeSectionReader<'_>) -> Result<bool, Unknown> {
    for ty in types {
        if let ComponentType::Resource { dtor: Some(_), .. } = ty? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Core modules have other indices afterwards.
fn names_no_module_outside(component: &[u8]) -> Result<(), Unknown> {
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::ComponentAliasSection(reader) = payload? {
            for alias in reader {
                if let ComponentAlias::Outer {
                    kind: ComponentOuterAliasKind::CoreModule,
                    ..
                } = alias?
                {
                    return Err(passes_modules());
                }
            }
        }
    }
    Ok(())
}

fn has_no_modules(payload: &Payload<'_>) -> Result<(), Unknown> {
    match payload {
        Payload::ComponentImportSection(reader) => {
            for import in reader.clone() {
                if let ComponentTypeRef::Module(_) = import?.ty {
                    return Err(passes_modules());
                }
            }
        }
        Payload::ComponentExportSection(reader) => {
            for export in reader.clone() {
                if export?.kind == ComponentExternalKind::Module {
                    return Err(passes_modules());
                }
            }
        }
        Payload::ComponentInstanceSection(reader) => {
            for instance in reader.clone() {
                let passes = match instance? {
                    ComponentInstance::Instantiate { args, .. } => args
                        .iter()
                        .any(|argument| argument.kind == ComponentExternalKind::Module),
                    ComponentInstance::FromExports(exports) => exports
                        .iter()
                        .any(|export| export.kind == ComponentExternalKind::Module),
                };
                if passes {
                    return Err(passes_modules());
                }
            }
        }
        _ => {}
    }
    Ok(())
}
