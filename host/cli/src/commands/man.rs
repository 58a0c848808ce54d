//! `wasm-gw man`: the manual page, made of what `--help` says.

use clap::CommandFactory;

use crate::args;
use crate::printer;

/// Print the manual page, of wasm-gw or of one of its commands
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wasm-gw man | man -l -
  wasm-gw man serve > wasm-gw-serve.1")]
pub(crate) struct Args {
    /// The command, such as serve
    #[arg(value_parser = command_name)]
    command: Option<String>,
}

/// One of the commands that there are.
fn command_name(name: &str) -> Result<String, String> {
    let all = args::Args::command();
    match all.find_subcommand(name) {
        Some(_) => Ok(name.to_owned()),
        None => Err("there is no such command".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut all = args::Args::command();
    // So that the names and options of commands are whole.
    all.build();
    let command = match &args.command {
        Some(name) => all.find_subcommand(name).cloned().unwrap_or(all),
        None => all,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    printer::bytes(&page)
}
