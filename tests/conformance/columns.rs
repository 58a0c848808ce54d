//! The languages, and what each has of the cases. A language with nothing yet is said to have
//! nothing: it never counts as passed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wasm_gw_tests::{conformance_guest, plain_python_component, python_component};

/// One language: a column of the table whose rows are the cases.
pub(crate) struct Column {
    pub(crate) language: &'static str,
    /// The source of the application in each case's folder.
    pub(crate) source: &'static str,
    /// Makes the component of a case.
    build: Option<Build>,
}

/// Makes the component of a case, by its name.
type Build = fn(&str) -> Result<Vec<u8>, String>;

/// A new language gets its `build` here; see README.md.
pub(crate) const COLUMNS: [Column; 7] = [
    Column {
        language: "rust",
        source: "app.rs",
        build: Some(rust),
    },
    Column {
        language: "rust-optimized",
        source: "app.rs",
        build: Some(optimized_rust),
    },
    Column {
        language: "python",
        source: "app.py",
        build: Some(python),
    },
    Column {
        language: "python-plain",
        source: "app.py",
        build: Some(plain_python),
    },
    Column {
        language: "javascript",
        source: "app.js",
        build: None,
    },
    Column {
        language: "go",
        source: "app.go",
        build: None,
    },
    Column {
        language: "c",
        source: "app.c",
        build: None,
    },
];

impl Column {
    pub(crate) fn exists(&self) -> bool {
        self.build.is_some()
    }

    /// Whether the case is written in this language. In Rust each is: its column is the first to
    /// show what a case means.
    pub(crate) fn has(&self, case: &str) -> bool {
        self.exists() && (self.language == "rust" || cases().join(case).join(self.source).exists())
    }

    pub(crate) fn component(&self, case: &str) -> Result<Vec<u8>, String> {
        let build = self
            .build
            .ok_or_else(|| format!("there is no {} yet", self.language))?;
        build(case)
    }
}

/// The folder of the cases.
pub(crate) fn cases() -> PathBuf {
    here().join("cases")
}

/// The names of all cases.
pub(crate) fn names() -> Vec<String> {
    let folder = fs::read_dir(cases()).expect("the cases can be listed");
    let mut names: Vec<String> = folder
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/conformance"))
}

#[derive(Deserialize)]
struct Manifest {
    example: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    name: String,
    path: String,
}

/// Built by `tests/build.rs`, if the case has its entry in the package of the column: a component
/// without one may be there from an earlier time.
fn rust(case: &str) -> Result<Vec<u8>, String> {
    let source = cases().join(case).join("app.rs");
    if !source.exists() {
        return Err(format!("cases/{case} has no app.rs"));
    }
    let expected = format!("../cases/{case}/app.rs");
    if !examples()
        .iter()
        .any(|example| example.name == case && example.path == expected)
    {
        return Err(format!(
            "cases/{case}/app.rs is not built; add to tests/conformance/rust/Cargo.toml:\n\
             [[example]]\nname = \"{case}\"\npath = \"{expected}\"\ncrate-type = [\"cdylib\"]"
        ));
    }
    Ok(conformance_guest(case))
}

/// What `wasm-gw optimize` makes of it.
fn optimized_rust(case: &str) -> Result<Vec<u8>, String> {
    wasm_gw_optimize::optimize(&rust(case)?).map_err(|error| error.to_string())
}

/// One component for all cases: `$CASE`, which the runner sets, says which of them it is.
fn python(_case: &str) -> Result<Vec<u8>, String> {
    python_component("tests/conformance", "python.every_case:app")
}

/// As the language's own tool makes it.
fn plain_python(_case: &str) -> Result<Vec<u8>, String> {
    plain_python_component("tests/conformance", "python.every_case:app")
}

/// Entries of the Rust package that belong to no case.
pub(crate) fn stray_examples() -> Vec<String> {
    let names: BTreeSet<String> = names().into_iter().collect();
    let stray = examples().into_iter().map(|example| example.name);
    stray.filter(|name| !names.contains(name)).collect()
}

fn examples() -> Vec<Example> {
    let manifest = here().join("rust/Cargo.toml");
    let text = fs::read_to_string(manifest).expect("the column's Cargo.toml can be read");
    let manifest: Manifest = toml::from_str(&text).expect("the column's Cargo.toml is TOML");
    manifest.example
}
