//! `wasm-gw schema`: the JSON schema of `wasm-gw.toml`, for editors.

use crate::manifest::schema;
use crate::printer;

/// Print the JSON schema of wasm-gw.toml
///
/// Point your editor at it for completion and checks. It is also in the project's
/// `docs/wasm-gw.schema.json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    printer::document(&schema())
}
