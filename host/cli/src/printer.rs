//! The only place that prints. stdout is for what was asked for; stderr for all that is said beside.

use std::io::{ErrorKind, IsTerminal, Write};

/// One message for a person: what went wrong, and its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let label = if std::io::stderr().is_terminal() {
        "\u{1b}[1;31merror\u{1b}[0m"
    } else {
        "error"
    };
    say(&format!("{label}: {error:#}"));
}

/// A document that was asked for.
pub(crate) fn document(value: &serde_json::Value) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Lines that were asked for.
pub(crate) fn text(lines: &[String]) -> anyhow::Result<()> {
    print(&lines.join("\n"))
}

fn print(text: &str) -> anyhow::Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// What was asked for, as it is.
pub(crate) fn bytes(all: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(all) {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Lines about a server that is starting, for a person.
pub(crate) fn lines(lines: &[String]) {
    for line in lines {
        say(line);
    }
}

/// The same for a program: one JSON object on one line.
pub(crate) fn json_line(value: &serde_json::Value) {
    say(&value.to_string());
}

/// A line on stderr. If nobody is there to read it, that is no reason to end.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
