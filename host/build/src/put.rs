//! Puts a file in its place.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Puts a file in the place of another, if there is one. Whoever reads it has the old one or the new one, whole.
///
/// # Errors
///
/// The system's. What was there is as it was then.
pub fn put(contents: &[u8], to: &Path) -> io::Result<()> {
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // As the user's mask has it, like any file.
    let mut new = tempfile::Builder::new()
        .permissions(PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)?;
    new.write_all(contents)?;
    new.persist(to)?;
    Ok(())
}
