//! The tools that make components of Python: componentize-py and uv, of pinned versions and digests, in a virtual
//! environment of their own. They come once, and from then on no network is needed for them.

use std::path::{Path, PathBuf};

use crate::error::BuildError;
use crate::progress::Progress;
use crate::store::Store;
use crate::tool::Tool;

/// What pip installs, with a digest for each file that it may take.
const TOOLS: &str = include_str!("tools.txt");

/// The versions of the two, for people.
pub(crate) const COMPONENTIZE_PY: &str = "0.25.1";

/// That of the interpreter inside of components.
pub(crate) const CPYTHON: &str = "3.14";

/// The oldest interpreter that runs the tools.
const OLDEST: (u32, u32) = (3, 10);

/// The environment.
#[derive(Debug)]
pub(crate) struct Tools {
    folder: PathBuf,
    /// Tells it from that of other versions.
    pub(crate) key: String,
}

impl Tools {
    /// Makes it, or finds it.
    pub(crate) fn get(
        python: Option<&Path>,
        store: &Store,
        progress: &dyn Progress,
    ) -> Result<Self, BuildError> {
        let python = Python::find(python)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(TOOLS.as_bytes());
        hasher.update(python.path.as_os_str().as_encoded_bytes());
        hasher.update(python.version.as_bytes());
        let key = hasher.finalize().to_hex()[..16].to_owned();
        progress.begin(
            "tools",
            &format!("componentize-py {COMPONENTIZE_PY}, which has CPython {CPYTHON}"),
        );
        let (folder, was_there) = store.get(&format!("tools-{key}"), progress, |folder| {
            install(&python, folder)
        })?;
        progress.end(if was_there { "there" } else { "installed" });
        Ok(Self { folder, key })
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.program("python")
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

/// The interpreter of this machine.
struct Python {
    path: PathBuf,
    /// As it says itself.
    version: String,
}

impl Python {
    fn find(given: Option<&Path>) -> Result<Self, BuildError> {
        if let Some(path) = given {
            return Self::at(path)?.ok_or_else(|| {
                BuildError::NoPython(format!(
                    "{} is no Python of {OLDEST:?} or later",
                    path.display()
                ))
            });
        }
        for name in [
            "python3",
            "python",
            "python3.14",
            "python3.13",
            "python3.12",
            "python3.11",
        ] {
            if let Ok(Some(found)) = Self::at(Path::new(name)) {
                return Ok(found);
            }
        }
        let (major, minor) = OLDEST;
        Err(BuildError::NoPython(format!(
            "there is no Python of {major}.{minor} or later on the PATH, which the tools need that make a component. \
             Install one (on Debian: apt-get install python3 python3-venv), or name it by --python"
        )))
    }

    /// The one that is called so, if it is new enough.
    fn at(name: &Path) -> Result<Option<Self>, BuildError> {
        const ASK: &str = "import sys; print(sys.version_info[0], sys.version_info[1], sys.version.split()[0], sys.executable)";
        // In isolation: modules of the project must not be taken for those of the library.
        let output = Tool::new("Python", name).args(["-I", "-c", ASK]).run()?;
        let mut words = output.out.trim().splitn(4, ' ');
        let mut number = || words.next()?.parse::<u32>().ok();
        let (Some(major), Some(minor)) = (number(), number()) else {
            return Ok(None);
        };
        let (Some(version), Some(path)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        Ok(((major, minor) >= OLDEST).then(|| Self {
            path: PathBuf::from(path),
            version: version.to_owned(),
        }))
    }
}

fn install(python: &Python, folder: &Path) -> Result<(), BuildError> {
    let made = Tool::new("Python", &python.path)
        .folder(folder)
        .args(["-I", "-m", "venv"])
        .args([folder])
        .run()?;
    if !made.status.success() {
        return Err(BuildError::NoPython(format!(
            "{} cannot make a virtual environment (on Debian: apt-get install python3-venv):\n{}",
            python.path.display(),
            made.last_words()
        )));
    }
    let list = folder.join("tools.txt");
    std::fs::write(&list, TOOLS).map_err(|error| BuildError::write(&list, error))?;
    let pip = [
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    Tool::new("pip", folder.join("bin/python"))
        .folder(folder)
        .args(pip)
        .args([
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--requirement",
        ])
        .args([&list])
        .succeed("installing componentize-py and uv")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_is_told_is_the_one_that_is_installed() {
        let line = format!("componentize-py=={COMPONENTIZE_PY} ");
        assert!(TOOLS.starts_with(&line), "{line}");
    }
}
