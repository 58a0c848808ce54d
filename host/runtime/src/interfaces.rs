//! What a component asks for and gives, by name: also of one that cannot be run here.

use wasmparser::{ComponentTypeRef, Parser, Payload};

use crate::component::{ComponentError, check_preamble, is_app, is_offered};

/// The interfaces of a component, in its own order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// What it asks for, such as `wasi:cli/environment@0.2.6`.
    pub imports: Vec<Import>,
    /// What it gives, such as `wasm-gw:gateway/app@0.1.0`.
    pub exports: Vec<String>,
}

/// Something that a component asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// This host has it.
    pub is_offered: bool,
}

impl Interfaces {
    /// Those of this component. Whether all of it is valid, the compiler says.
    ///
    /// # Errors
    ///
    /// It is no component, or is cut off.
    pub fn of(component: &[u8]) -> Result<Self, ComponentError> {
        check_preamble(component)?;
        let invalid =
            |error: wasmparser::BinaryReaderError| ComponentError::Invalid(error.to_string());
        let mut found = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(invalid)? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        let import = import.map_err(invalid)?;
                        // Types may be imported on their own; they ask nothing of a host.
                        if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                            let name = import.name.name.to_owned();
                            let is_offered = is_offered(&name);
                            found.imports.push(Import { name, is_offered });
                        }
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        let export = export.map_err(invalid)?;
                        found.exports.push(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Whether it is an application of the gateway.
    pub fn is_app(&self) -> bool {
        self.exports.iter().any(|name| is_app(name))
    }
}
