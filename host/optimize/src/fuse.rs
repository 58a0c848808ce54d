//! The module that all others become.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, ImportSection, Module,
    NameMap, NameSection, StartSection, TableSection, TagSection, TypeSection,
};
use wasmparser::{DataKind, ElementItems, ElementKind, TableInit};

use crate::base::{self, Callback};
use crate::code::{Indices, Recoder};
use crate::constant;
use crate::error::{Unknown, unknown};
use crate::links::{Links, Member, Source};
use crate::module::Kind;

/// The module that it imports everything from. What it takes of the host has the number of the canonical definition as
/// its name.
pub(crate) const IMPORTS: &str = "host";

/// The one module.
pub(crate) struct Fused {
    pub(crate) module: Vec<u8>,
    /// The canonical definitions that it imports.
    pub(crate) canons: Vec<usize>,
}

/// Makes it. It exports these functions, by their numbers in this list.
pub(crate) fn fuse(
    links: &Links<'_, '_>,
    callbacks: &[Callback],
    exported: &[(usize, u32)],
) -> Result<Fused, Unknown> {
    let mut fusion = Fusion::new(links, callbacks)?;
    fusion.number_functions()?;
    fusion.number_the_rest()?;
    fusion.write(exported)
}

struct Fusion<'l, 'p, 'a> {
    links: &'l Links<'p, 'a>,
    callbacks: &'l [Callback],
    /// By the place of the member.
    indices: Vec<Indices>,
    /// The place of the member, by its instance.
    places: HashMap<usize, usize>,
    types: TypeSection,
    /// How many types those are. A section counts groups of them.
    type_count: u32,
    imports: ImportSection,
    /// The imported functions, and where.
    canons: Vec<usize>,
    canon_at: HashMap<usize, u32>,
}

impl<'l, 'p, 'a> Fusion<'l, 'p, 'a> {
    fn new(links: &'l Links<'p, 'a>, callbacks: &'l [Callback]) -> Result<Self, Unknown> {
        let mut fusion = Self {
            links,
            callbacks,
            indices: Vec::new(),
            places: HashMap::new(),
            types: TypeSection::new(),
            type_count: 0,
            imports: ImportSection::new(),
            canons: Vec::new(),
            canon_at: HashMap::new(),
        };
        for (place, member) in links.members.iter().enumerate() {
            let module = links.module(member);
            if module.imported(Kind::Tag).next().is_some() {
                return Err(unknown("its modules share exceptions"));
            }
            fusion.places.insert(member.instance, place);
            let indices = Indices {
                types: fusion.type_count,
                ..Indices::default()
            };
            let mut recoder = Recoder::new(&indices);
            for group in &module.types {
                recoder.parse_recursive_type_group(fusion.types.ty(), group.clone())?;
            }
            fusion.type_count += module.type_count();
            fusion.indices.push(indices);
        }
        Ok(fusion)
    }

    /// Functions of the host first, then those of each module.
    fn number_functions(&mut self) -> Result<(), Unknown> {
        let links = self.links;
        for (place, member) in links.members.iter().enumerate() {
            let module = links.module(member);
            let types = module.function_types();
            for (import, ty) in module.imported(Kind::Function).zip(types) {
                if let Source::Canon(canon) = links.import(member, import)? {
                    self.import(canon, self.indices[place].types + ty);
                }
            }
        }
        let mut next = self.canons.len() as u32;
        let mut first = Vec::new();
        for member in &links.members {
            first.push(next);
            next += links.module(member).functions.len() as u32;
        }
        for (place, member) in links.members.iter().enumerate() {
            let module = links.module(member);
            let mut functions = Vec::new();
            for import in module.imported(Kind::Function) {
                functions.push(match links.import(member, import)? {
                    Source::Canon(canon) => self.canon_at[&canon],
                    own => self.own(own, Kind::Function, &first)?,
                });
            }
            functions.extend((first[place]..).take(module.functions.len()));
            self.indices[place].functions = functions;
        }
        Ok(())
    }

    fn import(&mut self, canon: usize, ty: u32) {
        if !self.canon_at.contains_key(&canon) {
            self.canon_at.insert(canon, self.canons.len() as u32);
            self.canons.push(canon);
            self.imports
                .import(IMPORTS, &canon.to_string(), EntityType::Function(ty));
        }
    }

