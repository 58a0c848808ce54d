//! Files on their way into a package: where they go, and who may do what with them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{root, run};

/// A folder that becomes a package.
pub(crate) struct Tree(pub(crate) PathBuf);

impl Tree {
    /// Text that was made.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> Result<()> {
        self.put(path, text.as_ref(), 0o644)
    }

    /// A file of the checkout.
    pub(crate) fn copy(&self, from: &str, path: &str) -> Result<()> {
        self.write(path, read(from)?)
    }

    pub(crate) fn program(&self, from: &Path, path: &str) -> Result<()> {
        self.put(path, &fs::read(from)?, 0o755)
    }

    /// A script of the checkout.
    pub(crate) fn script(&self, from: &str, path: &str) -> Result<()> {
        self.put(path, read(from)?.as_bytes(), 0o755)
    }

    /// Text that is compressed, as manuals are. The path is that without `.gz`.
    pub(crate) fn gzip(&self, path: &str, text: &str) -> Result<()> {
        self.write(path, text)?;
        // Without a time in it.
        run(Command::new("gzip")
            .args(["--best", "--no-name", "--force"])
            .arg(self.0.join(path)))
    }

    fn put(&self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let path = self.0.join(path);
        let folder = path.parent().context("a file is in a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(&path, bytes)?;
        // Whatever the umask of who builds it.
        let mut folder = folder;
        while folder != self.0 && folder.starts_with(&self.0) {
            fs::set_permissions(folder, Permissions::from_mode(0o755))?;
            folder = folder.parent().context("it is in the tree")?;
        }
        fs::set_permissions(&self.0, Permissions::from_mode(0o755))?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(())
    }
}

/// A file of the checkout.
pub(crate) fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}
