//! The packages of a project, for the interpreter inside of components: of pure Python, whatever this machine's
//! interpreter is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::BuildError;
use crate::progress::Progress;
use crate::python::Project;
use crate::python::interpreter::{CPYTHON, Tools};
use crate::python::requirements::Requirements;
use crate::store::Store;
use crate::tool::{Output, Tool};

/// The platform of uv's whose packages come closest: 32 bits of WebAssembly, and nothing native of others.
const PLATFORM: &str = "wasm32-pyodide2024";

/// What a package's build loads; see the file.
const PURE: &str = include_str!("pure.py");

/// What builds of packages find in place of compilers: native code would be for this machine, and take minutes.
const COMPILERS: [&str; 12] = [
    "c++", "cargo", "cc", "clang", "clang++", "cmake", "g++", "gcc", "gfortran", "meson", "ninja",
    "rustc",
];

/// What they say then.
const NO_COMPILER: &str = "wasm-gw: native code is not compiled";

/// So many installations are kept, those that were used last.
const KEPT: usize = 8;

/// Where what is installed lies, and what is missing of it.
#[derive(Debug)]
pub(crate) struct Packages {
    /// Nothing else is in there.
    pub(crate) folder: PathBuf,
    /// When, as seconds since 1970: what is renewed is another installation of the same name.
    pub(crate) installed: u64,
    /// Packages that were built without their native part.
    pub(crate) left_out: Vec<String>,
}

/// Installs what is asked for, or finds it.
pub(crate) fn install(
    requirements: &Requirements,
    project: &Project,
    tools: &Tools,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Packages, BuildError> {
    let texts = [&tools.key, requirements.name, &requirements.text, PURE];
    let mut hasher = crate::files::hasher_of(&texts);
    // What uv looks at beside its arguments.
    for name in ["uv.toml", "pyproject.toml"] {
        let bytes = fs::read(project.folder.join(name)).unwrap_or_default();
        hasher.update(blake3::hash(&bytes).as_bytes());
    }
    let mut variables: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| name.as_encoded_bytes().starts_with(b"UV_"))
        .collect();
    variables.sort();
    hasher.update(format!("{variables:?}").as_bytes());
    let name = format!("packages-{}", &hasher.finalize().to_hex()[..32]);
    progress.begin("packages", &format!("of {}", requirements.from));
    let renew = project.refresh || requirements.are_local();
    let (folder, was_there) = store.get_or_renew(&name, renew, progress, |folder| {
        fill(folder, requirements, project, tools, store)
    })?;
    store.keep("packages-", KEPT);
    let packages = Packages {
        installed: installed(&folder),
        left_out: left_out(&folder),
        folder: folder.join("site"),
    };
    let count = fs::read_dir(&packages.folder)
        .map_err(|error| BuildError::read(&packages.folder, error))?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|it| it == "dist-info"))
        .count();
    progress.end(&format!(
        "{count}, {}",
        if was_there { "as before" } else { "installed" }
    ));
    if !packages.left_out.is_empty() {
        progress.note(&format!(
            "without their native parts, which a component cannot run: {}",
            packages.left_out.join(", ")
        ));
    }
    Ok(packages)
}

fn installed(folder: &Path) -> u64 {
    fs::metadata(folder.join("left-out.txt"))
        .and_then(|facts| facts.modified())
        .ok()
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0, |age| age.as_secs())
}

fn left_out(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("left-out.txt")).unwrap_or_default();
    let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

