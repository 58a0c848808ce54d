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
//! | `warm.rs` | the requests that it answers meanwhile |
//! | `immortal.rs` | the objects that it begins with, which nobody counts |

mod componentize;
mod immortal;
mod interpreter;
mod packages;
mod requirements;
mod stdlib;
mod target;
mod warm;

use std::fs;
use std::path::{Path, PathBuf};

pub use self::target::{Target, TargetError};
pub use self::warm::{LONGEST_WARM, MOST_WARM, MOST_WARMED_BODY, WarmPath, WarmPathError, Warmed};

use self::componentize::Folders;
use self::interpreter::Tools;
use self::packages::Packages;
use crate::error::BuildError;
use crate::files::{self, Archive};
use crate::progress::Progress;
use crate::put::put;
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
    /// What the application answers at the build, [`MOST_WARM`] at most. What it changes by that stays in the component.
    pub warm: Vec<WarmPath>,
    /// Whether packages are looked for and installed anew, in their newest versions that are asked for.
    pub refresh: bool,
    /// The interpreter that runs the tools; `None` looks for one.
    pub python: Option<PathBuf>,
    /// Whether its modules become one, so that instances are made faster.
    pub optimize: bool,
}

/// A component that is made, and not yet where it is wanted.
#[derive(Clone, Debug)]
pub struct Made {
    /// The component, which is not to be written to.
    pub component: PathBuf,
    /// The name of the application, as what is warmed has seen it.
    pub name: String,
    /// What the application printed while it was imported, and while it was warmed.
    pub printed: String,
    /// What was answered to each path that was warmed. Answers of instances of the component that differ from these
    /// do so because the application has kept something.
    pub warmed: Vec<Warmed>,
    /// Whether nothing had changed since a build before.
    pub was_there: bool,
}

impl Made {
    /// Writes the component, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`] and [`BuildError::Write`]. The file is as it was then.
    pub fn write(&self, output: &Path) -> Result<(), BuildError> {
        let component = &self.component;
        let bytes = fs::read(component).map_err(|error| BuildError::read(component, error))?;
        put(&bytes, output).map_err(|error| BuildError::write(output, error))
    }
}

