//! What a project says that it needs, in whichever of the usual ways.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::BuildError;
use crate::progress::Silent;
use crate::python::interpreter::Tools;
use crate::store::Store;
use crate::tool::Tool;

/// The packages that a project asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// Where that is said, for people.
    pub(crate) from: String,
    /// As in a `requirements.txt`, or what uv takes in its place.
    pub(crate) text: String,
    /// How the file of it is called, since uv goes by the name.
    pub(crate) name: &'static str,
}

/// The files that say it, the one that counts first.
const FILES: [&str; 5] = [
    "uv.lock",
    "poetry.lock",
    "pylock.toml",
    "requirements.txt",
    "pyproject.toml",
];

/// What the project in `folder` needs: what the file that was named says, or else the first of these that is there: a
/// lock file, `requirements.txt`, the dependencies in `pyproject.toml`, a virtual environment. `None` if it needs
/// nothing.
pub(crate) fn find(
    folder: &Path,
    given: Option<&Path>,
    tools: &Tools,
    store: &Store,
) -> Result<Option<Requirements>, BuildError> {
    if let Some(path) = given {
        return read(path, tools, store).map(Some);
    }
    for name in FILES {
        let path = folder.join(name);
        if path.is_file() && (name != "pyproject.toml" || has_dependencies(&path)?) {
            return read(&path, tools, store).map(Some);
        }
    }
    environment(folder, tools)
}

fn read(path: &Path, tools: &Tools, store: &Store) -> Result<Requirements, BuildError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let from = name.clone().into_owned();
    let of = |name, text| Requirements {
        from: from.clone(),
        text,
        name,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let text = || fs::read_to_string(path).map_err(|error| BuildError::read(path, error));
    Ok(match &*name {
        "uv.lock" => of("requirements.txt", uv_export(folder, tools)?),
        "poetry.lock" => of("requirements.txt", poetry_export(folder, tools, store)?),
        "pyproject.toml" => of("pyproject.toml", text()?),
        "pylock.toml" => of("pylock.toml", text()?),
        _ => of("requirements.txt", with_includes(path, &mut Vec::new())?),
    })
}

/// A `requirements.txt` with what it includes by `-r` and `-c` in its place, since the copy lies elsewhere.
fn with_includes(path: &Path, within: &mut Vec<PathBuf>) -> Result<String, BuildError> {
    if within.iter().any(|outer| outer == path) {
        return Err(BuildError::Packages(format!(
            "{} includes itself",
            path.display()
        )));
    }
    within.push(path.to_owned());
    let text = fs::read_to_string(path).map_err(|error| BuildError::read(path, error))?;
    let mut all = String::new();
    let beside = |name: &str| path.with_file_name("").join(name);
    for line in text.lines() {
        match option_of(line) {
            Some(("-r" | "--requirement", other)) => {
                all.push_str(&with_includes(&beside(other), within)?);
            }
            Some(("-c" | "--constraint", other)) => {
                let other = beside(other);
                let other =
                    fs::canonicalize(&other).map_err(|error| BuildError::read(&other, error))?;
                let bytes = fs::read(&other).map_err(|error| BuildError::read(&other, error))?;
                // What is installed depends on what is in it.
                let digest = blake3::hash(&bytes).to_hex();
                all.push_str(&format!("-c {}\n# {digest}\n", other.display()));
            }
            Some(("-f" | "--find-links", other)) if beside(other).exists() => {
                let other = beside(other);
                let other =
                    fs::canonicalize(&other).map_err(|error| BuildError::read(&other, error))?;
                all.push_str(&format!("--find-links {}\n", other.display()));
            }
            // In a component there is nothing to edit.
            Some(("-e" | "--editable", other)) => all.push_str(&format!("{other}\n")),
            _ => {
                all.push_str(line);
                all.push('\n');
            }
        }
    }
    within.pop();
    Ok(all)
}

