//! What `check` found, for people and for programs.

use std::path::Path;

use serde_json::{Value, json};
use wasm_gw_protocol::lint::{Finding, Level, Rule};
use wasm_gw_runtime::testing::Called;
use wasm_gw_runtime::{Import, Interfaces};

use super::requests::Asked;
use crate::values::Size;

/// All that is known of a component.
pub(crate) struct Report {
    file: String,
    size: usize,
    pub(crate) interfaces: Interfaces,
    /// Why it cannot be run here.
    pub(crate) cannot: Option<String>,
    pub(crate) answers: Vec<Answer>,
}

/// What came of one request.
pub(crate) struct Answer {
    name: String,
    status: u16,
    bytes: usize,
    is_cut: bool,
    findings: Vec<Finding>,
    log: Vec<String>,
}

/// What `check` looks for beside the lint.
const NOT_ASKED: &Rule = &Rule {
    name: "not-asked",
    id: "-",
    level: Level::Error,
    mend: "see what is wrong with the request, or with the requests before it",
};
const UNEXPECTED: &Rule = &Rule {
    name: "unexpected",
    id: "-",
    level: Level::Error,
    mend: "mend the application, or what the file of requests expects",
};

/// So many lines of a guest's log are shown of a request that has a finding.
const LINES: usize = 20;

impl Answer {
    pub(crate) fn of(asked: &Asked, called: Called, unexpected: Vec<String>) -> Self {
        let mut findings = called.findings();
        let status = called.response.status();
        if called.transcript.events.is_empty() && status.as_u16() >= 400 {
            findings.push(Finding {
                rule: NOT_ASKED,
                seen: format!("the host answered {status} and asked no application"),
            });
        }
        let unexpected = unexpected.into_iter();
        findings.extend(unexpected.map(|seen| Finding {
            rule: UNEXPECTED,
            seen,
        }));
        Self {
            name: asked.name.clone(),
            status: status.as_u16(),
            bytes: called.response.body().len(),
            is_cut: called.is_cut,
            findings,
            log: called.log,
        }
    }

    fn outcome(&self) -> String {
        let cut = if self.is_cut { ", cut off" } else { "" };
        format!("{}, {} bytes{cut}", self.status, self.bytes)
    }
}

/// What of a host an import is about, and how it is granted.
fn grant(name: &str) -> &'static str {
    let is = |prefix: &str| name.starts_with(prefix);
    if is("wasi:cli/environment@") {
        "environment variables: --env NAME=VALUE, else none"
    } else if is("wasi:filesystem/") {
        "files: /tmp in memory unless --no-tmp; of the host --dir HOST::GUEST[:ro], else none"
    } else if is("wasi:sockets/") {
        "the network, which cannot be granted"
    } else if is("wasi:cli/std") || is("wasi:cli/terminal") {
        "standard streams: the log; nothing comes in"
    } else if is("wasi:clocks/") {
        "clocks"
    } else if is("wasi:random/") {
        "random numbers"
    } else if is("wasi:io/") {
        "what streams are made of"
    } else if is("wasi:cli/exit@") {
        "an end of its own"
    } else if is("wasm-gw:gateway/") {
        "the request and its answer"
    } else {
        ""
    }
}

impl Report {
    pub(crate) fn of(file: &Path, size: usize) -> Self {
        Self {
            file: file.display().to_string(),
            size,
            interfaces: Interfaces::default(),
            cannot: None,
            answers: Vec::new(),
        }
    }

    /// How many things were found.
    pub(crate) fn findings(&self) -> usize {
        self.answers
            .iter()
            .map(|answer| answer.findings.len())
            .sum()
    }

    pub(crate) fn as_text(&self) -> Vec<String> {
        let mut lines = vec![format!("{}, {}", self.file, Size(self.size as u64))];
        for name in &self.interfaces.exports {
            lines.push(format!("  exports  {name}"));
        }
        for Import { name, is_offered } in &self.interfaces.imports {
            let about = match is_offered {
                true => grant(name),
                false => "not offered by this host",
            };
            lines.push(
                format!("  imports  {name:<40} {about}")
                    .trim_end()
                    .to_owned(),
            );
        }
        match &self.cannot {
            Some(why) => lines.push(format!("  runs     no: {why}")),
            None => lines.push("  runs     yes".to_owned()),
        }
        if !self.answers.is_empty() {
            lines.push(String::new());
        }
        for answer in &self.answers {
            let is_error = |found: &Finding| found.rule.level == Level::Error;
            let mark = match &answer.findings[..] {
                [] => "ok  ",
                some if some.iter().any(is_error) => "FAIL",
                _ => "warn",
            };
            lines.push(format!("{mark} {}: {}", answer.name, answer.outcome()));
            for Finding { rule, seen } in &answer.findings {
                let level = rule.level.as_str();
                lines.push(format!("     {level} {} ({}): {seen}", rule.name, rule.id));
                lines.push(format!("       {}", rule.mend));
            }
            if !answer.findings.is_empty() {
                let shown = answer.log.iter().take(LINES);
                lines.extend(shown.map(|line| format!("     log: {line}")));
                if answer.log.len() > LINES {
                    lines.push(format!("     log: {} lines more", answer.log.len() - LINES));
                }
            }
        }
        if self.cannot.is_none() {
            lines.push(String::new());
            let (requests, findings) = (self.answers.len(), self.findings());
            lines.push(match findings {
                0 => format!("{requests} requests, nothing found"),
                1 => format!("{requests} requests, 1 finding"),
                _ => format!("{requests} requests, {findings} findings"),
            });
        }
        lines
    }

    pub(crate) fn as_json(&self) -> Value {
        let imports = self.interfaces.imports.iter().map(|import| {
            json!({
                "name": import.name,
                "offered": import.is_offered,
                "about": grant(&import.name),
            })
        });
        let answers = self.answers.iter().map(|answer| {
            let findings = answer.findings.iter().map(|Finding { rule, seen }| {
                json!({
                    "rule": rule.name,
                    "id": rule.id,
                    "level": rule.level.as_str(),
                    "seen": seen,
                    "mend": rule.mend,
                })
            });
            json!({
                "name": answer.name,
                "status": answer.status,
                "bytes": answer.bytes,
                "cut": answer.is_cut,
                "findings": findings.collect::<Vec<_>>(),
                "log": answer.log,
            })
        });
        json!({
            "file": self.file,
            "size": self.size,
            "exports": self.interfaces.exports,
            "imports": imports.collect::<Vec<_>>(),
            "runs": self.cannot.is_none(),
            "why_not": self.cannot,
            "requests": answers.collect::<Vec<_>>(),
            "findings": self.findings(),
        })
    }
}
