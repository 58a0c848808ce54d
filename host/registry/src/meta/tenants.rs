//! Tenants.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{now, numbered};
use crate::error::RegistryError;
use crate::model::Tenant;
use crate::name::check_name;
use crate::page::Page;
use crate::registry::Registry;

impl FromRow<'_, SqliteRow> for Tenant {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            created: row.try_get("created")?,
        })
    }
}

impl Registry {
    /// Makes a tenant.
    ///
    /// # Errors
    ///
    /// The name is none ([`Name`](RegistryError::Name)), or another has it ([`Taken`](RegistryError::Taken)).
    pub async fn create_tenant(&self, name: &str) -> Result<Tenant, RegistryError> {
        check_name(name)?;
        let mut change = self.database.change().await?;
        let tenant =
            sqlx::query_as("INSERT INTO tenants (name, created) VALUES (?, ?) RETURNING *")
                .bind(name.to_owned())
                .bind(now())
                .fetch_one(&mut *change)
                .await
                .map_err(|error| {
                    RegistryError::or_taken(error, || {
                        format!("there is a tenant {name:?} already; use another name")
                    })
                })?;
        change.commit().await?;
        Ok(tenant)
    }

    /// The tenant of this name.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn tenant(&self, name: &str) -> Result<Option<Tenant>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM tenants WHERE name = ?")
            .bind(name.to_owned())
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// The tenant of this row.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn tenant_by_id(&self, id: i64) -> Result<Option<Tenant>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM tenants WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// All tenants, the oldest first.
    ///
    /// # Errors
    ///
    /// The cursor is none of this list ([`Cursor`](RegistryError::Cursor)).
    pub async fn tenants(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Tenant>, RegistryError> {
        let part = self.part(("tenants", 0), cursor, limit)?;
        let rows =
            sqlx::query_as("SELECT *, id AS row FROM tenants WHERE id > ? ORDER BY id LIMIT ?")
                .bind(part.after.unwrap_or(0))
                .bind(part.rows())
                .fetch_all(&self.database.reader)
                .await?;
        Ok(part.page(numbered(rows)))
    }

    /// Deletes a tenant with all that it has, also apps that were deleted and could still be restored.
    ///
    /// # Errors
    ///
    /// It is not there ([`Missing`](RegistryError::Missing)), or has apps that are not deleted
    /// ([`NotEmpty`](RegistryError::NotEmpty)).
    pub async fn delete_tenant(&self, id: i64) -> Result<(), RegistryError> {
        let mut change = self.database.change().await?;
        let has_apps: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM apps WHERE tenant = ? AND deleted IS NULL)",
        )
        .bind(id)
        .fetch_one(&mut *change)
        .await?;
        if has_apps {
            return Err(RegistryError::NotEmpty);
        }
        // An app keeps its current version from being deleted before it.
        sqlx::query("UPDATE apps SET current = NULL WHERE tenant = ?")
            .bind(id)
            .execute(&mut *change)
            .await?;
        let deleted = sqlx::query("DELETE FROM tenants WHERE id = ?")
            .bind(id)
            .execute(&mut *change)
            .await?;
        if deleted.rows_affected() == 0 {
            return Err(RegistryError::Missing("tenant"));
        }
        change.commit().await?;
        Ok(())
    }
}
