//! The only place that prints. stdout is for what was asked for; stderr for all that is said beside.
#![expect(clippy::print_stderr, reason = "this is the place that prints")]

use std::io::{IsTerminal, Write};

/// One message for a person: what went wrong, and its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let label = if std::io::stderr().is_terminal() {
        "\u{1b}[1;31merror\u{1b}[0m"
    } else {
        "error"
    };
    eprintln!("{label}: {error:#}");
}

/// A document that was asked for.
pub(crate) fn document(value: &serde_json::Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Lines about a server that is starting, for a person.
pub(crate) fn lines(lines: &[String]) {
    for line in lines {
        eprintln!("{line}");
    }
}

/// The same for a program: one JSON object on one line.
pub(crate) fn json_line(value: &serde_json::Value) {
    eprintln!("{value}");
}
