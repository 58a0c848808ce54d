//! The component around the two modules. Its sections keep their order and, but for the core side, their bytes.

use std::collections::{HashMap, HashSet};

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, RoundtripReencoder};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection,
    ComponentTypeSection, ExportKind, InstanceSection, ModuleArg, RawSection,
};
use wasmparser::{CanonicalFunction, ComponentType};

use crate::base;
use crate::error::{Unknown, unknown};
use crate::fuse::{self, Fused};
use crate::links::{Links, Source};
use crate::parts::{Canon, Parts, Section};

/// Writes the component.
pub(crate) fn rewrite(parts: &Parts<'_>, links: &Links<'_, '_>) -> Result<Vec<u8>, Unknown> {
    let callbacks = callbacks(parts, links)?;
    let exported = exported(parts, links)?;
    let base = base::module(links, &callbacks)?;
    let fused = fuse::fuse(links, &callbacks, &exported)?;
    let mut writer = Writer {
        links,
        component: Component::new(),
        functions: 0,
        callback_at: HashMap::new(),
        canon_at: HashMap::new(),
        export_at: HashMap::new(),
    };
    let last = (parts.sections.iter())
        .rposition(|section| matches!(section, Section::Instances))
        .ok_or_else(|| unknown("it makes no instance of its modules"))?;
    let first = (parts.sections.iter())
        .position(|section| matches!(section, Section::Instances))
        .unwrap_or(last);
    // All of the code begins behind what is between.
    let acts = |section: &Section<'_>| matches!(section, Section::Other { id, .. } if [COMPONENT_INSTANCE, COMPONENT_START].contains(id));
    if !links.starts.is_empty() && parts.sections[first..last].iter().any(acts) {
        return Err(unknown("modules and components of it start in turns"));
    }
    let mut has_modules = false;
    for (number, section) in parts.sections.iter().enumerate() {
        match section {
            Section::Module if !has_modules => {
                has_modules = true;
                writer.modules(&base, &fused, &callbacks);
            }
            Section::Instances if number == last => {
                writer.instance(&fused, &callbacks, &exported)?
            }
            Section::Module | Section::Instances => {}
            Section::Aliases(aliases) => {
                let mut section = ComponentAliasSection::new();
                for alias in aliases {
                    section.alias(
                        RoundtripReencoder
                            .component_alias(alias.clone())
                            .map_err(rewritten)?,
                    );
                }
                if !aliases.is_empty() {
                    writer.component.section(&section);
                }
            }
            Section::Canons(canons) => {
                let mut section = CanonicalFunctionSection::new();
                for canon in canons {
                    writer.canon(parts, canon, &mut section)?;
                }
                writer.component.section(&section);
            }
            Section::Types(reader) => {
                let mut section = ComponentTypeSection::new();
                writer.parse_component_type_section(&mut section, reader.clone())?;
                writer.component.section(&section);
            }
            Section::Other { id, bytes } => {
                writer.component.section(&RawSection {
                    id: *id,
                    data: bytes,
                });
            }
        }
    }
    Ok(writer.component.finish())
}

/// What the host calls while the code is not there yet: functions that allocate what it gives, and destructors.
fn callbacks(parts: &Parts<'_>, links: &Links<'_, '_>) -> Result<Vec<base::Callback>, Unknown> {
    let mut callbacks = Vec::new();
    let mut seen = HashSet::new();
    let mut add = |index: u32| -> Result<(), Unknown> {
        if let Source::Own { instance, index } = links.function(index)?
            && seen.insert((instance, index))
        {
            callbacks.push((instance, index));
        }
        Ok(())
    };
    for canon in &parts.canons {
        if let CanonicalFunction::Lower { options, .. } = canon {
            for option in options {
                if let wasmparser::CanonicalOption::Realloc(index) = option {
                    add(*index)?;
                }
            }
        }
    }
    for section in &parts.sections {
        if let Section::Types(reader) = section {
            for ty in reader.clone() {
                if let ComponentType::Resource {
                    dtor: Some(index), ..
                } = ty?
                {
                    add(index)?;
                }
            }
        }
    }
    Ok(callbacks)
}

