//! Points between two steps of a write, at which a test lets the process die. Without the feature `failpoints` there are none.

/// All of them, in the order in which a deployment comes by. `FAILPOINTS=<name>=return` ends the process there, as
/// `kill -9` would, once `arm` was called.
pub const FAILPOINTS: &[&str] = &[
    BLOB_WRITTEN,
    BLOB_SYNCED,
    BLOB_RENAMED,
    BLOB_FOLDER_SYNCED,
    BEFORE_VERSION,
    VERSION_ADDED,
    BEFORE_CURRENT,
    AFTER_CURRENT,
    BEFORE_COLLECT,
    BLOB_COLLECTED,
];

/// The bytes are written, and not yet sure to be on the disk.
pub(crate) const BLOB_WRITTEN: &str = "blob-written";
/// They are on the disk, under a name of their own.
pub(crate) const BLOB_SYNCED: &str = "blob-synced";
/// They have the name of the blob, which is not yet sure to be on the disk.
pub(crate) const BLOB_RENAMED: &str = "blob-renamed";
/// The blob is safe, and nobody was told.
pub(crate) const BLOB_FOLDER_SYNCED: &str = "blob-folder-synced";
/// The row of a version is written, and not committed.
pub(crate) const BEFORE_VERSION: &str = "before-version";
/// It is committed, and nobody was told.
pub(crate) const VERSION_ADDED: &str = "version-added";
/// A version is current, and that is not committed.
pub(crate) const BEFORE_CURRENT: &str = "before-current";
/// It is committed, and nobody was told.
pub(crate) const AFTER_CURRENT: &str = "after-current";
/// Nobody needs a blob, and it is still there.
pub(crate) const BEFORE_COLLECT: &str = "before-collect";
/// It is gone.
pub(crate) const BLOB_COLLECTED: &str = "blob-collected";

/// Ends the process if that is what is wanted of this point.
#[cfg(feature = "failpoints")]
pub(crate) fn point(name: &'static str) {
    debug_assert!(FAILPOINTS.contains(&name), "{name} is not listed");
    fail::fail_point!(name, |_| std::process::abort());
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn point(_name: &'static str) {}

/// Does as the variable `FAILPOINTS` says from now on.
///
/// # Panics
///
/// The variable cannot be understood.
#[cfg(feature = "failpoints")]
pub fn arm() {
    // For as long as the process lives.
    std::mem::forget(fail::FailScenario::setup());
}
