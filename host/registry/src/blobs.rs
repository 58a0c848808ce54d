//! Components as files that are named by their SHA-256: written, found, and removed when no version names them. What a
//! version is, is in `meta/versions.rs`.
//!
//! An upload is written under a name of its own, for its digest is known at its end only. Then the bytes are made sure to be
//! on the disk, the file is renamed to its place, and the name is made sure to be on the disk. A blob that is there already
//! is replaced by the same bytes, which makes it new again and mends one that was damaged; who has the old file open keeps
//! it.
//!
//! A collection could remove a blob that a version is about to name. Two things forbid it. A collection removes while it
//! holds the one right to write rows: a version is either there before, and the collection sees it, or is added later, and
//! [`add_version`](crate::Registry::add_version), which looks for the blob under the same right, is refused. And it removes
//! while no upload renames, so that the age by which it judges is that of the file that it removes. The grace is there so
//! that nobody is refused: it is the time from the end of an upload to its row.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{MultipartUpload, ObjectStoreExt};
use sha2::{Digest as _, Sha256};
use tokio::sync::RwLock;

use crate::database::Database;
use crate::digest::Digest;
use crate::error::RegistryError;
use crate::failpoints::{self, point};
use crate::folder;
use crate::random;

/// In `<dir>`.
const FOLDER: &str = "blobs";
/// In that: what is not whole yet.
const STAGING: &str = "staging";

/// So much of an upload is written at once.
const BLOCK: usize = 1 << 20;

/// Long enough for any upload to write the next block; what was left for longer belongs to nobody.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

/// So many blobs are removed before others may write again.
const BATCH: usize = 64;

/// The components of a registry. Clones are the same, and cheap.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    /// It makes sure of nothing itself: `publish` does, between whose steps a test can end the process, and which needs no
    /// more than one folder for it.
    store: LocalFileSystem,
    database: Database,
    /// Read by whoever renames, written by whoever removes.
    moving: RwLock<()>,
}

impl Blobs {
    /// Of an open registry, which nobody else has: all that is staged was left behind.
    pub(crate) fn open(dir: &Path, database: Database) -> Result<Self, RegistryError> {
        let dir = dir.join(FOLDER);
        let staging = dir.join(STAGING);
        folder::make(&staging)?;
        // All of them now, so that no upload has to make sure of more than one folder.
        for first in 0..=u8::MAX {
            let path = dir.join(format!("{first:02x}"));
            if let Err(source) = fs::create_dir(&path)
                && source.kind() != std::io::ErrorKind::AlreadyExists
            {
                return Err(RegistryError::io(&path, source));
            }
        }
        folder::sync(&dir).map_err(|source| RegistryError::io(&dir, source))?;
        remove_staged(&staging, Duration::ZERO)?;
        let store = LocalFileSystem::new_with_prefix(&dir)
            .map_err(|error| RegistryError::store(&dir, error))?;
        Ok(Self(Arc::new(Inner {
            dir,
            store,
            database,
            moving: RwLock::new(()),
        })))
    }