/// What functions of the component need of the code.
fn exported(parts: &Parts<'_>, links: &Links<'_, '_>) -> Result<Vec<(usize, u32)>, Unknown> {
    let mut exported = Vec::new();
    let mut seen = HashSet::new();
    for section in &parts.sections {
        let Section::Canons(canons) = section else {
            continue;
        };
        for canon in canons {
            let Canon::Lift(CanonicalFunction::Lift {
                core_func_index,
                options,
                ..
            }) = canon
            else {
                continue;
            };
            let of_options = options.iter().filter_map(|option| match option {
                wasmparser::CanonicalOption::Realloc(index)
                | wasmparser::CanonicalOption::PostReturn(index) => Some(*index),
                _ => None,
            });
            for index in of_options.chain([*core_func_index]) {
                if let Source::Own { instance, index } = links.function(index)?
                    && seen.insert((instance, index))
                {
                    exported.push((instance, index));
                }
            }
        }
    }
    Ok(exported)
}

struct Writer<'l, 'p, 'a> {
    links: &'l Links<'p, 'a>,
    component: Component,
    /// How many core functions there are so far; and which.
    functions: u32,
    callback_at: HashMap<Source, u32>,
    canon_at: HashMap<usize, u32>,
    export_at: HashMap<Source, u32>,
}

const CORE_MODULE: u8 = 1;
const COMPONENT_INSTANCE: u8 = 5;
const COMPONENT_START: u8 = 9;

/// The indices of the two modules, of what is imported from the second, and of the instances of all.
const BASE: u32 = 0;
const FUSED: u32 = 1;
const BASE_INSTANCE: u32 = 0;
const HOST_INSTANCE: u32 = 1;
const FUSED_INSTANCE: u32 = 2;

