//! Apps: made, stopped, deleted, restored and at last purged. Their versions are in `versions.rs`.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{count, now, numbered};
use crate::database::Change;
use crate::error::RegistryError;
use crate::model::{App, Millis};
use crate::name::check_name;
use crate::page::Page;
use crate::registry::Registry;

/// Of one part of a host name (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

impl FromRow<'_, SqliteRow> for App {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant")?,
            name: row.try_get("name")?,
            created: row.try_get("created")?,
            stopped: row.try_get("stopped")?,
            deleted: row.try_get("deleted")?,
            current: row.try_get("current")?,
            label: row.try_get("label")?,
            revision: row.try_get("revision")?,
        })
    }
}

impl Registry {
    /// Makes an app. Its label is its name, or if another app has that one, `{name}--{tenant}`, or if that were too long for
    /// a host name, `{name}---{number of the tenant}`. Names have no `--`, so these are never another's.
    ///
    /// # Errors
    ///
    /// The name is none ([`Name`](RegistryError::Name)), another app of the tenant has it, which may be one that is deleted
    /// ([`Taken`](RegistryError::Taken)), the tenant has `max_apps` that are not deleted ([`Limit`](RegistryError::Limit)),
    /// or is not there ([`Missing`](RegistryError::Missing)).
    pub async fn create_app(
        &self,
        tenant_id: i64,
        name: &str,
        max_apps: u64,
    ) -> Result<App, RegistryError> {
        check_name(name)?;
        let mut change = self.database.change().await?;
        let tenant: Option<String> = sqlx::query_scalar("SELECT name FROM tenants WHERE id = ?")
            .bind(tenant_id)
            .fetch_optional(&mut *change)
            .await?;
        let tenant = tenant.ok_or(RegistryError::Missing("tenant"))?;
        let other: Option<App> = sqlx::query_as("SELECT * FROM apps WHERE tenant = ? AND name = ?")
            .bind(tenant_id)
            .bind(name.to_owned())
            .fetch_optional(&mut *change)
            .await?;
        if let Some(other) = other {
            return Err(RegistryError::Taken(match other.deleted {
                None => format!("there is an app {name:?} already; use another name"),
                Some(_) => format!(
                    "an app {name:?} was deleted and still has its name; restore it, or use another name"
                ),
            }));
        }
        let apps: i64 =
            sqlx::query_scalar("SELECT count(*) FROM apps WHERE tenant = ? AND deleted IS NULL")
                .bind(tenant_id)
                .fetch_one(&mut *change)
                .await?;
        if apps >= count(max_apps) {
            return Err(RegistryError::Limit {
                what: "apps",
                most: max_apps,
            });
        }
        let is_taken: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM apps WHERE label = ?)")
                .bind(name.to_owned())
                .fetch_one(&mut *change)
                .await?;
        let label = match format!("{name}--{tenant}") {
            _ if !is_taken => name.to_owned(),
            label if label.len() <= MAX_LABEL => label,
            _ => format!("{name}---{tenant_id}"),
        };
        let app = sqlx::query_as(
            "INSERT INTO apps (tenant, name, created, label) VALUES (?, ?, ?, ?) RETURNING *",
        )
        .bind(tenant_id)
        .bind(name.to_owned())
        .bind(now())
        .bind(label)
        .fetch_one(&mut *change)
        .await?;
        change.commit().await?;
        Ok(app)
    }

    /// The app of this name, also if it is deleted.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn app(&self, tenant_id: i64, name: &str) -> Result<Option<App>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM apps WHERE tenant = ? AND name = ?")
            .bind(tenant_id)
            .bind(name.to_owned())
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// The app of this row, also if it is deleted.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn app_by_id(&self, id: i64) -> Result<Option<App>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM apps WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// The apps of a tenant that are not deleted, the oldest first.
    ///
    /// # Errors
    ///
    /// The cursor is none of this list ([`Cursor`](RegistryError::Cursor)).
    pub async fn apps(
        &self,
        tenant_id: i64,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<App>, RegistryError> {
        let part = self.part(("apps", tenant_id), cursor, limit)?;
        let rows = sqlx::query_as(
            "SELECT *, id AS row FROM apps WHERE tenant = ? AND deleted IS NULL AND id > ? ORDER BY id LIMIT ?",
        )
        .bind(tenant_id)
        .bind(part.after.unwrap_or(0))
        .bind(part.rows())
        .fetch_all(&self.database.reader)
        .await?;
        Ok(part.page(numbered(rows)))
    }

    /// Stops an app, or lets it serve again. It counts as a change only if it is one.
    ///
    /// # Errors
    ///
    /// There is none, or it is deleted ([`Missing`](RegistryError::Missing)).
    pub async fn set_stopped(&self, app_id: i64, stopped: bool) -> Result<App, RegistryError> {
        let mut change = self.database.change().await?;
        let app = sqlx::query_as(
            "UPDATE apps SET revision = revision + (stopped <> ?1), stopped = ?1
             WHERE id = ?2 AND deleted IS NULL RETURNING *",
        )
        .bind(stopped)
        .bind(app_id)
        .fetch_optional(&mut *change)
        .await?;
        finish(change, app).await
    }

    /// Deletes an app. It keeps its name, its label and all that it has until it is purged.
    ///
    /// # Errors
    ///
    /// There is none, or it is deleted ([`Missing`](RegistryError::Missing)).
    pub async fn delete_app(&self, app_id: i64) -> Result<App, RegistryError> {
        let mut change = self.database.change().await?;
        let app = sqlx::query_as(
            "UPDATE apps SET revision = revision + 1, deleted = ? WHERE id = ? AND deleted IS NULL RETURNING *",
        )
        .bind(now())
        .bind(app_id)
        .fetch_optional(&mut *change)
        .await?;
        finish(change, app).await
    }

    /// Takes back that an app was deleted.
    ///
    /// # Errors
    ///
    /// There is none that is deleted ([`Missing`](RegistryError::Missing)).
    pub async fn restore_app(&self, app_id: i64) -> Result<App, RegistryError> {
        let mut change = self.database.change().await?;
        let app = sqlx::query_as(
            "UPDATE apps SET revision = revision + 1, deleted = NULL
             WHERE id = ? AND deleted IS NOT NULL RETURNING *",
        )
        .bind(app_id)
        .fetch_optional(&mut *change)
        .await?;
        finish(change, app).await
    }

    /// Removes apps that were deleted before a moment, for good and with all that they have. Their number is told. Blobs go
    /// with the next [`collect`](crate::Blobs::collect).
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn purge_apps(&self, older_than: Millis) -> Result<usize, RegistryError> {
        let mut change = self.database.change().await?;
        // An app keeps its current version from being deleted before it.
        sqlx::query("UPDATE apps SET current = NULL WHERE deleted < ?")
            .bind(older_than)
            .execute(&mut *change)
            .await?;
        let purged = sqlx::query("DELETE FROM apps WHERE deleted < ?")
            .bind(older_than)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(usize::try_from(purged.rows_affected()).unwrap_or(usize::MAX))
    }
}

async fn finish(change: Change, app: Option<App>) -> Result<App, RegistryError> {
    let app = app.ok_or(RegistryError::Missing("app"))?;
    change.commit().await?;
    Ok(app)
}

/// An app that is not deleted, as a change sees it.
pub(super) async fn of_change(change: &mut Change, app_id: i64) -> Result<App, RegistryError> {
    sqlx::query_as("SELECT * FROM apps WHERE id = ? AND deleted IS NULL")
        .bind(app_id)
        .fetch_optional(&mut **change)
        .await?
        .ok_or(RegistryError::Missing("app"))
}
