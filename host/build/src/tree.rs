//! Which files of a project go into its component: those that an application may read when it runs, and none that
//! are nobody's business, such as `.env` and `.git`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::error::BuildError;

/// The most that a project's own files may come to, in bytes.
pub const MOST_BYTES: u64 = 64 << 20;

/// The most of them.
pub const MOST_FILES: usize = 20_000;

/// A file to take along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Where it is.
    pub(crate) source: PathBuf,
    /// Where it will be, relative to what is packed.
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// The files beneath a project's folder, in the order of their names, without:
///
/// - names that begin with a dot, and `wasm-gw.toml`, which has settings of the server, and perhaps secrets;
/// - virtual environments, `node_modules`, `__pycache__` and what is compiled in there;
/// - WebAssembly, and the component that is built;
/// - what `exclude` has: files and folders by their path from the project's folder.
///
/// Links are followed to what else is in the project.
///
/// # Errors
///
/// A link leads out of the project, to what nobody may have meant to give away; there is too much; or something cannot
/// be read.
pub(crate) fn project(
    folder: &Path,
    exclude: &[PathBuf],
    output: &Path,
) -> Result<Vec<File>, BuildError> {
    let real = fs::canonicalize(folder).map_err(|error| BuildError::read(folder, error))?;
    let excluded: Vec<PathBuf> = exclude.iter().map(|path| folder.join(path)).collect();
    let output = fs::canonicalize(output).ok();
    let wanted = |entry: &DirEntry| {
        let path = entry.path();
        let is_output = || {
            output.as_ref().is_some_and(|output| {
                output.file_name() == path.file_name()
                    && fs::canonicalize(path).is_ok_and(|path| path == *output)
            })
        };
        let is_left_out = is_of_no_use(entry)
            || entry.depth() == 1 && entry.file_name() == MANIFEST
            || excluded.iter().any(|other| other == path)
            || is_output();
        entry.depth() == 0 || !is_left_out
    };
    list(folder, wanted, Some(&real))
}

/// The settings of a project, which are not the application's.
const MANIFEST: &str = "wasm-gw.toml";

/// The files of packages that were installed into a folder.
pub(crate) fn packages(folder: &Path) -> Result<Vec<File>, BuildError> {
    let wanted =
        |entry: &DirEntry| entry.depth() != 1 || entry.file_name() != "bin" && !is_hidden(entry);
    list(folder, wanted, None)
}

/// All files beneath a folder that are wanted, but for what an interpreter has left there. Those of a project are bounded,
/// and its links lead to what is in it.
fn list(
    folder: &Path,
    wanted: impl Fn(&DirEntry) -> bool,
    project: Option<&Path>,
) -> Result<Vec<File>, BuildError> {
    let walk = WalkDir::new(folder)
        .follow_links(project.is_some())
        .sort_by_file_name();
    let mut files = Vec::new();
    let (mut seen, mut bytes) = (0, 0_u64);
    let keep = |entry: &DirEntry| wanted(entry) && entry.file_name() != "__pycache__";
    let mut walk = walk.into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            // A link to nowhere, or to a folder around it.
            Err(error) if error.loop_ancestor().is_some() || is_dangling(&error) => continue,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                return Err(BuildError::read(&path, error.into()));
            }
        };
        if !keep(&entry) {
            if entry.file_type().is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        if let Some(project) = project.filter(|_| entry.path_is_symlink() && entry.depth() > 0) {
            match lead(project, entry.path())? {
                Lead::Hidden if entry.file_type().is_dir() => {
                    walk.skip_current_dir();
                    continue;
                }
                Lead::Hidden => continue,
                Lead::Within => {}
            }
        }
        seen += 1;
        if entry.file_type().is_file() {
            let length = entry
                .metadata()
                .map_err(|error| BuildError::read(entry.path(), error.into()))?
                .len();
            bytes = bytes.saturating_add(length);
            let path = entry.path().strip_prefix(folder);
            let path = path.expect("it is beneath the folder").to_owned();
            if path.to_str().is_none() {
                return Err(BuildError::Name(path));
            }
            files.push(File {
                path,
                source: entry.into_path(),
                bytes: length,
            });
        }
        if project.is_some() && (bytes > MOST_BYTES || seen > MOST_FILES) {
            return Err(too_large(folder, files));
        }
    }
    Ok(files)
}

/// As far as was looked.
fn too_large(folder: &Path, mut files: Vec<File>) -> BuildError {
    files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    files.truncate(5);
    let largest = files.into_iter().map(|file| (file.path, file.bytes));
    BuildError::ProjectTooLarge {
        folder: folder.to_owned(),
        largest: largest.collect(),
    }
}

/// Where a link in a project leads.
enum Lead {
    Within,
    /// To what is not taken along by its own name.
    Hidden,
}