    /// The index of an instance's own item, where `first` has that of the first one of each member.
    fn own(&self, source: Source, kind: Kind, first: &[u32]) -> Result<u32, Unknown> {
        let Source::Own { instance, index } = source else {
            return Err(unknown("a function is taken for something else"));
        };
        let place = *(self.places.get(&instance))
            .ok_or_else(|| unknown("its modules share the table that calls the host"))?;
        let module = self.links.module(&self.links.members[place]);
        Ok(first[place] + index - module.imported(kind).len() as u32)
    }

    /// Tables, globals, tags, and segments.
    fn number_the_rest(&mut self) -> Result<(), Unknown> {
        let links = self.links;
        let (mut tables, mut globals, mut tags) = (u32::from(!self.callbacks.is_empty()), 0, 0);
        let (mut elements, mut data) = (0, 0);
        let (mut first_table, mut first_global) = (Vec::new(), Vec::new());
        for (place, member) in links.members.iter().enumerate() {
            let module = links.module(member);
            first_table.push(tables);
            first_global.push(globals);
            tables += module.tables.len() as u32;
            globals += module.globals.len() as u32;
            let indices = &mut self.indices[place];
            indices.tags = tags;
            tags += module.tags.len() as u32;
            indices.elements = elements;
            elements += module.elements.len() as u32;
            for segment in &module.data {
                let is_passive = matches!(segment.kind, DataKind::Passive);
                indices.data.push(is_passive.then_some(data));
                data += u32::from(is_passive);
            }
        }
        for (place, member) in links.members.iter().enumerate() {
            let module = links.module(member);
            for (kind, first, own) in [
                (Kind::Table, &first_table, module.tables.len()),
                (Kind::Global, &first_global, module.globals.len()),
            ] {
                let mut all = Vec::new();
                for import in module.imported(kind) {
                    all.push(self.own(links.import(member, import)?, kind, first)?);
                }
                all.extend((first[place]..).take(own));
                match kind {
                    Kind::Table => self.indices[place].tables = all,
                    _ => self.indices[place].globals = all,
                }
            }
        }
        Ok(())
    }

    fn write(mut self, exported: &[(usize, u32)]) -> Result<Fused, Unknown> {
        let links = self.links;
        self.imports
            .import(IMPORTS, base::MEMORY, base::memory(links)?);
        if !self.callbacks.is_empty() {
            self.imports
                .import(IMPORTS, base::TABLE, base::table(self.callbacks));
        }
        let globals: usize = (links.members.iter())
            .map(|member| links.module(member).globals.len())
            .sum();
        let mut is_set = vec![false; globals];
        let mut written = Sections::default();
        let mut referred = BTreeSet::new();
        for (place, member) in links.members.iter().enumerate() {
            let mut recoder = Recoder::new(&self.indices[place]);
            written.add(links, member, &mut recoder)?;
            for global in recoder.set {
                is_set[global as usize] = true;
            }
            referred.append(&mut recoder.referred);
        }
        if !referred.is_empty() {
            // Code may only refer to functions that something else names. What exported them is gone.
            let functions: Vec<u32> = referred.into_iter().collect();
            written
                .elements
                .declared(Elements::Functions(functions.into()));
        }
        let globals = self.globals(&is_set)?;
        let start = self.start(&mut written)?;
        if !self.callbacks.is_empty() {
            let functions = (self.callbacks.iter())
                .map(|&(instance, index)| self.function(Source::Own { instance, index }))
                .collect::<Result<Vec<_>, _>>()?;
            written.elements.active(
                None,
                &ConstExpr::i32_const(0),
                Elements::Functions(functions.into()),
            );
        }
        let mut exports = ExportSection::new();
        for (number, &(instance, index)) in exported.iter().enumerate() {
            let index = self.function(Source::Own { instance, index })?;
            exports.export(&number.to_string(), ExportKind::Func, index);
        }

        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.imports)
            .section(&written.functions)
            .section(&written.tables);
        if !written.tags.is_empty() {
            module.section(&written.tags);
        }
        module.section(&globals).section(&exports);
        if let Some(function_index) = start {
            module.section(&StartSection { function_index });
        }
        module.section(&written.elements);
        if !written.data.is_empty() {
            module.section(&DataCountSection {
                count: written.data.len(),
            });
        }
        module.section(&written.code);
        if !written.data.is_empty() {
            module.section(&written.data);
        }
        let mut names = NameSection::new();
        names.functions(&written.names);
        module.section(&names);
        Ok(Fused {
            module: module.finish(),
            canons: self.canons,
        })
    }

    /// The index of a function.
    fn function(&self, source: Source) -> Result<u32, Unknown> {
        let found = match source {
            Source::Canon(canon) => self.canon_at.get(&canon).copied(),
            Source::Own { instance, index } => (self.places.get(&instance))
                .and_then(|&place| self.indices[place].functions.get(index as usize).copied()),
        };
        found.ok_or_else(|| unknown("an index leads nowhere"))
    }

    /// All that are never set are constants, which the compiler then knows.
    fn globals(&self, is_set: &[bool]) -> Result<GlobalSection, Unknown> {
        let mut section = GlobalSection::new();
        for (place, member) in self.links.members.iter().enumerate() {
            let mut recoder = Recoder::new(&self.indices[place]);
            for global in &self.links.module(member).globals {
                let mut ty = recoder.global_type(global.ty)?;
                ty.mutable &= is_set[section.len() as usize];
                let value = constant(self.links, member, &mut recoder, &global.init_expr)?;
                section.global(ty, &value);
            }
        }
        Ok(section)
    }

    /// What is called when an instance is made: one function that calls all of them.
    fn start(&mut self, written: &mut Sections) -> Result<Option<u32>, Unknown> {
        let starts = (self.links.starts.iter())
            .map(|&start| self.function(start))
            .collect::<Result<Vec<_>, _>>()?;
        if starts.len() < 2 {
            return Ok(starts.first().copied());
        }
        let mut function = Function::new([]);
        for &start in &starts {
            function.instructions().call(start);
        }
        function.instructions().end();
        let index = self.canons.len() as u32 + written.functions.len();
        written.functions.function(self.type_count);
        written.code.function(&function);
        self.types.ty().function([], []);
        Ok(Some(index))
    }
}