/// Builds a project. `output` is where the component will be: no file of the project, and the name of the application.
///
/// # Errors
///
/// See [`BuildError`].
pub fn build(
    project: &Project,
    output: &Path,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Made, BuildError> {
    if project.warm.len() > MOST_WARM {
        return Err(BuildError::TooManyWarm);
    }
    let tools = Tools::get(project.python.as_deref(), store, progress)?;
    let needs = requirements::find(
        &project.folder,
        project.requirements.as_deref(),
        &tools,
        store,
    )?;
    let packages = needs
        .as_ref()
        .map(|needs| packages::install(needs, project, &tools, store, progress))
        .transpose()?;
    if needs.is_none() {
        progress.note(
            "no packages: there is no lock file, no requirements.txt, no virtual environment, and pyproject.toml lists \
             none",
        );
    }
    // All that follows is about the copy: whoever writes to the project meanwhile changes nothing of it.
    let work = store.work()?;
    let site = packages.as_ref().map(|packages| packages.folder.clone());
    let app = output.file_stem().unwrap_or_default().to_string_lossy();
    let asked = warm::asked(&project.warm, &app);
    let folders = Folders::new(work.path(), project, &asked, site)?;
    let files = tree::project(&project.folder, &project.exclude, output)?;
    let files = tree::copy(&files, &folders.project)?;

    let mut hasher = files::hasher_of(&[
        FORMAT,
        &tools.key,
        &project.target.to_string(),
        &componentize::environment(project),
        &asked,
        &stdlib::name(&tools),
        if project.optimize { "optimized" } else { "" },
    ]);
    if let Some(packages) = &packages {
        hasher.update(packages.folder.as_os_str().as_encoded_bytes());
        hasher.update(&packages.installed.to_le_bytes());
    }
    componentize::digest(&mut hasher);
    files::digest(&mut hasher, &files)?;
    let name = format!("component-{}", &hasher.finalize().to_hex()[..32]);

    progress.begin("component", &format!("importing {}", project.target));
    let (kept, was_there) = store.get(&name, progress, |kept| {
        let stdlib = stdlib::get(&tools, store, progress)?;
        let component = kept.join(COMPONENT);
        let hint = |said: &str| hint(said, project, packages.as_ref());
        let target = &project.target;
        let printed = componentize::run(&tools, work.path(), &folders, target, hint, &component)?;
        if project.optimize {
            optimize(&component, &folders, progress)?;
        }
        let mut archive = Archive::new();
        archive.add(Path::new(componentize::PROJECT_AT), &files)?;
        if let Some(packages) = &packages {
            let files = tree::packages(&packages.folder)?;
            archive.add(Path::new(componentize::PACKAGES_AT), &files)?;
        }
        archive.add(Path::new(stdlib::AT), &tree::packages(&stdlib)?)?;
        archive.append_to(&component)?;
        let path = kept.join(PRINTED);
        fs::write(&path, printed).map_err(|error| BuildError::write(&path, error))?;
        if !project.warm.is_empty() {
            let (from, to) = (folders.warmed(), kept.join(WARMED));
            fs::copy(&from, &to).map_err(|error| BuildError::read(&from, error))?;
        }
        Ok(())
    })?;
    let component = kept.join(COMPONENT);
    let facts = fs::metadata(&component).map_err(|error| BuildError::read(&component, error))?;
    let printed = fs::read_to_string(kept.join(PRINTED)).unwrap_or_default();
    let warmed = if project.warm.is_empty() {
        Vec::new()
    } else {
        warm::answered(&kept.join(WARMED))?
    };
    store.keep("component-", KEPT);
    progress.end(&format!(
        "{:.1} MiB{}",
        facts.len() as f64 / f64::from(1 << 20),
        if was_there {
            ", nothing has changed"
        } else {
            ""
        }
    ));
    Ok(Made {
        component,
        name: app.into_owned(),
        printed,
        warmed,
        was_there,
    })
}

/// Changes when components are made in another way.
const FORMAT: &str = concat!("3 ", env!("CARGO_PKG_VERSION"));

/// So many components are kept, those that were used last.
const KEPT: usize = 8;

const COMPONENT: &str = "app.wasm";
const PRINTED: &str = "printed.txt";
const WARMED: &str = "warmed.json";

/// Makes one module of the interpreter, its libraries and the shim, and its objects immortal.
fn optimize(
    component: &Path,
    folders: &Folders,
    progress: &dyn Progress,
) -> Result<(), BuildError> {
    let bytes = fs::read(component).map_err(|error| BuildError::read(component, error))?;
    let mut bytes = match wasm_gw_optimize::optimize(&bytes) {
        Ok(bytes) => bytes,
        // It runs as it is.
        Err(why) => {
            progress.note(&format!("the component is not optimized: {why}"));
            return Ok(());
        }
    };
    let made = match (fs::read(folders.objects()), fs::read(folders.constants())) {
        (Ok(listed), Ok(constants)) => immortal::make(&mut bytes, &listed, &constants),
        _ => Err("the interpreter did not list them".to_owned()),
    };
    if let Err(why) = made {
        progress.note(&format!("objects are counted as ever: {why}"));
    }
    fs::write(component, bytes).map_err(|error| BuildError::write(component, error))
}

/// What may be behind a failed import.
fn hint(said: &str, project: &Project, packages: Option<&Packages>) -> String {
    let Some(missing) = said
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("ModuleNotFoundError: No module named '"))
        .and_then(|rest| rest.split('\'').next())
    else {
        return String::new();
    };
    let top = missing.split('.').next().unwrap_or(missing);
    let source = project.folder.join("src");
    if source.join(top).is_dir() || source.join(format!("{top}.py")).exists() {
        return format!(
            " ({top} is in src: build with --folder {}, and --requirements if its file is not in there)",
            source.display()
        );
    }
    let name = top.to_ascii_lowercase();
    match packages {
        None => format!(
            " ({missing} is not there: name the packages that it needs in requirements.txt, or by --requirements)"
        ),
        Some(packages)
            if (packages.left_out.iter())
                .any(|left_out| left_out.to_ascii_lowercase().replace('-', "_") == name) =>
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
