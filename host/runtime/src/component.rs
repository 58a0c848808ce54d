//! From bytes to a component that is checked, compiled and linked: everything that can be refused
//! before the first request is refused here, with the name of what is wrong and the mend.

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use crate::cache::{Cache, CacheUse, compile};
use crate::engine::Engines;
use crate::guest::{GatewayPre, State, add_to_linker};
use crate::limits::InstanceLimits;
use crate::slots::Image;
use crate::source::Source;
use crate::split::{Code, Data, Split, split};

/// The export that makes a component an application.
const APP: &str = "wasm-gw:gateway/app@0.1.0";

/// What this host offers, as `package/` prefixes with the version line that must match.
const OFFERED: [(&str, &str); 7] = [
    ("wasm-gw:gateway/", "0.1."),
    ("wasi:cli/", "0.2."),
    ("wasi:clocks/", "0.2."),
    ("wasi:filesystem/", "0.2."),
    ("wasi:io/", "0.2."),
    ("wasi:random/", "0.2."),
    ("wasi:sockets/", "0.2."),
];

/// Why a component cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// Its file cannot be read.
    #[error("{0}")]
    Unreadable(std::io::Error),
    /// It does not begin like WebAssembly.
    #[error(
        "this is not a WebAssembly file (it begins with {found}); \
         give the .wasm file that your build made"
    )]
    NotWasm {
        /// The first bytes, printable.
        found: String,
    },
    /// A module where a component is needed.
    #[error(
        "this is a core WebAssembly module, and an application is a component; \
         build it for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// It is cut off, or not valid.
    #[error("this component is damaged, cut off or uses features that this host does not run: {0}")]
    Invalid(String),
    /// It has no application in it.
    #[error(
        "this component does not export `{APP}`, so it is no application; {}{hint}",
        exports(.found)
    )]
    NoApp {
        /// The names it exports.
        found: Vec<String>,
        /// What it seems to be instead, and what to do.
        hint: &'static str,
    },
    /// It wraps an application, and none is plugged in.
    #[error(
        "this component is middleware: it imports `{APP}` and nothing is plugged in there; \
         compose it with an application, as by `wac plug --plug app.wasm middleware.wasm -o both.wasm`"
    )]
    UnpluggedMiddleware,
    /// It asks for what this host does not have.
    #[error(
        "this component imports {}, which this host does not offer; \
         it offers wasm-gw:gateway@0.1 and WASI 0.2 (cli, clocks, filesystem, io, random, sockets). \
         Build without what needs the import, or compose in a component that provides it",
        list(.missing)
    )]
    UnknownImport {
        /// The names of the imports.
        missing: Vec<String>,
    },
    /// An import or export has the right name and another type.
    #[error(
        "an interface of this component differs from this host's: {0}; \
         build it again with the `gateway.wit` of this version"
    )]
    WrongType(String),
    /// Its code is not in the cache, and it was not to be compiled now.
    #[error(
        "this component has not been compiled for this machine yet; \
         compile it (`compile_apart`), and keep that (`Runtime::keep_compiled`) in a runtime with a cache"
    )]
    NotCompiled,
    /// It needs more than its limits allow before it has done anything.
    #[error(
        "this component starts with {needed} bytes of memory and may have {allowed}; \
         raise the memory limit (`serve --memory`)"
    )]
    TooMuchMemory {
        /// What it declares, in bytes.
        needed: u64,
        /// The limit, in bytes.
        allowed: u64,
    },
    /// It consists of so many functions and the like that each instance would be large.
    #[error(
        "each instance of this component would take {needed} bytes for its tables of functions, \
         globals and the like, and may take {allowed}; \
         build it smaller, with what it does not use left out"
    )]
    TooManyParts {
        /// What it needs, in bytes.
        needed: usize,
        /// The limit, in bytes.
        allowed: usize,
    },
}

/// What an instance may take of the host for its functions, globals and the like, in bytes.
const MOST_INSTANCE_SIZE: usize = 16 << 20;

fn list(names: &[String]) -> impl fmt::Display {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn exports(names: &[String]) -> String {
    if names.is_empty() {
        "it exports nothing".to_owned()
    } else {
        format!("it exports {}", list(names))
    }
}

/// A component that is ready to be instantiated.
pub(crate) struct Loaded {
    pub(crate) pre: GatewayPre<State>,
    pub(crate) compiled: CacheUse,
    /// The linear memory that an instance begins with, in bytes; an upper bound where it has
    /// several of different sizes.
    pub(crate) initial_memory: usize,
    /// What an instance takes of the host for its functions, globals and the like; an upper bound, in
    /// bytes.
    pub(crate) instance_size: usize,
    /// What its code and its memory's image take, in bytes.
    pub(crate) bytes: usize,
}

/// Where a component's code is from.
#[derive(Clone, Copy)]
pub(crate) struct Compiler<'a> {
    pub(crate) cache: Option<&'a Cache>,
    /// What is not in the cache is compiled here and now.
    pub(crate) may_compile: bool,
}

