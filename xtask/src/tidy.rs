//! The house rules that no compiler checks: each file says what it is, each rule of
//! `docs/protocol.md` names tests that exist, and the interface is one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, root};

/// A source file above this length has more than one concept in it.
const LONG: usize = 700;

pub(crate) fn run() -> Result<()> {
    let root = root();
    let files = tracked(&root)?;
    let mut found = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|kind| kind == "rs"))
    {
        let text = read(&root.join(file))?;
        if !text.trim_start().starts_with("//!") {
            found.push(format!(
                "{}: does not begin with `//!`: say what it is",
                file.display()
            ));
        }
        let lines = text.lines().count();
        if lines > LONG {
            found.push(format!(
                "{}: {lines} lines; one concept a file",
                file.display()
            ));
        }
    }
    found.extend(named_tests(&root)?);
    found.extend(named_cases(&root)?);
    found.extend(copies(&root)?);
    if found.is_empty() {
        return Ok(());
    }
    bail!("{} things to mend:\n  {}", found.len(), found.join("\n  "))
}

/// The files of the checkout that git knows or would add.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let mut list = Command::new("git");
    list.current_dir(root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    Ok(output(&mut list)?
        .lines()
        .map(PathBuf::from)
        .filter(|file| root.join(file).exists())
        .collect())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Each `path/file.rs::test` in docs/protocol.md is a function of that file.
fn named_tests(root: &Path) -> Result<Vec<String>> {
    let document = root.join("docs/protocol.md");
    let text = read(&document)?;
    let mut sources: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut found = Vec::new();
    let mut named = 0;
    for quoted in text.split('`').skip(1).step_by(2) {
        let Some((file, test)) = quoted.split_once("::") else {
            continue;
        };
        if !file.ends_with(".rs") || !file.contains('/') {
            continue;
        }
        named += 1;
        let source = sources
            .entry(file)
            .or_insert_with(|| fs::read_to_string(root.join(file)).ok());
        let exists = source
            .as_ref()
            .is_some_and(|source| source.contains(&format!("fn {test}(")));
        if !exists {
            found.push(format!("docs/protocol.md: there is no test `{quoted}`"));
        }
    }
    if named == 0 {
        found.push("docs/protocol.md: names no test at all".to_owned());
    }
    Ok(found)
}

/// Each `case` in a line of docs/protocol.md that begins with "conformance:" is a folder.
fn named_cases(root: &Path) -> Result<Vec<String>> {
    let text = read(&root.join("docs/protocol.md"))?;
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(cases) = line.trim().strip_prefix("- conformance:") else {
            continue;
        };
        for case in cases.split('`').skip(1).step_by(2) {
            if !root.join("tests/conformance/cases").join(case).is_dir() {
                found.push(format!(
                    "docs/protocol.md: there is no conformance case `{case}`"
                ));
            }
        }
    }
    Ok(found)
}

/// Crates that are published on their own carry a copy of the interface.
fn copies(root: &Path) -> Result<Vec<String>> {
    let original = read(&root.join("wit/gateway.wit"))?;
    let mut found = Vec::new();
    for copy in [
        "guest-sdk/rust/wit/gateway.wit",
        "guest-sdk/rust/middleware/wit/gateway.wit",
    ] {
        if read(&root.join(copy))? != original {
            found.push(format!(
                "{copy}: differs from wit/gateway.wit; copy it over"
            ));
        }
    }
    Ok(found)
}