/// An option of a line that has a value: `-r more.txt`, `-rmore.txt` or `--requirement=more.txt`.
fn option_of(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line
        .split_once(" #")
        .map_or(line, |(line, _)| line.trim_end());
    let (name, value) = if line.starts_with("--") {
        line.split_once(['=', ' '])?
    } else if line.starts_with('-') && line.is_char_boundary(2) && line.len() > 2 {
        line.split_at(2)
    } else {
        return None;
    };
    let value = value.trim().trim_start_matches('=').trim();
    (!value.is_empty()).then_some((name, value))
}

impl Requirements {
    /// Whether what is installed is on this machine's disk, and may be another at any time.
    pub(crate) fn are_local(&self) -> bool {
        self.text.lines().any(|line| {
            let line = line.trim();
            line.starts_with(['.', '/', '~'])
                || line.contains("file:")
                || line.starts_with("--find-links")
        }) || self.name != "requirements.txt" && self.text.contains("path =")
    }
}

/// Whether a `pyproject.toml` says what the project needs, and not only how its tools are set.
///
/// # Errors
///
/// It is poetry's, and without a lock file only poetry knows what it means.
fn has_dependencies(path: &Path) -> Result<bool, BuildError> {
    let text = fs::read_to_string(path).map_err(|error| BuildError::read(path, error))?;
    let wrong = |what: String| BuildError::Packages(format!("{}: {what}", path.display()));
    let all: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let of = |table: &str, key: &str| all.get(table).and_then(|table| table.get(key));
    if of("tool", "poetry").is_some_and(|poetry| poetry.get("dependencies").is_some()) {
        let what = "what poetry has to resolve needs its lock file; run `poetry lock`";
        return Err(wrong(what.to_owned()));
    }
    let dynamic = of("project", "dynamic").and_then(toml::Value::as_array);
    let is_dynamic =
        dynamic.is_some_and(|names| names.iter().any(|it| it.as_str() == Some("dependencies")));
    Ok(is_dynamic || of("project", "dependencies").is_some())
}

fn uv_export(folder: &Path, tools: &Tools) -> Result<String, BuildError> {
    let output = Tool::new("uv", tools.program("uv"))
        .args([
            "export",
            "--frozen",
            "--no-dev",
            "--no-emit-project",
            "--no-header",
            "--quiet",
        ])
        .args([
            "--no-python-downloads",
            "--format",
            "requirements.txt",
            "--project",
        ])
        .args([folder])
        .succeed("reading uv.lock")?;
    Ok(output.out)
}

/// Only poetry reads its own file; uv fetches it. What it makes of the file is kept.
fn poetry_export(folder: &Path, tools: &Tools, store: &Store) -> Result<String, BuildError> {
    const EXPORTED: &str = "requirements.txt";
    let mut hasher = blake3::Hasher::new();
    hasher.update(tools.key.as_bytes());
    for name in ["poetry.lock", "pyproject.toml"] {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|error| BuildError::read(&path, error))?;
        hasher.update(blake3::hash(&bytes).as_bytes());
    }
    let name = format!("poetry-{}", &hasher.finalize().to_hex()[..32]);
    let (kept, _) = store.get(&name, &Silent, |kept| {
        let output = Tool::new("poetry", tools.program("uv"))
            .env("UV_CACHE_DIR", store.folder("uv"))
            .env("UV_TOOL_DIR", store.folder("uv-tools"))
            .args(["tool", "run", "--quiet", "--python"])
            .args([tools.python()])
            .args([
                "--from",
                "poetry==2.2.1",
                "--with",
                "poetry-plugin-export==1.9.0",
            ])
            .args([
                "poetry",
                "export",
                "--format",
                "requirements.txt",
                "--directory",
            ])
            .args([folder])
            .succeed("reading poetry.lock")?;
        let path = kept.join(EXPORTED);
        fs::write(&path, output.out).map_err(|error| BuildError::write(&path, error))
    })?;
    let path = kept.join(EXPORTED);
    fs::read_to_string(&path).map_err(|error| BuildError::read(&path, error))
}