/// Checks, compiles and links a component.
pub(crate) fn load(
    engines: &Engines,
    compiler: Compiler<'_>,
    limits: &InstanceLimits,
    source: &Source<'_>,
) -> Result<Loaded, ComponentError> {
    let parts = take_apart(limits, source)?;
    let with_image = match &parts.data {
        Some(data) => with_image(engines, compiler, source, data)?,
        None => None,
    };
    let image = match (&with_image, &parts.data) {
        (Some(_), Some(data)) => data.place.len(),
        _ => 0,
    };
    let (component, compiled) = match with_image {
        Some(made) => made,
        None => {
            let code = Code {
                component: source,
                without: None,
            };
            compiler.code(&engines.engine().map_err(invalid)?.0, code)?
        }
    };
    source.check().map_err(ComponentError::Unreadable)?;
    let engine = component.engine();
    check_names(engine, &component)?;
    let initial_memory = check_memory(&component, limits)?;
    Ok(Loaded {
        pre: link(engine, &component)?,
        compiled,
        initial_memory,
        instance_size: parts.instance_size,
        bytes: image + code_size(&component),
    })
}

/// In bytes.
fn code_size(component: &Component) -> usize {
    let image = component.image_range();
    image.end as usize - image.start as usize
}

/// What can be told of a component before it is compiled.
pub(crate) fn take_apart(
    limits: &InstanceLimits,
    source: &Source<'_>,
) -> Result<Split, ComponentError> {
    check_preamble(source.bytes())?;
    let parts = split(source.bytes(), limits.parts)
        .map_err(|error| ComponentError::Invalid(error.to_string()))?;
    if parts.instance_size > MOST_INSTANCE_SIZE {
        return Err(ComponentError::TooManyParts {
            needed: parts.instance_size,
            allowed: MOST_INSTANCE_SIZE,
        });
    }
    Ok(parts)
}

/// Refuses a compiled component that could not be run.
pub(crate) fn check(component: &Component, limits: &InstanceLimits) -> Result<(), ComponentError> {
    let engine = component.engine();
    check_names(engine, component)?;
    check_memory(component, limits)?;
    link(engine, component).map(drop)
}

/// Compiles a component whose memory begins with an image, which is made meanwhile. None where that cannot
/// be.
fn with_image(
    engines: &Engines,
    compiler: Compiler<'_>,
    source: &Source<'_>,
    data: &Data,
) -> Result<Option<(Component, CacheUse)>, ComponentError> {
    let (engine, Some(slots)) = engines.engine().map_err(invalid)? else {
        return Ok(None);
    };
    let (image, made) = std::thread::scope(|scope| {
        let image = scope.spawn(|| Image::new(data.place.clone(), &data.segments, source));
        let code = Code {
            component: source,
            without: Some(data),
        };
        let made = compiler.code(&engine, code);
        let image = image
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (image, made)
    });
    let made = made?;
    if !has_one_memory(&made.0) {
        return Ok(None);
    }
    match image {
        Ok(image) => {
            slots.begin_with(image);
            Ok(Some(made))
        }
        Err(error) => {
            tracing::warn!("each request copies what its memory begins with: {error}");
            Ok(None)
        }
    }
}

/// If not, the module with the memory is instantiated more than once, and no image is for one memory alone.
pub(crate) fn has_one_memory(component: &Component) -> bool {
    let needed = component.resources_required();
    needed.is_some_and(|needed| needed.num_memories == 1)
}

impl Compiler<'_> {
    fn code(
        self,
        engine: &Engine,
        code: Code<'_>,
    ) -> Result<(Component, CacheUse), ComponentError> {
        if !self.may_compile {
            let found = match self.cache {
                Some(cache) => cache.only_find(engine, code).map_err(invalid)?,
                None => None,
            };
            let component = found.ok_or(ComponentError::NotCompiled)?;
            return Ok((component, CacheUse::Hit));
        }
        match self.cache {
            Some(cache) => cache.load(engine, code),
            None => compile(engine, code).map(|component| (component, CacheUse::None)),
        }
        .map_err(invalid)
    }
}

