//! The command `wasm-gw`: parse, run, exit. The only place that decides an exit code:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, or stopped by a signal after all that was accepted was answered |
//! | 1 | it could not be done; one message on stderr says what, where and the mend. Also: ended by a second signal |
//! | 2 | the command line or `wasm-gw.toml` is wrong |

mod args;
mod commands;
mod manifest;
mod options;
mod printer;
mod telemetry;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::manifest::ManifestError;

fn main() -> ExitCode {
    // clap prints its own usage errors, and ends with 2.
    let args = Args::parse();
    match commands::run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer::error(&error);
            if error.is::<ManifestError>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Ends at once, by a second signal: nothing more is waited for.
fn quit() -> ! {
    std::process::exit(1)
}
