//! Compiles a component apart from the runtime that will run it: in another process, which may be bounded in time and
//! memory, and which has no key of the cache. Not here: who starts that process, and its bounds.

use std::fs::File;
use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::app::{LoadError, Runtime};
use crate::cache::compile;
use crate::component::{self, ComponentError, invalid};
use crate::engine::{self, Engines};
use crate::limits::InstanceLimits;
use crate::source::Source;
use crate::split::Code;

/// How the code of a runtime is compiled, so that what another process compiles fits it. [`Display`](std::fmt::Display)
/// and [`FromStr`](std::str::FromStr) are its way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileSettings {
    /// Memories begin with an image, which is then not part of the code.
    images: bool,
    /// There is little address space.
    cramped: bool,
}

const IMAGES: &str = "images";
const CRAMPED: &str = "cramped";
const PLAIN: &str = "plain";

impl CompileSettings {
    pub(crate) fn of(engines: &Engines) -> Self {
        Self {
            images: engines.has_slots(),
            cramped: engines.is_cramped(),
        }
    }
}

impl std::fmt::Display for CompileSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self { cramped: true, .. } => CRAMPED,
            Self { images: true, .. } => IMAGES,
            _ => PLAIN,
        })
    }
}

impl std::str::FromStr for CompileSettings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (images, cramped) = match text {
            IMAGES => (true, false),
            CRAMPED => (false, true),
            PLAIN => (false, false),
            other => return Err(format!("`{other}` is no way to compile")),
        };
        Ok(Self { images, cramped })
    }
}

/// What was compiled begins with one of these.
const WHOLE: u8 = 0;
const WITHOUT_DATA: u8 = 1;

/// Checks a component as [`App::load`](crate::App::load) does and compiles it, for
/// [`Runtime::keep_compiled`] in whatever process asked for it.
///
/// # Errors
///
/// The component is none, or is not an application that this host can run. The message names the thing and the mend.
pub fn compile_apart(
    settings: CompileSettings,
    limits: &InstanceLimits,
    file: &Path,
) -> Result<Vec<u8>, LoadError> {
    let source = open(file)?;
    let parts = component::take_apart(limits, &source)?;
    let engine = Engine::new(&engine::config(settings.cramped)).map_err(invalid)?;
    let compiled = |without| {
        let component = &source;
        compile(&engine, Code { component, without }).map_err(invalid)
    };
    let without_data = match parts.data.as_ref().filter(|_| settings.images) {
        Some(data) => Some(compiled(Some(data))?).filter(component::has_one_memory),
        None => None,
    };
    let (kind, compiled) = match without_data {
        Some(made) => (WITHOUT_DATA, made),
        None => (WHOLE, compiled(None)?),
    };
    component::check(&compiled, limits)?;
    Ok(packed(kind, &compiled)?)
}

fn packed(kind: u8, compiled: &Component) -> Result<Vec<u8>, ComponentError> {
    let mut bytes = vec![kind];
    bytes.append(&mut compiled.serialize().map_err(invalid)?);
    Ok(bytes)
}

fn open(file: &Path) -> Result<Source<'static>, ComponentError> {
    (File::open(file).and_then(Source::read)).map_err(ComponentError::Unreadable)
}

impl Runtime {
    /// How code for this runtime is compiled.
    pub fn compile_settings(&self) -> CompileSettings {
        CompileSettings::of(self.engines())
    }

    /// Puts what [`compile_apart`] made of this component into the cache, from where
    /// [`App::load_compiled`](crate::App::load_compiled) takes it. The code will run outside the sandbox: it must come
    /// from a process that runs nothing but that function.
    ///
    /// # Errors
    ///
    /// There is no cache, or it cannot be written; the component cannot be read.
    pub fn keep_compiled(
        &self,
        limits: &InstanceLimits,
        file: &Path,
        compiled: &[u8],
    ) -> Result<(), LoadError> {
        let source = open(file)?;
        let parts = component::take_apart(limits, &source)?;
        let (engine, _) = self.engines().engine().map_err(invalid)?;
        let (without, code) = match compiled {
            [WITHOUT_DATA, code @ ..] => (parts.data.as_ref(), code),
            [WHOLE, code @ ..] => (None, code),
            _ => return Err(ComponentError::NotCompiled.into()),
        };
        let of = Code {
            component: &source,
            without,
        };
        let cache = self.cache().ok_or(ComponentError::NotCompiled)?;
        Ok(cache.keep(&engine, of, code).map_err(invalid)?)
    }

    /// Whether this component's code is in the cache.
    pub fn has_compiled(&self, limits: &InstanceLimits, file: &Path) -> bool {
        let look = || -> Result<bool, ComponentError> {
            let source = open(file)?;
            let parts = component::take_apart(limits, &source)?;
            let (engine, _) = self.engines().engine().map_err(invalid)?;
            let Some(cache) = self.cache() else {
                return Ok(false);
            };
            for without in [parts.data.as_ref(), None] {
                let code = Code {
                    component: &source,
                    without,
                };
                if cache.has(&engine, code).map_err(invalid)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        look().unwrap_or(false)
    }
}
