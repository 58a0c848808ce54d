//! The log on stderr.

use tracing_subscriber::EnvFilter;

use crate::options::LogFormat;
use crate::usage::Usage;

/// The environment variable that chooses what is logged, as in `WASM_GW_LOG=debug`.
const VARIABLE: &str = "WASM_GW_LOG";

/// Sends the log to stderr in this form.
///
/// # Errors
///
/// The environment variable chooses nothing that there is.
pub(crate) fn start(format: LogFormat) -> Result<(), Usage> {
    let chosen = std::env::var(VARIABLE).unwrap_or_default();
    let filter = filter(&chosen).ok_or_else(|| {
        Usage::of(format!(
            "{VARIABLE}={chosen} chooses no log: write error, warn, info or debug, or a list such as \
             warn,wasm_gw::guest=info"
        ))
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Combined => log
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Sends the log to stderr if `WASM_GW_LOG` asks for it: where what happens is the report itself.
///
/// # Errors
///
/// As for [`start`].
pub(crate) fn start_if_asked() -> Result<(), Usage> {
    match std::env::var_os(VARIABLE) {
        Some(chosen) if !chosen.is_empty() => start(LogFormat::Combined),
        _ => Ok(()),
    }
}

/// Levels, alone or for a target. A lone word that is no level would be taken for a target, and all
/// else would be silent.
fn filter(chosen: &str) -> Option<EnvFilter> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    if chosen.is_empty() {
        return Some(EnvFilter::new("info"));
    }
    let known = chosen.split(',').all(|part| {
        let level = part.split_once('=').map_or(part, |(_, level)| level);
        LEVELS.contains(&level.trim().to_ascii_lowercase().as_str())
    });
    known.then(|| EnvFilter::try_new(chosen).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_there_is_not_is_refused() {
        for right in ["", "warn", "DEBUG", "off", "warn,wasm_gw::guest=info"] {
            assert!(filter(right).is_some(), "{right}");
        }
        for wrong in ["warning", "loud", "warn,loud", "wasm_gw=loud", "3"] {
            assert!(filter(wrong).is_none(), "{wrong}");
        }
    }
}
