//! The licences of the libraries that are in the program. Most of them ask that their text goes along with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::shell::{cargo, output, rustc};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// None for a package of this checkout.
    source: Option<String>,
    manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None for what is linked, else `dev` or `build`.
    kind: Option<String>,
}

/// Each library with its version and licence, then each text once, with the libraries that it is from.
pub(crate) fn licences() -> Result<String> {
    let metadata = output(&mut cargo(
        ".",
        &[
            "metadata",
            "--locked",
            "--format-version=1",
            "--filter-platform",
            &rustc()?.host,
        ],
    ))?;
    let metadata: Metadata = serde_json::from_str(&metadata)?;
    let linked = linked(&metadata, "wasm-gw")?;

    let mut text = String::from("The program wasm-gw contains these libraries:\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in &linked {
        let shown = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see below");
        writeln!(text, "{shown}: {licence}")?;
        let folder = Path::new(&package.manifest_path).parent();
        for licence in texts_in(folder.context("a manifest is in a folder")?)? {
            texts.entry(licence).or_default().push(shown.clone());
        }
    }
    text.push_str(
        "\nand the standard library of Rust: MIT OR Apache-2.0.\n\n\
         Their licences, as far as their packages have them:\n",
    );
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, a), (_, b)| a.cmp(b));
    for (licence, packages) in texts {
        let rule = "=".repeat(80);
        write!(text, "\n{rule}\n{}\n{rule}\n\n", packages.join(", "))?;
        text.push_str(&licence);
        text.push('\n');
    }
    Ok(text)
}

/// What is linked into this package of the checkout and is not of the checkout itself, in the order of names.
fn linked<'a>(metadata: &'a Metadata, root: &str) -> Result<Vec<&'a Package>> {
    let packages: BTreeMap<&str, &Package> = (metadata.packages.iter())
        .map(|package| (package.id.as_str(), package))
        .collect();
    let nodes: BTreeMap<&str, &Node> = (metadata.resolve.nodes.iter())
        .map(|node| (node.id.as_str(), node))
        .collect();
    let root = (metadata.packages.iter())
        .find(|package| package.name == root && package.source.is_none())
        .context("the package of the program is missing")?;
    let mut seen = BTreeSet::new();
    let mut next = vec![root.id.as_str()];
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes.get(id).context("cargo resolved less than it names")?;
        let linked = |dependency: &&Dependency| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| kind.kind.is_none())
        };
        next.extend(node.deps.iter().filter(linked).map(|dep| dep.pkg.as_str()));
    }
    let mut found: Vec<&Package> = (seen.iter())
        .filter_map(|id| packages.get(id).copied())
        .filter(|package| package.source.is_some())
        .collect();
    found.sort_by_key(|package| (&package.name, &package.version));
    ensure!(!found.is_empty(), "the program has no library in it");
    Ok(found)
}

/// The texts of licences and notices in the folder of a package.
fn texts_in(folder: &Path) -> Result<BTreeSet<String>> {
    let mut texts = BTreeSet::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_uppercase();
        let is_licence = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"]
            .iter()
            .any(|begin| name.starts_with(begin));
        if is_licence && path.is_file() {
            let text = fs::read(&path)?;
            texts.insert(String::from_utf8_lossy(&text).trim().to_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_has_its_licences_and_what_only_builds_has_none() {
        let text = licences().unwrap();
        let is_listed = |name: &str| {
            text.lines()
                .any(|line| line.starts_with(&format!("{name} ")) && line.contains(": "))
        };
        assert!(is_listed("wasmtime") && is_listed("hyper") && is_listed("libmimalloc-sys"));
        assert!(!is_listed("cc") && !is_listed("proptest") && !is_listed("wasm-gw-http"));
        assert!(
            text.contains("Copyright (c) 2014-2026 Sean McArthur")
                || text.contains("Sean McArthur")
        );
    }
}
