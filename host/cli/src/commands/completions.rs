//! `wasm-gw completions`: what a shell needs to complete its command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args;
use crate::printer;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wasm-gw completions bash > ~/.local/share/bash-completion/completions/wasm-gw
  wasm-gw completions zsh > ~/.zfunc/_wasm-gw
  wasm-gw completions fish > ~/.config/fish/completions/wasm-gw.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut args::Args::command(),
        "wasm-gw",
        &mut script,
    );
    printer::bytes(&script)
}