pub(crate) fn invalid(error: wasmtime::Error) -> ComponentError {
    match error.downcast() {
        Ok(error) => ComponentError::Unreadable(error),
        Err(error) => ComponentError::Invalid(format!("{error:#}")),
    }
}

fn link(engine: &Engine, component: &Component) -> Result<GatewayPre<State>, ComponentError> {
    let wrong_type = |error: wasmtime::Error| ComponentError::WrongType(format!("{error:#}"));
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker).map_err(wrong_type)?;
    linker
        .instantiate_pre(component)
        .and_then(GatewayPre::new)
        .map_err(wrong_type)
}

/// Tells a component from what people give by mistake, by its first eight bytes.
pub(crate) fn check_preamble(bytes: &[u8]) -> Result<(), ComponentError> {
    let Some(rest) = bytes.strip_prefix(b"\0asm") else {
        let found = match bytes.get(..bytes.len().min(8)) {
            None | Some([]) => "nothing".to_owned(),
            Some(first) => format!("\"{}\"", first.escape_ascii()),
        };
        return Err(ComponentError::NotWasm { found });
    };
    match rest {
        // Version 1, layer 0.
        [1, 0, 0, 0, ..] => Err(ComponentError::CoreModule),
        _ => Ok(()),
    }
}

fn check_names(engine: &Engine, component: &Component) -> Result<(), ComponentError> {
    let ty = component.component_type();
    let found: Vec<String> = ty
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    if !found.iter().any(|name| is_app(name)) {
        let exports = |part: &str| found.iter().any(|name| name.starts_with(part));
        let hint = if exports("wasi:http/") {
            ": a WASI HTTP component, which this version does not run yet"
        } else if exports("wasi:cli/run") {
            ": a command-line program; a Rust application is a `cdylib` that uses `wasm-gw-guest`"
        } else {
            ""
        };
        return Err(ComponentError::NoApp { found, hint });
    }
    let missing: Vec<String> = ty
        .imports(engine)
        // Types may be imported on their own; they ask nothing of a host.
        .filter(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !is_offered(name))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else if missing.iter().any(|name| is_app(name)) {
        Err(ComponentError::UnpluggedMiddleware)
    } else {
        Err(ComponentError::UnknownImport { missing })
    }
}

/// Whether this is the application's interface, which a host imports and never offers.
pub(crate) fn is_app(name: &str) -> bool {
    let [(package, line), ..] = OFFERED;
    let version = name
        .strip_prefix(package)
        .and_then(|rest| rest.strip_prefix("app@"));
    version.is_some_and(|version| version.starts_with(line))
}

pub(crate) fn is_offered(name: &str) -> bool {
    !is_app(name)
        && OFFERED.iter().any(|(package, line)| {
            name.strip_prefix(package)
                .and_then(|rest| rest.split_once('@'))
                .is_some_and(|(_, version)| version.starts_with(line))
        })
}

/// What its memories take at the start, in bytes, which must be within the limit.
fn check_memory(component: &Component, limits: &InstanceLimits) -> Result<usize, ComponentError> {
    /// In bytes.
    const PAGE: u64 = 64 << 10;
    let allowed = limits.memory as u64;
    let resources = component.resources_required();
    let (memories, largest) = resources.map_or((0, 0), |resources| {
        let pages = resources.max_initial_memory_size.unwrap_or(0);
        (resources.num_memories, pages.saturating_mul(PAGE))
    });
    if largest > allowed {
        return Err(ComponentError::TooMuchMemory {
            needed: largest,
            allowed,
        });
    }
    let all = largest.saturating_mul(u64::from(memories));
    Ok(usize::try_from(all.min(allowed)).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_line_are_offered() {
        let check = |name: &str, offered| assert_eq!(is_offered(name), offered, "{name}");
        check("wasi:io/streams@0.2.0", true);
        check("wasi:io/streams@0.2.12", true);
        check("wasi:cli/environment@0.2.6", true);
        check("wasm-gw:gateway/types@0.1.0", true);
        check("wasi:io/streams@0.3.0", false);
        check("wasi:http/outgoing-handler@0.2.0", false);
        check("wasi:io/streams", false);
        check("acme:thing/unknown", false);
        check("wasm-gw:gateway/app@0.1.0", false);
    }

    #[test]
    fn what_people_give_by_mistake_is_named() {
        let check = |bytes: &[u8], expected: &str| {
            let error = check_preamble(bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(b"", "begins with nothing");
        check(b"(module)", r#"begins with "(module)""#);
        check(b"\x7fELF\x02\x01", r#"begins with "\x7fELF\x02\x01""#);
        check(b"\0asm\x01\0\0\0", "wasm32-wasip2");
    }
}