/// What is written of one member after the other.
#[derive(Default)]
struct Sections {
    functions: FunctionSection,
    tables: TableSection,
    tags: TagSection,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
    names: NameMap,
}

impl Sections {
    fn add(
        &mut self,
        links: &Links<'_, '_>,
        member: &Member,
        recoder: &mut Recoder<'_>,
    ) -> Result<(), Unknown> {
        let module = links.module(member);
        for &ty in &module.functions {
            self.functions.function(recoder.type_index(ty)?);
        }
        for table in &module.tables {
            if let TableInit::Expr(expression) = &table.init
                && constant::depends(expression)?
            {
                return Err(unknown("a table begins with what is in a global"));
            }
            recoder.parse_table(&mut self.tables, table.clone())?;
        }
        for &tag in &module.tags {
            self.tags.tag(recoder.tag_type(tag)?);
        }
        for element in &module.elements {
            if let ElementItems::Expressions(_, expressions) = &element.items {
                for expression in expressions.clone() {
                    if constant::depends(&expression?)? {
                        return Err(unknown("a table begins with what is in a global"));
                    }
                }
            }
            let items = recoder.element_items(element.items.clone())?;
            match &element.kind {
                ElementKind::Active {
                    table_index,
                    offset_expr,
                } => {
                    let table = recoder.table_index(table_index.unwrap_or(0))?;
                    let offset = constant(links, member, recoder, offset_expr)?;
                    // The first table has a shorter form, which compilers know best.
                    let table = (table > 0).then_some(table);
                    self.elements.active(table, &offset, items);
                }
                ElementKind::Passive => {
                    self.elements.passive(items);
                }
                ElementKind::Declared => {
                    self.elements.declared(items);
                }
            }
        }
        for segment in &module.data {
            if matches!(segment.kind, DataKind::Passive) {
                self.data.passive(segment.data.iter().copied());
            }
        }
        for body in &module.bodies {
            recoder.parse_function_body(&mut self.code, body.clone())?;
        }
        // Nothing depends on names, which may be anything.
        let imported = module.imported(Kind::Function).len() as u32;
        let own = imported..imported + module.functions.len() as u32;
        let names: BTreeMap<u32, &str> = (module.names.iter().copied())
            .filter(|(index, _)| own.contains(index))
            .collect();
        for (index, name) in names {
            self.names.append(recoder.function_index(index)?, name);
        }
        Ok(())
    }
}

/// An expression in the one module, where what a global holds is known.
fn constant(
    links: &Links<'_, '_>,
    member: &Member,
    recoder: &mut Recoder<'_>,
    expression: &wasmparser::ConstExpr<'_>,
) -> Result<ConstExpr, Unknown> {
    if constant::depends(expression)? {
        Ok(constant::number(links, member, expression)?.expression())
    } else {
        Ok(recoder.const_expr(expression.clone())?)
    }
}
