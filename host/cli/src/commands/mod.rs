//! The verbs, one file each.

pub(crate) mod schema;
pub(crate) mod serve;

use clap::Subcommand;

/// The verbs of the command line.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<serve::Args>),
    Schema(schema::Args),
}

/// Runs the verb.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::run(*args),
        Command::Schema(args) => schema::run(&args),
    }
}
