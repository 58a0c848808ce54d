//! The command line. Global flags are here; each verb's own are beside the verb.

use std::sync::LazyLock;

use clap::Parser;
use wasm_gw_runtime::WASMTIME_VERSION;

use crate::commands::Command;

/// What `--version` says. Advisories about the sandbox name versions of wasmtime.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let own = env!("CARGO_PKG_VERSION");
    format!("{own} (wasmtime {WASMTIME_VERSION})")
});

/// Serve sandboxed WebAssembly applications over HTTP.
///
/// Each request runs in a fresh instance of the application, which gets no files of the host, no network and
/// no environment unless you grant them, and is bounded in time and memory.
#[derive(Debug, Parser)]
#[command(
    name = "wasm-gw",
    version = VERSION.as_str(),
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Start here:  wasm-gw serve app.wasm"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
