//! What builds keep for the next one, in a folder each, which is whole or not there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

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
        let folder = self.folder(name);
        let whole = self.folder(&format!("{name}.whole"));
        if whole.exists() {
            return Ok((folder, true));
        }
        fs::create_dir_all(&self.folder).map_err(|error| BuildError::write(&self.folder, error))?;
        let lock_path = self.folder(&format!("{name}.lock"));
        let lock =
            File::create(&lock_path).map_err(|error| BuildError::write(&lock_path, error))?;
        if lock.try_lock().is_err() {
            progress.note("waiting for another build that is making the same");
            lock.lock()
                .map_err(|error| BuildError::write(&lock_path, error))?;
        }
        if whole.exists() {
            return Ok((folder, true));
        }
        // What a build that was cut off has left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| BuildError::write(&folder, error))?;
        let filled = fill(&folder)
            .and_then(|()| File::create(&whole).map_err(|error| BuildError::write(&whole, error)));
        if let Err(error) = filled {
            let _ = fs::remove_dir_all(&folder);
            return Err(error);
        }
        Ok((folder, false))
    }
}

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
    fn what_was_cut_off_is_made_anew() {
        let kept = tempfile::tempdir().unwrap();
        fs::create_dir(kept.path().join("x")).unwrap();
        fs::write(kept.path().join("x/half"), "").unwrap();
        let store = Store::new(kept.path());
        let (folder, _) = store.get("x", &Silent, |_| Ok(())).unwrap();
        assert!(!folder.join("half").exists());
    }
}