    /// Begins an upload.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub async fn upload(&self) -> Result<Upload, RegistryError> {
        let staged = Staged {
            blobs: self.clone(),
            name: random::id("up")?,
        };
        let part = self.0.store.put_multipart(&staged.location()).await;
        let part = part.map_err(|error| RegistryError::store(&staged.path(), error))?;
        Ok(Upload {
            part,
            staged,
            block: BytesMut::with_capacity(BLOCK),
            hasher: Sha256::new(),
            size: 0,
        })
    }

    /// Where a blob is, if it is there. The file never changes; it may be replaced by the same bytes.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.0.dir.join(place(digest))
    }

    /// Whether a blob is there.
    #[must_use]
    pub fn exists(&self, digest: &Digest) -> bool {
        self.size(digest).is_some()
    }

    /// How many bytes a blob has, if it is there.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        let facts = fs::symlink_metadata(self.path(digest)).ok()?;
        facts.is_file().then_some(facts.len())
    }

    /// Removes the blobs that no version names and whose last upload ended longer than `grace` ago, and what uploads have
    /// left behind that did not come to their end. The number of blobs is told.
    ///
    /// # Errors
    ///
    /// The system or the database refuses. What was removed until then is gone, which is no harm.
    pub async fn collect(&self, grace: Duration) -> Result<usize, RegistryError> {
        let blobs = self.clone();
        // To its end even if nobody waits for it any more: see `moving`.
        let collected = tokio::spawn(async move { blobs.collect_all(grace).await });
        collected.await.unwrap_or_else(|error| Err(ended(&error)))
    }

    async fn collect_all(&self, grace: Duration) -> Result<usize, RegistryError> {
        remove_staged(&self.0.dir.join(STAGING), grace.max(LEFT_BEHIND))?;
        let rows: Vec<Vec<u8>> = sqlx::query_scalar("SELECT DISTINCT component FROM versions")
            .fetch_all(&self.0.database.reader)
            .await?;
        let named: HashSet<Vec<u8>> = rows.into_iter().collect();
        let blobs = self.clone();
        let old = tokio::task::spawn_blocking(move || blobs.old(grace)).await;
        let mut old = old.unwrap_or_else(|error| Err(ended(&error)))?;
        old.retain(|digest| !named.contains(digest.0.as_slice()));
        let mut removed = 0;
        for batch in old.chunks(BATCH) {
            removed += self.remove(batch, grace).await?;
        }
        Ok(removed)
    }

    /// Removes those of the blobs that are still old and still not named, now that nobody can change that.
    async fn remove(&self, batch: &[Digest], grace: Duration) -> Result<usize, RegistryError> {
        let _still = self.0.moving.write().await;
        let mut change = self.0.database.change().await?;
        let mut removed = 0;
        for digest in batch {
            let path = self.path(digest);
            let is_named: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM versions WHERE component = ?)")
                    .bind(digest.0.to_vec())
                    .fetch_one(&mut *change)
                    .await?;
            if is_named || !is_old(&path, grace) {
                continue;
            }
            point(failpoints::BEFORE_COLLECT);
            match tokio::fs::remove_file(&path).await {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(RegistryError::io(&path, error)),
            }
            point(failpoints::BLOB_COLLECTED);
        }
        // It was for the right to write.
        change.rollback().await?;
        Ok(removed)
    }

    /// All blobs that are older than `grace`.
    fn old(&self, grace: Duration) -> Result<Vec<Digest>, RegistryError> {
        let mut found = Vec::new();
        for first in 0..=u8::MAX {
            let dir = self.0.dir.join(format!("{first:02x}"));
            let error = |source| RegistryError::io(&dir, source);
            for entry in fs::read_dir(&dir).map_err(error)? {
                let entry = entry.map_err(error)?;
                // What has another name is not ours to remove.
                let digest = entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok());
                if let Some(digest) = digest
                    && self.path(&digest) == entry.path()
                    && is_old(&entry.path(), grace)
                {
                    found.push(digest);
                }
            }
        }
        Ok(found)
    }
}

/// A component on its way in. Dropping it removes what it wrote.
#[derive(Debug)]
pub struct Upload {
    part: Box<dyn MultipartUpload>,
    staged: Staged,
    /// What is not written yet. Clients send little at a time.
    block: BytesMut,
    hasher: Sha256,
    size: u64,
}

impl Upload {
    /// Adds bytes to the end.
    ///
    /// # Errors
    ///
    /// The disk is full ([`Full`](RegistryError::Full)), or the system refuses. The upload is of no more use then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), RegistryError> {
        self.hasher.update(&bytes);
        self.size += bytes.len() as u64;
        self.block.extend_from_slice(&bytes);
        if self.block.len() >= BLOCK {
            self.flush().await?;
        }
        Ok(())
    }

    /// Makes the bytes a blob: once this returns they are on the disk, under their name. It has [`Blobs::collect`]'s grace
    /// to become part of a version.
    ///
    /// # Errors
    ///
    /// As with [`Self::write`]. There is nothing left of the upload then.
    pub async fn finish(mut self) -> Result<(Digest, u64), RegistryError> {
        self.flush().await?;
        let Self {
            mut part,
            staged,
            hasher,
            size,
            ..
        } = self;
        point(failpoints::BLOB_WRITTEN);
        let whole = part.complete().await;
        whole.map_err(|error| RegistryError::store(&staged.path(), error))?;
        let digest = Digest(hasher.finalize().into());
        // To its end even if nobody waits for it any more: see `moving`.
        let published = tokio::spawn(async move { staged.publish(&digest).await });
        published.await.unwrap_or_else(|error| Err(ended(&error)))?;
        Ok((digest, size))
    }

    async fn flush(&mut self) -> Result<(), RegistryError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = self.block.split().freeze();
        let written = self.part.put_part(block.into()).await;
        written.map_err(|error| RegistryError::store(&self.staged.path(), error))
    }
}