impl Writer<'_, '_, '_> {
    fn modules(&mut self, base: &[u8], fused: &Fused, callbacks: &[base::Callback]) {
        for data in [base, &fused.module] {
            self.component.section(&RawSection {
                id: CORE_MODULE,
                data,
            });
        }
        let mut instances = InstanceSection::new();
        instances.instantiate(BASE, [] as [(&str, ModuleArg); 0]);
        self.component.section(&instances);
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(Alias::CoreInstanceExport {
            instance: BASE_INSTANCE,
            kind: ExportKind::Memory,
            name: base::MEMORY,
        });
        if !callbacks.is_empty() {
            aliases.alias(Alias::CoreInstanceExport {
                instance: BASE_INSTANCE,
                kind: ExportKind::Table,
                name: base::TABLE,
            });
        }
        for (number, &(instance, index)) in callbacks.iter().enumerate() {
            let at = self.alias(&mut aliases, BASE_INSTANCE, &number.to_string());
            self.callback_at.insert(Source::Own { instance, index }, at);
        }
        self.component.section(&aliases);
    }

    fn alias(&mut self, aliases: &mut ComponentAliasSection, instance: u32, name: &str) -> u32 {
        aliases.alias(Alias::CoreInstanceExport {
            instance,
            kind: ExportKind::Func,
            name,
        });
        self.next()
    }

    /// The index of the next core function.
    fn next(&mut self) -> u32 {
        self.functions += 1;
        self.functions - 1
    }

    fn instance(
        &mut self,
        fused: &Fused,
        callbacks: &[base::Callback],
        exported: &[(usize, u32)],
    ) -> Result<(), Unknown> {
        let mut host = vec![(base::MEMORY.to_owned(), ExportKind::Memory, 0)];
        if !callbacks.is_empty() {
            host.push((base::TABLE.to_owned(), ExportKind::Table, 0));
        }
        for &canon in &fused.canons {
            let at = self.canon_at.get(&canon).copied();
            let at = at.ok_or_else(|| unknown("a function of the host is made too late"))?;
            host.push((canon.to_string(), ExportKind::Func, at));
        }
        let mut instances = InstanceSection::new();
        instances.export_items(host);
        instances.instantiate(FUSED, [(fuse::IMPORTS, ModuleArg::Instance(HOST_INSTANCE))]);
        self.component.section(&instances);
        if exported.is_empty() {
            return Ok(());
        }
        let mut aliases = ComponentAliasSection::new();
        for (number, &(instance, index)) in exported.iter().enumerate() {
            let at = self.alias(&mut aliases, FUSED_INSTANCE, &number.to_string());
            self.export_at.insert(Source::Own { instance, index }, at);
        }
        self.component.section(&aliases);
        Ok(())
    }

    fn canon(
        &mut self,
        parts: &Parts<'_>,
        canon: &Canon,
        section: &mut CanonicalFunctionSection,
    ) -> Result<(), Unknown> {
        let (canon, core) = match canon {
            Canon::Lift(canon) => (canon, None),
            Canon::Core(index) => (&parts.canons[*index], Some(*index)),
        };
        match canon {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => {
                let options = self.options(options, &self.export_at)?;
                let function = self.core(*core_func_index, &self.export_at)?;
                section.lift(function, *type_index, options);
            }
            CanonicalFunction::Lower {
                func_index,
                options,
            } => {
                let options = self.options(options, &self.callback_at)?;
                section.lower(*func_index, options);
            }
            CanonicalFunction::ResourceNew { resource } => {
                section.resource_new(*resource);
            }
            CanonicalFunction::ResourceDrop { resource } => {
                section.resource_drop(*resource);
            }
            CanonicalFunction::ResourceRep { resource } => {
                section.resource_rep(*resource);
            }
            _ => return Err(unknown("it waits for several things at once (async)")),
        }
        if let Some(index) = core {
            let at = self.next();
            self.canon_at.insert(index, at);
        }
        Ok(())
    }

    /// The index of a core function, where one of the code's own is to be found by `own`.
    fn core(&self, index: u32, own: &HashMap<Source, u32>) -> Result<u32, Unknown> {
        let source = self.links.function(index)?;
        let at = match source {
            Source::Canon(canon) => self.canon_at.get(&canon),
            Source::Own { .. } => own.get(&source),
        };
        at.copied()
            .ok_or_else(|| unknown("a function of its code is needed before the code is there"))
    }

    fn options(
        &self,
        options: &[wasmparser::CanonicalOption],
        own: &HashMap<Source, u32>,
    ) -> Result<Vec<CanonicalOption>, Unknown> {
        use wasmparser::CanonicalOption as Old;

        let mut new = Vec::new();
        for option in options {
            new.push(match *option {
                Old::UTF8 => CanonicalOption::UTF8,
                Old::UTF16 => CanonicalOption::UTF16,
                Old::CompactUTF16 => CanonicalOption::CompactUTF16,
                Old::Memory(index) => {
                    // There is one memory.
                    self.links.memory(index)?;
                    CanonicalOption::Memory(0)
                }
                Old::Realloc(index) => CanonicalOption::Realloc(self.core(index, own)?),
                Old::PostReturn(index) => CanonicalOption::PostReturn(self.core(index, own)?),
                Old::Async | Old::Callback(_) => {
                    return Err(unknown("it waits for several things at once (async)"));
                }
                Old::CoreType(_) | Old::Gc => {
                    return Err(unknown("it passes objects of a garbage collector"));
                }
            });
        }
        Ok(new)
    }
}

/// For resources' destructors.
impl Reencode for Writer<'_, '_, '_> {
    type Error = Unknown;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Unknown>> {
        self.core(index, &self.callback_at)
            .map_err(Error::UserError)
    }
}

impl ReencodeComponent for Writer<'_, '_, '_> {}

fn rewritten(error: Error<std::convert::Infallible>) -> Unknown {
    unknown(format!("something in it cannot be written again: {error}"))
}