fn lead(project: &Path, link: &Path) -> Result<Lead, BuildError> {
    let target = fs::canonicalize(link).map_err(|error| BuildError::read(link, error))?;
    let Ok(path) = target.strip_prefix(project) else {
        return Err(BuildError::LeadsOut {
            link: link.to_owned(),
            target,
        });
    };
    let mut names = path.iter().map(|name| name.as_encoded_bytes());
    let is_hidden = names.any(|name| name.starts_with(b".")) || path == Path::new(MANIFEST);
    Ok(if is_hidden {
        Lead::Hidden
    } else {
        Lead::Within
    })
}

fn is_dangling(error: &walkdir::Error) -> bool {
    error
        .path()
        .is_some_and(|path| path.is_symlink() && !path.exists())
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_of_no_use(entry: &DirEntry) -> bool {
    let path = entry.path();
    let ends_with = |ending: &str| path.extension().is_some_and(|it| it == ending);
    is_hidden(entry)
        || entry.file_name() == "node_modules"
        || ends_with("wasm")
        || ends_with("pyc")
        || path.join("pyvenv.cfg").exists()
}

/// Copies files beneath a folder, and returns the copies.
pub(crate) fn copy(files: &[File], to: &Path) -> Result<Vec<File>, BuildError> {
    let mut copies = Vec::new();
    for file in files {
        let target = to.join(&file.path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|error| BuildError::write(folder, error))?;
        }
        let bytes = copy_one(&file.source, &target)
            .map_err(|error| BuildError::read(&file.source, error))?;
        copies.push(File {
            source: target,
            path: file.path.clone(),
            bytes,
        });
    }
    Ok(copies)
}

/// With the time of the file, which some read at import. Returns its length.
fn copy_one(from: &Path, to: &Path) -> io::Result<u64> {
    let mut source = fs::File::open(from)?;
    let mut target = fs::File::create(to)?;
    let bytes = io::copy(&mut source, &mut target)?;
    target.set_modified(source.metadata()?.modified()?)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        folder
    }

    fn names(files: &[File]) -> Vec<&str> {
        files
            .iter()
            .map(|file| file.path.to_str().unwrap())
            .collect()
    }

    #[test]
    fn what_is_private_or_of_no_use_stays_behind() {
        let folder = folder(&[
            ".env",
            ".git/config",
            "wasm-gw.toml",
            "__pycache__/app.pyc",
            "app.py",
            "app.wasm",
            "node_modules/x/index.js",
            "templates/index.html",
            "tests/test_app.py",
            "venv/pyvenv.cfg",
            "venv/lib/x.py",
        ]);
        let files = project(folder.path(), &[PathBuf::from("tests")], Path::new("out")).unwrap();
        assert_eq!(names(&files), ["app.py", "templates/index.html"]);
    }

    #[test]
    fn a_link_into_itself_and_one_to_nowhere_are_passed_over() {
        let folder = folder(&["app.py"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("gone")).unwrap();
        assert_eq!(
            names(&project(folder.path(), &[], Path::new("out")).unwrap()),
            ["app.py"]
        );
    }

    #[test]
    fn a_link_gives_nothing_away() {
        let outside = folder(&["id_rsa"]);
        let folder = folder(&["app.py", ".env", "a/b.txt"]);
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        };
        link(Path::new(".env"), "settings");
        link(Path::new("a"), "c");
        let files = project(folder.path(), &[], Path::new("out")).unwrap();
        assert_eq!(names(&files), ["a/b.txt", "app.py", "c/b.txt"]);
        link(outside.path(), "keys");
        let error = project(folder.path(), &[], Path::new("out")).unwrap_err();
        assert!(
            error.to_string().contains("leads out of the project"),
            "{error}"
        );
    }

    #[test]
    fn what_is_built_is_not_part_of_it() {
        let folder = folder(&["app.py", "out.component"]);
        let output = folder.path().join("out.component");
        let files = project(folder.path(), &[], &output).unwrap();
        assert_eq!(names(&files), ["app.py"]);
    }

    #[test]
    fn too_large_a_project_names_its_largest_files() {
        let folder = folder(&["app.py", "video.mp4"]);
        let video = fs::File::create(folder.path().join("video.mp4")).unwrap();
        video.set_len(MOST_BYTES + 1).unwrap();
        let error = project(folder.path(), &[], Path::new("out"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("video.mp4"), "{error}");
        assert!(error.contains("exclude"), "{error}");
    }

    #[test]
    fn the_programs_of_packages_are_not_part_of_them() {
        let folder = folder(&["bin/flask", "flask/bin/x.py", "flask/app.py", ".lock"]);
        assert_eq!(
            names(&packages(folder.path()).unwrap()),
            ["flask/app.py", "flask/bin/x.py"]
        );
    }
}
