//! A registry, opened and closed. What one asks it is in `meta`, and components are in `blobs.rs`.

use std::path::Path;

use crate::blobs::Blobs;
use crate::database::Database;
use crate::error::RegistryError;
use crate::folder::Folder;
use crate::page::Part;

/// What a host remembers. Clones are the same registry, and cheap.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The components.
    pub blobs: Blobs,
    pub(crate) database: Database,
    folder: Folder,
}

impl Registry {
    /// Opens the folder, which is made when it is missing, for this process alone. What processes that died have left
    /// half-written is removed, and an older database brought to the newest layout.
    ///
    /// # Errors
    ///
    /// Another process has it ([`InUse`](RegistryError::InUse)), others may write to it
    /// ([`Writable`](RegistryError::Writable), [`Foreign`](RegistryError::Foreign)), its database is of a newer program
    /// ([`Newer`](RegistryError::Newer)) or none ([`NoDatabase`](RegistryError::NoDatabase)), or the system refuses.
    pub async fn open(dir: &Path) -> Result<Registry, RegistryError> {
        let folder = Folder::open(dir)?;
        let database = Database::open(dir).await?;
        let blobs = Blobs::open(dir, database.clone())?;
        Ok(Self {
            blobs,
            database,
            folder,
        })
    }

    /// Waits for what is being written, closes the database and lets other processes have the folder. Clones of it answer
    /// with errors from then on.
    pub async fn close(&self) {
        self.database.close().await;
        self.folder.release();
    }

    /// Where a list goes on; `list` says which one and whose.
    pub(crate) fn part(
        &self,
        list: (&str, i64),
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Part, RegistryError> {
        Part::new(&self.database.key, list, cursor, limit)
    }
}
