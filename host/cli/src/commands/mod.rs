//! The verbs, one file each.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod man;
pub(crate) mod optimize;
pub(crate) mod schema;
pub(crate) mod serve;

use std::process::ExitCode;

use clap::Subcommand;

/// The verbs of the command line.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<serve::Args>),
    Build(build::Args),
    Check(check::Args),
    Optimize(optimize::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the verb.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(*args)?,
        Command::Build(args) => build::run(args)?,
        Command::Check(args) => return check::run(args),
        Command::Optimize(args) => optimize::run(&args)?,
        Command::Schema(args) => schema::run(&args)?,
        Command::Completions(args) => completions::run(&args)?,
        Command::Man(args) => man::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
