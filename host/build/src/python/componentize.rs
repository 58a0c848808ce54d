//! One run of componentize-py: the interpreter imports the application, and its memory then is the component.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::error::BuildError;
use crate::python::Project;
use crate::python::interpreter::Tools;
use crate::python::target::Target;
use crate::tool::Tool;

/// The interface that the component implements.
const WIT: &str = include_str!("../../wit/gateway.wit");

/// The server side of PEP 3333, which is inside of each component.
static SHIM: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/shim");

/// The folders that the interpreter imports from. It sees each as `/N`, in this order.
#[derive(Debug)]
pub(crate) struct Folders {
    /// What the shim and the build tell each other.
    letterbox: PathBuf,
    shim: PathBuf,
    /// The project's files.
    pub(crate) project: PathBuf,
    pub(crate) packages: Option<PathBuf>,
}

/// Where the component's guest sees the project.
pub(crate) const PROJECT_AT: &str = "2";

/// Where it sees the packages.
pub(crate) const PACKAGES_AT: &str = "3";

impl Folders {
    /// Fills a new folder with all but the packages and the project.
    pub(crate) fn new(
        folder: &Path,
        project: &Project,
        warm: &str,
        packages: Option<PathBuf>,
    ) -> Result<Self, BuildError> {
        let folders = Self {
            letterbox: folder.join("letterbox"),
            shim: folder.join("shim"),
            project: folder.join("project"),
            packages,
        };
        for path in [&folders.letterbox, &folders.shim, &folders.project] {
            fs::create_dir_all(path).map_err(|error| BuildError::write(path, error))?;
        }
        write_modules(&SHIM, &folders.shim)?;
        let module = folders.letterbox.join("_wasm_gw_target.py");
        let text = format!(
            "TARGET = \"{}\"\nAPPLICATION = \"/{PROJECT_AT}\"\nENVIRONMENT = {}\nWARM = {warm}\n\
             SETTLE = {}\n",
            project.target,
            environment(project),
            if project.optimize { "True" } else { "False" },
        );
        fs::write(&module, text).map_err(|error| BuildError::write(&module, error))?;
        Ok(folders)
    }

    /// What was answered to the paths that were warmed.
    pub(crate) fn warmed(&self) -> PathBuf {
        self.letterbox.join("warmed.json")
    }

    /// A bit for each place in the memory where an object can be, if the shim knows.
    pub(crate) fn objects(&self) -> PathBuf {
        self.letterbox.join("objects.bin")
    }

    /// Where code counts the constants that it loads.
    pub(crate) fn constants(&self) -> PathBuf {
        self.letterbox.join("constants.bin")
    }

    /// A path in what the interpreter wrote, as people know it.
    fn told(&self, text: &str) -> String {
        // In quotes in a traceback, and at the beginning of a line in a warning.
        let mut text = format!("\n{text}");
        for before in ["\"", "\n"] {
            text = text
                .replace(&format!("{before}/{PROJECT_AT}/"), before)
                .replace(
                    &format!("{before}/{PACKAGES_AT}/"),
                    &format!("{before}site-packages/"),
                )
                .replace(&format!("{before}/python/lib/"), before);
        }
        text.split_off(1)
    }
}

/// The variables of the import, as Python writes a dictionary, which is as JSON does.
pub(crate) fn environment(project: &Project) -> String {
    let variables: BTreeMap<&String, &String> = project
        .env
        .iter()
        .map(|(name, value)| (name, value))
        .collect();
    serde_json::to_string(&variables).expect("texts have a form in JSON")
}

/// The modules of the shim; not what an interpreter may have left beside them.
fn write_modules(dir: &Dir<'_>, to: &Path) -> Result<(), BuildError> {
    for file in dir.files() {
        if file.path().extension().is_some_and(|it| it == "py") {
            let path = to.join(file.path());
            fs::write(&path, file.contents()).map_err(|error| BuildError::write(&path, error))?;
        }
    }
    for inner in dir.dirs() {
        let path = to.join(inner.path());
        fs::create_dir_all(&path).map_err(|error| BuildError::write(&path, error))?;
        write_modules(inner, to)?;
    }
    Ok(())
}

/// What the result depends on beside the project, its packages and the tools.
pub(crate) fn digest(hasher: &mut blake3::Hasher) {
    hasher.update(WIT.as_bytes());
    let mut folders = vec![&SHIM];
    while let Some(folder) = folders.pop() {
        for file in folder.files() {
            hasher.update(file.path().as_os_str().as_encoded_bytes());
            hasher.update(file.contents());
        }
        folders.extend(folder.dirs());
    }
}

/// componentize-py, with the interface and without the packages of any other interpreter.
pub(crate) fn tool(tools: &Tools, folder: &Path) -> Result<Tool, BuildError> {
    let wit = folder.join("wit");
    // It looks for packages in the active environment, and if there is none in others.
    let nothing = folder.join("nothing");
    for path in [&wit, &nothing.join("lib/site-packages")] {
        fs::create_dir_all(path).map_err(|error| BuildError::write(path, error))?;
    }
    let file = wit.join("gateway.wit");
    fs::write(&file, WIT).map_err(|error| BuildError::write(&file, error))?;
    Ok(
        Tool::new("componentize-py", tools.program("componentize-py"))
            .folder(folder)
            .env("VIRTUAL_ENV", nothing)
            .env("RUST_BACKTRACE", "0")
            .args(["--wit-path".into(), wit])
            .args(["--world", "application"]),
    )
}

/// Makes the component.
pub(crate) fn run(
    tools: &Tools,
    folder: &Path,
    folders: &Folders,
    target: &Target,
    hint: impl FnOnce(&str) -> String,
    output: &Path,
) -> Result<String, BuildError> {
    let mut tool = tool(tools, folder)?.args(["componentize", "_wasm_gw.entry"]);
    let paths = [&folders.shim, &folders.letterbox, &folders.project];
    for path in paths.into_iter().chain(&folders.packages) {
        tool = tool.args(["--python-path".as_ref(), path.as_os_str()]);
    }
    let result = tool.args(["--output".as_ref(), output.as_os_str()]).run()?;
    let read = |name: &str| fs::read_to_string(folders.letterbox.join(name)).ok();
    if let Some(said) = read("failure.txt") {
        return Err(BuildError::Application {
            target: target.to_string(),
            hint: hint(&said),
            said: folders.told(said.trim_end()),
        });
    }
    if let Some(said) = read("warm-failure.txt") {
        let (path, said) = said.split_once('\n').unwrap_or((&said, ""));
        return Err(BuildError::Warm {
            path: path.to_owned(),
            said: folders.told(said.trim_end()),
        });
    }
    if !result.status.success() {
        return Err(BuildError::ToolFailed {
            name: "componentize-py",
            doing: format!("making a component of {target}"),
            status: result.status,
            said: result.last_words(),
        });
    }
    Ok(folders.told(read("output.txt").unwrap_or_default().trim_end()))
}