fn fill(
    folder: &Path,
    requirements: &Requirements,
    project: &Project,
    tools: &Tools,
    store: &Store,
) -> Result<(), BuildError> {
    let write = |path: PathBuf, text: &str| {
        let write = fs::write(&path, text);
        write
            .map_err(|error| BuildError::write(&path, error))
            .map(|()| path)
    };
    let site = folder.join("site");
    let pure = folder.join("pure");
    for path in [&site, &pure] {
        fs::create_dir(path).map_err(|error| BuildError::write(path, error))?;
    }
    write(pure.join("sitecustomize.py"), PURE)?;
    let compilers = folder.join("compilers");
    fs::create_dir(&compilers).map_err(|error| BuildError::write(&compilers, error))?;
    for name in COMPILERS {
        let path = write(
            compilers.join(name),
            &format!("#!/bin/sh\necho '{NO_COMPILER}' >&2\nexit 1\n"),
        )?;
        let all = fs::set_permissions(&path, PermissionsExt::from_mode(0o755));
        all.map_err(|error| BuildError::write(&path, error))?;
    }
    let outer = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        [compilers.clone()]
            .into_iter()
            .chain(std::env::split_paths(&outer)),
    )
    .map_err(|error| BuildError::Packages(format!("PATH cannot be used: {error}")))?;
    let left_out = write(folder.join("left-out.txt"), "")?;
    let list = write(folder.join(requirements.name), &requirements.text)?;
    let output = Tool::new("uv", tools.program("uv"))
        .args([
            "pip",
            "install",
            "--quiet",
            "--no-python-downloads",
            "--link-mode",
            "copy",
        ])
        .args(["--python-version", CPYTHON, "--python-platform", PLATFORM])
        .args([
            "--python".into(),
            tools.python(),
            "--target".into(),
            site.clone(),
        ])
        .args(["--requirement".into(), list])
        .env("UV_CACHE_DIR", store.folder("uv"))
        // Paths in it are relative to the project.
        .folder(&project.folder)
        .args(project.refresh.then_some("--refresh"))
        // All these are for the builds of packages.
        .env("PATH", path)
        .env("CC", compilers.join("cc"))
        .env("CXX", compilers.join("c++"))
        .env("CARGO", compilers.join("cargo"))
        .env("PYTHONPATH", &pure)
        .env("WASM_GW_LEFT_OUT", &left_out)
        .run()?;
    if !output.status.success() {
        return Err(explain(&output, requirements));
    }
    match native(&site)? {
        Some(file) => Err(BuildError::Packages(format!(
            "a package of {} {NATIVE}: {}",
            requirements.from,
            file.display()
        ))),
        None => Ok(()),
    }
}

/// What uv says, and what it means here.
fn explain(output: &Output, requirements: &Requirements) -> BuildError {
    let all = format!("{}\n{}", output.out, output.err);
    let is_native = [
        NO_COMPILER,
        "is not compatible with the target",
        "/compilers/",
    ]
    .iter()
    .any(|sign| all.contains(sign));
    let package = all
        .split_once("build `")
        .and_then(|(_, rest)| rest.split('`').next());
    let from = &requirements.from;
    BuildError::Packages(match package {
        Some(package) if is_native => {
            let why: Vec<&str> = all
                .lines()
                .filter(|line| line.starts_with("hint: `"))
                .map(|line| line.trim_start_matches("hint: "))
                .collect();
            let why = if why.is_empty() {
                String::new()
            } else {
                format!(" ({})", why.join("; ").replace('`', ""))
            };
            format!("{package} of {from}{why} {NATIVE}")
        }
        _ => format!(
            "the packages of {from} cannot be installed for CPython {CPYTHON}:\n{}",
            output.last_words().trim_start_matches("error: ")
        ),
    })
}

/// The end of a sentence about a package.
const NATIVE: &str = "has native code, which a component cannot run. Is there a package of pure Python that does the \
                      same? docs/guests/python.md says what is known to work";

/// The first file of native code, if there is any.
fn native(site: &Path) -> Result<Option<PathBuf>, BuildError> {
    let files = crate::tree::packages(site)?;
    let is_native = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".so")
            || name.contains(".so.")
            || name.ends_with(".pyd")
            || name.ends_with(".dylib")
    };
    Ok(files
        .into_iter()
        .map(|file| file.path)
        .find(|path| is_native(path)))
}
