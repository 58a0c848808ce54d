//! Domains: claimed by anyone, had by who proved it. What proves it is for the caller to see.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{apps, count, now};
use crate::error::RegistryError;
use crate::model::Domain;
use crate::random;
use crate::registry::Registry;

impl FromRow<'_, SqliteRow> for Domain {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant")?,
            app: row.try_get("app")?,
            host: row.try_get("host")?,
            path: row.try_get("path")?,
            challenge: row.try_get("challenge")?,
            verified: row.try_get("verified")?,
            created: row.try_get("created")?,
        })
    }
}

impl Registry {
    /// Claims a place for an app. Others may have claimed it too; it is served by who proves that the host is theirs. Host
    /// and path are kept as they are: checking them, and lower case, are the caller's.
    ///
    /// # Errors
    ///
    /// The app has claimed it already ([`Taken`](RegistryError::Taken)), or `max` places ([`Limit`](RegistryError::Limit)),
    /// or is not there, or deleted, or another tenant's ([`Missing`](RegistryError::Missing)).
    pub async fn claim_domain(
        &self,
        tenant: i64,
        app: i64,
        host: &str,
        path: &str,
        max: u64,
    ) -> Result<Domain, RegistryError> {
        let mut change = self.database.change().await?;
        if apps::of_change(&mut change, app).await?.tenant != tenant {
            return Err(RegistryError::Missing("app"));
        }
        let domains: i64 = sqlx::query_scalar("SELECT count(*) FROM domains WHERE app = ?")
            .bind(app)
            .fetch_one(&mut *change)
            .await?;
        if domains >= count(max) {
            return Err(RegistryError::Limit {
                what: "domains",
                most: max,
            });
        }
        let domain = sqlx::query_as(
            "INSERT INTO domains (id, tenant, app, host, path, challenge, created)
             VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
        )
        .bind(random::id("dom")?)
        .bind(tenant)
        .bind(app)
        .bind(host.to_owned())
        .bind(path.to_owned())
        .bind(random::challenge()?)
        .bind(now())
        .fetch_one(&mut *change)
        .await
        .map_err(|error| {
            RegistryError::or_taken(error, || {
                format!("the app has claimed {host}{path} already")
            })
        })?;
        change.commit().await?;
        Ok(domain)
    }

    /// Says that a domain's tenant has proved that the host is its own. To say it again changes nothing.
    ///
    /// # Errors
    ///
    /// It is not there ([`Missing`](RegistryError::Missing)), or another tenant has proved the same of the host, or another
    /// app is served at that place ([`Taken`](RegistryError::Taken)).
    pub async fn verify_domain(&self, id: &str) -> Result<Domain, RegistryError> {
        let mut change = self.database.change().await?;
        let domain: Option<Domain> = sqlx::query_as("SELECT * FROM domains WHERE id = ?")
            .bind(id.to_owned())
            .fetch_optional(&mut *change)
            .await?;
        let domain = domain.ok_or(RegistryError::Missing("domain"))?;
        let has_other: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM domains WHERE host = ? AND verified IS NOT NULL AND tenant <> ?)",
        )
        .bind(domain.host.clone())
        .bind(domain.tenant)
        .fetch_one(&mut *change)
        .await?;
        if has_other {
            let host = domain.host;
            return Err(RegistryError::Taken(format!("{host} is another tenant's")));
        }
        let verified = sqlx::query_as(
            "UPDATE domains SET verified = coalesce(verified, ?) WHERE id = ? RETURNING *",
        )
        .bind(now())
        .bind(id.to_owned())
        .fetch_one(&mut *change)
        .await
        .map_err(|error| {
            RegistryError::or_taken(error, || {
                format!(
                    "another app is served at {}{}; delete that domain first",
                    domain.host, domain.path
                )
            })
        })?;
        change.commit().await?;
        Ok(verified)
    }

    /// The domain of a tenant that has this id.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn domain(&self, tenant_id: i64, id: &str) -> Result<Option<Domain>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM domains WHERE tenant = ? AND id = ?")
            .bind(tenant_id)
            .bind(id.to_owned())
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// All domains of an app, the oldest first, also those that are not verified.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn domains(&self, app_id: i64) -> Result<Vec<Domain>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM domains WHERE app = ? ORDER BY seq")
            .bind(app_id)
            .fetch_all(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// Deletes a domain.
    ///
    /// # Errors
    ///
    /// It is not there ([`Missing`](RegistryError::Missing)).
    pub async fn delete_domain(&self, id: &str) -> Result<(), RegistryError> {
        let mut change = self.database.change().await?;
        let deleted = sqlx::query("DELETE FROM domains WHERE id = ?")
            .bind(id.to_owned())
            .execute(&mut *change)
            .await?;
        if deleted.rows_affected() == 0 {
            return Err(RegistryError::Missing("domain"));
        }
        change.commit().await?;
        Ok(())
    }
}
