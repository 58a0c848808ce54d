//! Which files of a project go into its component: those that an application may read when it runs, and none that
//! are nobody's business, such as `.env` and `.git`.

use std::fs;
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
/// - names that begin with a dot;
/// - virtual environments, `node_modules`, `__pycache__` and what is compiled in there;
/// - WebAssembly;
/// - what `exclude` has: files and folders by their path from the project's folder.
///
/// Links are followed where they lead to a file or folder that is there.
pub(crate) fn project(folder: &Path, exclude: &[PathBuf]) -> Result<Vec<File>, BuildError> {
    let excluded: Vec<PathBuf> = exclude.iter().map(|path| folder.join(path)).collect();
    let wanted = |entry: &DirEntry| {
        entry.depth() == 0
            || !is_of_no_use(entry) && !excluded.iter().any(|path| path == entry.path())
    };
    let files = list(folder, wanted)?;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    if bytes > MOST_BYTES || files.len() > MOST_FILES {
        let mut largest = files.clone();
        largest.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        largest.truncate(5);
        return Err(BuildError::ProjectTooLarge {
            folder: folder.to_owned(),
            bytes,
            files: files.len(),
            largest: largest
                .into_iter()
                .map(|file| (file.path, file.bytes))
                .collect(),
        });
    }
    Ok(files)
}

/// The files of packages that were installed into a folder.
pub(crate) fn packages(folder: &Path) -> Result<Vec<File>, BuildError> {
    list(folder, |entry| {
        entry.depth() != 1 || entry.file_name() != "bin" && !is_hidden(entry)
    })
}

/// All files beneath a folder that are wanted, but for what an interpreter has left there.
fn list(folder: &Path, wanted: impl Fn(&DirEntry) -> bool) -> Result<Vec<File>, BuildError> {
    let walk = WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let mut files = Vec::new();
    let keep = |entry: &DirEntry| wanted(entry) && entry.file_name() != "__pycache__";
    for entry in walk.into_iter().filter_entry(keep) {
        let entry = match entry {
            Ok(entry) => entry,
            // A link to nowhere, or to a folder around it.
            Err(error) if error.loop_ancestor().is_some() || is_dangling(&error) => continue,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                return Err(BuildError::read(&path, error.into()));
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let bytes = entry
            .metadata()
            .map_err(|error| BuildError::read(entry.path(), error.into()))?
            .len();
        let path = entry.path().strip_prefix(folder);
        files.push(File {
            path: path.expect("it is beneath the folder").to_owned(),
            source: entry.into_path(),
            bytes,
        });
    }
    Ok(files)
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

/// Copies files beneath a folder, which must not be there yet.
pub(crate) fn copy(files: &[File], to: &Path) -> Result<(), BuildError> {
    for file in files {
        let target = to.join(&file.path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(|error| BuildError::write(folder, error))?;
        }
        copy_one(&file.source, &target).map_err(|error| BuildError::read(&file.source, error))?;
    }
    Ok(())
}

/// With the time of the file, which some read at import.
fn copy_one(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::copy(from, to)?;
    let time = fs::metadata(from)?.modified()?;
    fs::File::options()
        .append(true)
        .open(to)?
        .set_modified(time)
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
            "__pycache__/app.pyc",
            "app.py",
            "app.wasm",
            "node_modules/x/index.js",
            "templates/index.html",
            "tests/test_app.py",
            "venv/pyvenv.cfg",
            "venv/lib/x.py",
        ]);
        let files = project(folder.path(), &[PathBuf::from("tests")]).unwrap();
        assert_eq!(names(&files), ["app.py", "templates/index.html"]);
    }

    #[test]
    fn a_link_into_itself_and_one_to_nowhere_are_passed_over() {
        let folder = folder(&["app.py"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("gone")).unwrap();
        assert_eq!(names(&project(folder.path(), &[]).unwrap()), ["app.py"]);
    }

    #[test]
    fn too_large_a_project_names_its_largest_files() {
        let folder = folder(&["app.py", "video.mp4"]);
        let video = fs::File::create(folder.path().join("video.mp4")).unwrap();
        video.set_len(MOST_BYTES + 1).unwrap();
        let error = project(folder.path(), &[]).unwrap_err().to_string();
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
