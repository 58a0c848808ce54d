//! Runs a program that a build needs, and keeps what it says, within bounds.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use crate::error::BuildError;

/// The most that is kept of what a program writes to either stream: its last bytes.
const MOST_KEPT: usize = 1 << 20;

/// A program and its arguments.
#[derive(Debug)]
pub(crate) struct Tool {
    /// What people call it.
    name: &'static str,
    command: Command,
}

/// How it ended, and what it said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Tool {
    pub(crate) fn new(name: &'static str, program: impl AsRef<Path>) -> Self {
        let mut command = Command::new(program.as_ref());
        command.stdin(Stdio::null());
        // Those of the project's interpreter are not for ours.
        for name in ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV"] {
            command.env_remove(name);
        }
        Self { name, command }
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end, whatever that is.
    pub(crate) fn run(mut self) -> Result<Output, BuildError> {
        let program = PathBuf::from(self.command.get_program());
        let name = self.name;
        let run = || -> io::Result<Output> {
            let mut child = (self.command)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            let err = child.stderr.take();
            let reader = thread::spawn(move || err.map(tail).transpose());
            let out = child.stdout.take().map(tail).transpose();
            let err = reader.join().expect("the reader does not panic");
            Ok(Output {
                status: child.wait()?,
                out: out?.unwrap_or_default(),
                err: err?.unwrap_or_default(),
            })
        };
        let mut run = run;
        run().map_err(|error| BuildError::Tool {
            name,
            program,
            error,
        })
    }

    /// Runs it, and takes any failure for one of the build.
    pub(crate) fn succeed(self, doing: &str) -> Result<Output, BuildError> {
        let name = self.name;
        let output = self.run()?;
        if output.status.success() {
            return Ok(output);
        }
        Err(BuildError::ToolFailed {
            name,
            doing: doing.to_owned(),
            status: output.status,
            said: output.last_words(),
        })
    }
}

impl Output {
    /// What it said last, on either stream: enough to know why it failed.
    pub(crate) fn last_words(&self) -> String {
        const LINES: usize = 40;
        let text = if self.err.trim().is_empty() {
            &self.out
        } else {
            &self.err
        };
        let lines: Vec<&str> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// The end of a stream, as text.
fn tail(mut stream: impl Read) -> io::Result<String> {
    let mut kept = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            count => kept.extend_from_slice(&buffer[..count]),
        }
        if kept.len() > 2 * MOST_KEPT {
            kept.drain(..kept.len() - MOST_KEPT);
        }
    }
    Ok(String::from_utf8_lossy(&kept).into_owned())
}
