//! What builds keep for the next one, in a folder each, which is whole or not there.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::BuildError;
use crate::progress::Progress;

/// The folder of all that is kept.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// In this folder, which is made when something is to be kept.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// A folder for what nobody but a program of ours looks after.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder of that name, filled by `fill` if it is not there. Whoever comes meanwhile waits: two builds at
    /// once do no work twice. The flag says whether it was there.
    ///
    /// # Errors
    ///
    /// Those of `fill`, of which nothing stays; and the folder cannot be written.
    pub(crate) fn get(
        &self,
        name: &str,
        progress: &dyn Progress,
        fill: impl FnOnce(&Path) -> Result<(), BuildError>,
    ) -> Result<(PathBuf, bool), BuildError> {
        self.get_or_renew(name, false, progress, fill)
    }

    /// The same; `renew` fills it in any case.
    pub(crate) fn get_or_renew(
        &self,
        name: &str,
        renew: bool,
        progress: &dyn Progress,
        fill: impl FnOnce(&Path) -> Result<(), BuildError>,
    ) -> Result<(PathBuf, bool), BuildError> {
        let folder = self.folder(name);
        let whole = folder.join(WHOLE);
        // When it was used last.
        let is_whole = || fs::write(&whole, "").is_ok() && !renew;
        if whole.exists() && is_whole() {
            return Ok((folder, true));
        }
        self.make()?;
        let _lock = self.lock(name, || {
            progress.note("waiting for another build that is making the same");
        })?;
        if whole.exists() && is_whole() {
            return Ok((folder, true));
        }
        // What a build that was cut off has left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| BuildError::write(&folder, error))?;
        let filled = fill(&folder)
            .and_then(|()| fs::write(&whole, "").map_err(|error| BuildError::write(&whole, error)));
        if let Err(error) = filled {
            let _ = fs::remove_dir_all(&folder);
            return Err(error);
        }
        Ok((folder, false))
    }

    /// Makes the folder of all, for this user alone: what applications were built with is in it.
    fn make(&self) -> Result<(), BuildError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| BuildError::write(&self.folder, error))
    }

    /// An empty folder for the time of a build.
    pub(crate) fn work(&self) -> Result<TempDir, BuildError> {
        self.make()?;
        let made = tempfile::Builder::new()
            .prefix(WORK)
            .tempdir_in(&self.folder);
        made.map_err(|error| BuildError::write(&self.folder, error))
    }

    fn lock(&self, name: &str, waits: impl FnOnce()) -> Result<File, BuildError> {
        let path = self.folder(&format!("{name}.lock"));
        let lock = File::create(&path).map_err(|error| BuildError::write(&path, error))?;
        if lock.try_lock().is_err() {
            waits();
            lock.lock()
                .map_err(|error| BuildError::write(&path, error))?;
        }
        Ok(lock)
    }

    /// Keeps so many folders whose names begin like this, those that were used last, and forgets what builds that were cut
    /// off have left. What cannot be removed stays.
    pub(crate) fn keep(&self, prefix: &str, most: usize) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut kept = Vec::new();
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            let used = |path: &Path| fs::metadata(path).and_then(|facts| facts.modified()).ok();
            if name.starts_with(WORK) {
                let is_old = used(&path)
                    .and_then(|time| time.elapsed().ok())
                    .is_some_and(|age| age > LEFT_BEHIND);
                if is_old {
                    let _ = fs::remove_dir_all(path);
                }
            } else if name.starts_with(prefix) && path.is_dir() {
                kept.push((used(&path.join(WHOLE)), name));
            }
        }
        kept.sort();
        kept.reverse();
        for (_, name) in kept.into_iter().skip(most) {
            // Somebody may be at it.
            let path = self.folder(&format!("{name}.lock"));
            let lock = File::create(&path);
            if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
                let _ = fs::remove_file(self.folder(&name).join(WHOLE));
                let _ = fs::remove_dir_all(self.folder(&name));
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// In a folder that is whole. It is as old as the last use.
const WHOLE: &str = ".whole";

/// How the names of folders begin that are for the time of a build.
const WORK: &str = "work-";

/// Longer than any build takes.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn a_folder_is_filled_once_and_a_failure_leaves_nothing() {
        let kept = tempfile::tempdir().unwrap();
        let store = Store::new(kept.path());
        let fail = store.get("x", &Silent, |folder| {
            fs::write(folder.join("half"), "").unwrap();
            Err(BuildError::Packages("no".into()))
        });
        assert!(fail.is_err());
        let fill = |folder: &Path| {
            assert!(!folder.join("half").exists());
            fs::write(folder.join("file"), "").unwrap();
            Ok(())
        };
        let (folder, was_there) = store.get("x", &Silent, fill).unwrap();
        assert!(folder.join("file").exists() && !was_there);
        let (_, was_there) = store
            .get("x", &Silent, |_| unreachable!("it is there"))
            .unwrap();
        assert!(was_there);
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let kept = tempfile::tempdir().unwrap();
        let store = Store::new(kept.path());
        for name in ["x-1", "x-2", "y-1"] {
            store.get(name, &Silent, |_| Ok(())).unwrap();
        }
        let old = std::time::SystemTime::now() - Duration::from_secs(60);
        let marker = File::options()
            .write(true)
            .open(kept.path().join("x-2").join(WHOLE));
        marker.unwrap().set_modified(old).unwrap();
        store.keep("x-", 1);
        let is_there = |name: &str| kept.path().join(name).exists();
        assert!(is_there("x-1") && !is_there("x-2") && is_there("y-1"));
    }

    #[test]
    fn what_is_renewed_is_filled_again() {
        let kept = tempfile::tempdir().unwrap();
        let store = Store::new(kept.path());
        store.get("x", &Silent, |_| Ok(())).unwrap();
        let (_, was_there) = store.get_or_renew("x", true, &Silent, |_| Ok(())).unwrap();
        assert!(!was_there);
    }

    #[test]
    fn what_was_cut_off_is_made_anew() {
        let kept = tempfile::tempdir().unwrap();
        fs::create_dir(kept.path().join("x")).unwrap();
        fs::write(kept.path().join("x/half"), "").unwrap();
        let store = Store::new(kept.path());
        let (folder, _) = store.get("x", &Silent, |_| Ok(())).unwrap();
        assert!(!folder.join("half").exists());
    }
}
