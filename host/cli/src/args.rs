//! The command line. Global flags are here; each verb's own are beside the verb.

use clap::Parser;

use crate::commands::Command;

/// Serve sandboxed WebAssembly applications over HTTP.
///
/// Each request runs in a fresh instance of the application, which gets no files, no network and no
/// environment unless you grant them, and is bounded in time and memory.
#[derive(Debug, Parser)]
#[command(
    name = "wasm-gw",
    version,
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
