//! Makes a component whose instances are made faster, and that does the same.
//!
//! What tools make of several libraries, as componentize-py does, is a component of dozens of core modules that import
//! from each other. Each instance has to link them anew: thousands of imports, and a table of thousands of functions
//! that is filled one by one, since it belongs to another module than the functions do. Here they become *one* module,
//! in which all of that is constant. A component of one module gains, too: tools put a table of functions between it
//! and the host, because the host needs the module's memory before the module is there. That is turned round.
//!
//! What comes out:
//!
//! | module | what |
//! |---|---|
//! | base | the memory with all that it holds at first, and a small table by which the host calls back |
//! | fused | all code and tables; it imports the memory, and functions of the host without anything between |
//!
//! What the component imports, exports and has inside stays as it was. What is lost is what nobody needs who runs it: the
//! custom sections of its modules, as those of debuggers, but for the names of functions. A component of a shape that is not
//! known is not touched ([`Unknown`]).
//!
//! In reading order:
//!
//! | file | what |
//! |---|---|
//! | `parts.rs` | a component, taken apart |
//! | `module.rs` | a core module, taken apart |
//! | `links.rs` | which export is behind an import |
//! | `bridge.rs` | the table that tools put between module and host |
//! | `constant.rs` | what a global holds |
//! | `base.rs` | the module that comes first |
//! | `fuse.rs`, `code.rs` | the module that all others become |
//! | `rewrite.rs` | the component around them |

mod base;
mod bridge;
mod code;
mod constant;
mod error;
mod fuse;
mod links;
mod module;
mod parts;
mod rewrite;

use wasmparser::{Validator, WasmFeatures};

pub use self::error::Unknown;

/// Fuses the core modules of a component.
///
/// The result is valid if the component is: it is looked at again before it is given back.
///
/// # Errors
///
/// The component is not valid, or of a shape that this does not know how to fuse. Nothing is wrong with the latter:
/// it runs as it is.
pub fn optimize(component: &[u8]) -> Result<Vec<u8>, Unknown> {
    // All that follows counts on it.
    validate(component).map_err(Unknown::Invalid)?;
    let parts = parts::Parts::of(component)?;
    let links = links::Links::of(&parts)?;
    let optimized = rewrite::rewrite(&parts, &links)?;
    validate(&optimized).map_err(Unknown::Failed)?;
    Ok(optimized)
}

fn validate(component: &[u8]) -> Result<(), wasmparser::BinaryReaderError> {
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(component)
        .map(drop)
}
