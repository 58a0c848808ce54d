//! A component of a WSGI application in Python, as it is.
//!
//! | file | what |
//! |---|---|
//! | `target.rs` | the name of the application |
//! | `interpreter.rs` | the tools, in an environment of their own |
//! | `requirements.rs` | what the project needs |
//! | `packages.rs`, `pure.py` | which is installed for the interpreter inside |
//! | `stdlib.rs`, `stdlib.py` | what the interpreter itself brings along |
//! | `componentize.rs` | the run that makes the component |

mod componentize;
mod interpreter;
mod packages;
mod requirements;
mod stdlib;
mod target;

use std::fs;
use std::path::{Path, PathBuf};

pub use self::interpreter::{COMPONENTIZE_PY, CPYTHON};
pub use self::target::{Target, TargetError};

use self::componentize::Folders;
use self::interpreter::Tools;
use self::packages::Packages;
use crate::error::BuildError;
use crate::files::{self, Archive};
use crate::progress::Progress;
use crate::store::Store;
use crate::tree;

/// What to build.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder that the application is imported from.
    pub folder: PathBuf,
    /// The application.
    pub target: Target,
    /// The file that says which packages it needs; `None` looks for one.
    pub requirements: Option<PathBuf>,
    /// Files and folders of the project to leave out, by their path from its folder.
    pub exclude: Vec<PathBuf>,
    /// Variables of the environment while the application is imported. What it makes of them is part of the
    /// component; at run time they are not there.
    pub env: Vec<(String, String)>,
    /// The interpreter that runs the tools; `None` looks for one.
    pub python: Option<PathBuf>,
}

/// What came of a build.
#[derive(Clone, Debug)]
pub struct Built {
    /// What the application printed while it was imported.
    pub printed: String,
    /// Whether nothing had changed since a build before.
    pub was_there: bool,
}

/// Builds a project, and writes the component.
///
/// # Errors
///
/// See [`BuildError`]. The file is as it was then.
pub fn build(
    project: &Project,
    output: &Path,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let tools = Tools::get(project.python.as_deref(), store, progress)?;
    let needs = requirements::find(&project.folder, project.requirements.as_deref(), &tools)?;
    let packages = needs
        .as_ref()
        .map(|needs| packages::install(needs, &tools, store, progress))
        .transpose()?;
    if needs.is_none() {
        progress.note("no packages: there is no lock file, requirements.txt, pyproject.toml or virtual environment");
    }
    let files = tree::project(&project.folder, &project.exclude)?;

    let mut hasher = blake3::Hasher::new();
    hasher.update(tools.key.as_bytes());
    hasher.update(project.target.to_string().as_bytes());
    hasher.update(componentize::environment(project).as_bytes());
    if let Some(packages) = &packages {
        hasher.update(packages.folder.as_os_str().as_encoded_bytes());
    }
    componentize::digest(&mut hasher);
    files::digest(&mut hasher, &files)?;
    let name = format!("component-{}", &hasher.finalize().to_hex()[..32]);

    progress.begin("component", &format!("importing {}", project.target));
    let (kept, was_there) = store.get(&name, progress, |kept| {
        let printed = component(
            project,
            &files,
            packages.as_ref(),
            &tools,
            store,
            progress,
            kept,
        )?;
        let path = kept.join("printed.txt");
        fs::write(&path, printed).map_err(|error| BuildError::write(&path, error))
    })?;
    let component = kept.join("app.wasm");
    put(&component, output)?;
    let bytes = fs::metadata(output)
        .map_err(|error| BuildError::read(output, error))?
        .len();
    progress.end(&format!(
        "{:.1} MiB{}",
        bytes as f64 / f64::from(1 << 20),
        if was_there {
            ", nothing has changed"
        } else {
            ""
        }
    ));
    Ok(Built {
        printed: fs::read_to_string(kept.join("printed.txt")).unwrap_or_default(),
        was_there,
    })
}

/// Makes `app.wasm` in a folder, and returns what was printed.
fn component(
    project: &Project,
    files: &[tree::File],
    packages: Option<&Packages>,
    tools: &Tools,
    store: &Store,
    progress: &dyn Progress,
    kept: &Path,
) -> Result<String, BuildError> {
    let stdlib = stdlib::get(tools, store, progress)?;
    let work = tempfile::tempdir_in(kept).map_err(|error| BuildError::write(kept, error))?;
    let site = packages.map(|packages| packages.folder.clone());
    let folders = Folders::new(work.path(), project, site)?;
    tree::copy(files, &folders.project)?;
    let component = kept.join("app.wasm");
    let hint = |said: &str| hint(said, packages);
    let printed = componentize::run(
        tools,
        work.path(),
        &folders,
        &project.target,
        hint,
        &component,
    )?;
    let mut archive = Archive::new();
    archive.add(Path::new(componentize::PROJECT_AT), files)?;
    if let Some(packages) = packages {
        let files = tree::packages(&packages.folder)?;
        archive.add(Path::new(componentize::PACKAGES_AT), &files)?;
    }
    archive.add(Path::new(stdlib::AT), &tree::packages(&stdlib)?)?;
    archive.append_to(&component)?;
    Ok(printed)
}

/// What may be behind a failed import.
fn hint(said: &str, packages: Option<&Packages>) -> String {
    let Some(missing) = said
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("ModuleNotFoundError: No module named '"))
        .and_then(|rest| rest.split('\'').next())
    else {
        return String::new();
    };
    let top = missing
        .split('.')
        .next()
        .unwrap_or(missing)
        .to_ascii_lowercase();
    match packages {
        None => format!(
            " ({missing} is not there: name the packages that it needs in requirements.txt, or by --requirements)"
        ),
        Some(packages)
            if packages
                .left_out
                .iter()
                .any(|name| name.to_ascii_lowercase().replace('-', "_") == top) =>
        {
            format!(
                " ({top} is native code, which a component cannot run; it has no part of pure Python that would do)"
            )
        }
        Some(_) => format!(
            " ({missing} is not among the packages that were installed, nor in the project's folder)"
        ),
    }
}

/// Puts a file in the place of another, whole.
fn put(from: &Path, to: &Path) -> Result<(), BuildError> {
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let put = || -> std::io::Result<()> {
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        std::io::copy(&mut fs::File::open(from)?, &mut new)?;
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        new.as_file().set_permissions(permissions)?;
        new.persist(to)?;
        Ok(())
    };
    put().map_err(|error| BuildError::write(to, error))
}