/// What is installed in the project's virtual environment. It is for another interpreter: only names and versions
/// count.
fn environment(folder: &Path, tools: &Tools) -> Result<Option<Requirements>, BuildError> {
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let usual = [".venv", "venv"].map(|name| folder.join(name));
    let Some(environment) =
        (active.into_iter().chain(usual)).find(|path| path.join("pyvenv.cfg").exists())
    else {
        return Ok(None);
    };
    let output = Tool::new("uv", tools.program("uv"))
        .args(["pip", "freeze", "--quiet", "--exclude-editable", "--python"])
        .args([&environment])
        .succeed("listing the packages of the virtual environment")?;
    let lines = output
        .out
        .lines()
        .filter(|line| !is_of_the_environment(line));
    Ok(Some(Requirements {
        from: format!("the virtual environment {}", environment.display()),
        text: lines.map(|line| format!("{line}\n")).collect(),
        name: "requirements.txt",
    }))
}

/// What is there for whoever installs, and not for the application. If one of these is needed by another package, it comes
/// with that.
fn is_of_the_environment(line: &str) -> bool {
    let name = line.split(['=', ' ']).next().unwrap_or(line);
    ["pip", "setuptools", "wheel", "wasm-gw"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_may_say_what_it_needs_in_other_ways_than_a_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pyproject.toml");
        let of = |text: &str| {
            fs::write(&path, text).unwrap();
            has_dependencies(&path)
        };
        assert!(of("[project]\ndependencies = ['flask']\n").unwrap());
        assert!(of("[project]\ndynamic = ['version', 'dependencies']\n").unwrap());
        assert!(!of("[tool.ruff]\ndependencies = 1\n").unwrap());
        let told = |text: &str| of(text).unwrap_err().to_string();
        assert!(told("[tool.poetry.dependencies]\nflask = '*'\n").contains("poetry lock"));
        assert!(told("[project\n").contains("pyproject.toml"));
    }

    #[test]
    fn a_constraint_counts_by_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("requirements.txt"), "bottle\n--constraint=c.txt\n").unwrap();
        let of = |constraint: &str| {
            fs::write(path("c.txt"), constraint).unwrap();
            with_includes(&path("requirements.txt"), &mut Vec::new()).unwrap()
        };
        assert_ne!(of("bottle==0.12.25"), of("bottle==0.13.4"));
    }

    #[test]
    fn what_lies_on_the_disk_is_known() {
        let are_local = |text: &str| {
            let requirements = Requirements {
                from: String::new(),
                text: text.to_owned(),
                name: "requirements.txt",
            };
            requirements.are_local()
        };
        for text in [
            "./lib",
            "x\n../lib[extra]",
            "lib @ file:///x",
            "--find-links /wheels",
        ] {
            assert!(are_local(text), "{text}");
        }
        assert!(!are_local("flask==3.1.3 --hash=sha256:00\n# ./lib\n"));
    }

    #[test]
    fn what_installs_is_not_part_of_the_application() {
        for line in ["pip==26.0", "setuptools==80.1", "wasm-gw @ file:///x.whl"] {
            assert!(is_of_the_environment(line), "{line}");
        }
        assert!(!is_of_the_environment("pip-tools==7.5"));
        assert!(!is_of_the_environment("flask==3.1.3"));
    }

    #[test]
    fn what_is_included_comes_along_and_a_circle_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("more.txt"), "bottle\n").unwrap();
        for line in [
            "-r more.txt",
            "-rmore.txt # more",
            "--requirement=more.txt",
            "--requirement more.txt",
        ] {
            fs::write(path("requirements.txt"), format!("flask\n{line}\n")).unwrap();
            let text = with_includes(&path("requirements.txt"), &mut Vec::new()).unwrap();
            assert_eq!(text, "flask\nbottle\n", "{line}");
        }
        fs::write(path("more.txt"), "-r requirements.txt\n").unwrap();
        let error = with_includes(&path("requirements.txt"), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("includes itself"), "{error}");
    }
}
