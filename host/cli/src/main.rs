//! The command `wasm-gw`: parse, run, exit. The only place that decides an exit code:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, or stopped by a signal after all that was accepted was answered |
//! | 1 | it could not be done; one message on stderr says what, where and the mend. Also: ended by a second signal; something was found, by `check` |
//! | 2 | the command line or `wasm-gw.toml` is wrong. Also: `check` could not check |

mod allocator;
mod args;
mod commands;
mod files;
mod log_file;
mod manifest;
mod notify;
mod options;
mod printer;
mod reload;
mod signals;
mod status;
mod takeover;
mod telemetry;
mod usage;
mod values;
mod wall_clock;

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Args;
use crate::manifest::ManifestError;
use crate::usage::Usage;

fn main() -> ExitCode {
    allocator::give_back_at_once();
    // clap prints its own usage errors, and ends with 2.
    let args = Args::try_parse()
        .map_err(with_tip)
        .unwrap_or_else(|error| error.exit());
    match commands::run(args.command) {
        Ok(code) => code,
        Err(error) => {
            printer::error(&error);
            if error.is::<ManifestError>() || error.is::<Usage>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Whoever names a file and no verb wants it served.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let given = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(given)) if error.kind() == ErrorKind::InvalidSubcommand => given,
        _ => return error,
    };
    if given.ends_with(".wasm") {
        let tip = format!("to serve it: wasm-gw serve {given}");
        let tip = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

/// Ends at once, by a second signal: nothing more is waited for.
fn quit() -> ! {
    std::process::exit(1)
}
