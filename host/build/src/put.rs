//! Puts a file in its place.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Puts a file in the place of another, if there is one. Whoever reads it has the old one or the new one, whole. Who may
/// read it stays as it was.
///
/// A link is followed, and what is no file, as `/dev/stdout`, is written to.
///
/// # Errors
///
/// The system's. What was there is as it was then.
pub fn put(contents: &[u8], to: &Path) -> io::Result<()> {
    let there = match fs::canonicalize(to) {
        Ok(there) => Some((fs::metadata(&there)?, there)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some((facts, there)) = &there
        && !facts.is_file()
    {
        return OpenOptions::new()
            .write(true)
            .open(there)?
            .write_all(contents);
    }
    let to = there.as_ref().map_or(to, |(_, there)| there);
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // As the user's mask has it, like any file.
    let mut new = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    if let Some((facts, _)) = there.as_ref() {
        new.as_file().set_permissions(facts.permissions())?;
    }
    new.write_all(contents)?;
    new.as_file().sync_all()?;
    new.persist(to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_and_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("app.wasm"), folder.path().join("link"));
        put(b"first", &file).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        symlink("app.wasm", &link).unwrap();
        put(b"second", &link).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"second");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_device_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("nothing");
        symlink("/dev/null", &link).unwrap();
        put(b"gone", &link).unwrap();
        assert!(!fs::metadata(&link).unwrap().is_file());
        assert!(put(b"a folder is none", folder.path()).is_err());
    }
}