/// A file that is not a blob yet.
#[derive(Debug)]
struct Staged {
    blobs: Blobs,
    name: String,
}

impl Staged {
    fn location(&self) -> Location {
        Location::from_iter([STAGING, &self.name])
    }

    fn path(&self) -> PathBuf {
        self.blobs.0.dir.join(STAGING).join(&self.name)
    }

    /// Gives the file the name of a blob.
    async fn publish(self, digest: &Digest) -> Result<(), RegistryError> {
        let inner = &self.blobs.0;
        let (from, to) = (self.path(), self.blobs.path(digest));
        let error = |source| RegistryError::io(&to, source);
        let staged = from.clone();
        blocking(move || {
            let file = File::open(&staged)?;
            file.sync_all()?;
            point(failpoints::BLOB_SYNCED);
            // An upload may have waited long for its last bytes, and its time begins now.
            file.set_modified(SystemTime::now())
        })
        .await
        .map_err(|source| RegistryError::io(&from, source))?;
        let still = inner.moving.read().await;
        let renamed = inner
            .store
            .rename(&self.location(), &location(digest))
            .await;
        drop(still);
        renamed.map_err(|error| RegistryError::store(&to, error))?;
        point(failpoints::BLOB_RENAMED);
        // Also if somebody else had renamed the same bytes to here: that one may not have come so far yet.
        let dir = to.parent().map(Path::to_owned).unwrap_or_default();
        blocking(move || folder::sync(&dir)).await.map_err(error)?;
        point(failpoints::BLOB_FOLDER_SYNCED);
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // It is not there if it was renamed, or never whole; then the store removes what it had.
        let _ = fs::remove_file(self.path());
    }
}

/// Within the folder of blobs. The first digits are a folder of their own, so that none has too many files.
fn place(digest: &Digest) -> String {
    let digits = digest.to_string();
    format!("{}/{digits}", &digits[..2])
}

fn location(digest: &Digest) -> Location {
    Location::from(place(digest))
}

/// Whether a file is there and was last written longer ago. One of the future, after the clock was set back, is not old.
fn is_old(path: &Path, grace: Duration) -> bool {
    let age = fs::symlink_metadata(path)
        .and_then(|facts| facts.modified())
        .map(|modified| modified.elapsed().ok());
    matches!(age, Ok(Some(age)) if age >= grace)
}

/// Removes what was left of uploads for so long.
fn remove_staged(staging: &Path, age: Duration) -> Result<(), RegistryError> {
    let error = |source| RegistryError::io(staging, source);
    for entry in fs::read_dir(staging).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if (age.is_zero() || is_old(&path, age))
            && let Err(source) = fs::remove_file(&path)
            && source.kind() != std::io::ErrorKind::NotFound
        {
            return Err(RegistryError::io(&path, source));
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// A task that did not come to its end: its runtime was ending, or there is a bug.
fn ended(error: &tokio::task::JoinError) -> RegistryError {
    RegistryError::Sql(sqlx::Error::Io(std::io::Error::other(error.to_string())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{NewVersion, Registry};

    /// Between the list of what is old and the removal a version can be added without an upload, as by a new config.
    #[tokio::test]
    async fn what_was_named_since_the_list_was_made_stays() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(dir.path()).await.unwrap();
        let tenant = registry.create_tenant("acme").await.unwrap();
        let app = registry.create_app(tenant.id, "shop", 1).await.unwrap();
        let mut upload = registry.blobs.upload().await.unwrap();
        upload.write(b"old"[..].into()).await.unwrap();
        let (component, size) = upload.finish().await.unwrap();
        let listed = [component];
        let new = NewVersion {
            component,
            size,
            config: String::new(),
            by: String::new(),
        };
        registry.add_version(app.id, new).await.unwrap();
        let removed = registry.blobs.remove(&listed, Duration::ZERO).await;
        assert_eq!(removed.unwrap(), 0);
        assert!(registry.blobs.exists(&component));
        registry.delete_app(app.id).await.unwrap();
        registry.purge_apps(i64::MAX).await.unwrap();
        let removed = registry.blobs.remove(&listed, Duration::ZERO).await;
        assert_eq!(removed.unwrap(), 1);
    }
}
