//! Versions of apps: added, made current, gone back to, and pruned.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{apps, count, decode, deployments, now, numbered};
use crate::database::{Change, commit};
use crate::digest::Digest;
use crate::error::RegistryError;
use crate::failpoints;
use crate::model::{App, DeploymentState, NewVersion, Version};
use crate::page::Page;
use crate::registry::Registry;

/// How far back a rollback can go, in versions that were current. More are not remembered.
const MAX_FORMERS: i64 = 100;

impl FromRow<'_, SqliteRow> for Version {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let component: Vec<u8> = row.try_get("component")?;
        let component = <[u8; 32]>::try_from(component.as_slice());
        let size: i64 = row.try_get("size")?;
        Ok(Self {
            id: row.try_get("id")?,
            app: row.try_get("app")?,
            number: row.try_get("number")?,
            component: Digest(component.map_err(|error| decode("component", error))?),
            size: u64::try_from(size).map_err(|error| decode("size", error))?,
            config: row.try_get("config")?,
            created: row.try_get("created")?,
            by: row.try_get("made_by")?,
        })
    }
}

impl Registry {
    /// Adds a version to an app. It has the number after the highest that the app ever had.
    ///
    /// # Errors
    ///
    /// There is no such app, it is deleted, or there is no such component, or one of another size
    /// ([`Missing`](RegistryError::Missing)): it was never uploaded, or so long ago that it was collected.
    pub async fn add_version(
        &self,
        app_id: i64,
        new: NewVersion,
    ) -> Result<Version, RegistryError> {
        let mut change = self.database.change().await?;
        // Under the right to write, so that it is still there when the row is: see `blobs.rs`.
        if self.blobs.size(&new.component) != Some(new.size) {
            return Err(RegistryError::Missing("component; upload it again"));
        }
        let number: Option<i64> = sqlx::query_scalar(
            "UPDATE apps SET next_number = next_number + 1 WHERE id = ? AND deleted IS NULL
             RETURNING next_number - 1",
        )
        .bind(app_id)
        .fetch_optional(&mut *change)
        .await?;
        let number = number.ok_or(RegistryError::Missing("app"))?;
        let version = sqlx::query_as(
            "INSERT INTO versions (app, number, component, size, config, created, made_by)
             VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
        )
        .bind(app_id)
        .bind(number)
        .bind(new.component.0.to_vec())
        .bind(count(new.size))
        .bind(new.config)
        .bind(now())
        .bind(new.by)
        .fetch_one(&mut *change)
        .await?;
        commit(
            change,
            failpoints::BEFORE_VERSION,
            failpoints::VERSION_ADDED,
        )
        .await?;
        Ok(version)
    }

    /// The version of an app that has this number.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn version(
        &self,
        app_id: i64,
        number: i64,
    ) -> Result<Option<Version>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM versions WHERE app = ? AND number = ?")
            .bind(app_id)
            .bind(number)
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// The version of this row.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn version_by_id(&self, id: i64) -> Result<Option<Version>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM versions WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// The versions of an app, the newest first.
    ///
    /// # Errors
    ///
    /// The cursor is none of this list ([`Cursor`](RegistryError::Cursor)).
    pub async fn versions(
        &self,
        app_id: i64,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Version>, RegistryError> {
        let part = self.part(("versions", app_id), cursor, limit)?;
        let rows = sqlx::query_as(
            "SELECT *, number AS row FROM versions WHERE app = ? AND number < ? ORDER BY number DESC LIMIT ?",
        )
        .bind(app_id)
        .bind(part.after.unwrap_or(i64::MAX))
        .bind(part.rows())
        .fetch_all(&self.database.reader)
        .await?;
        Ok(part.page(numbered(rows)))
    }

    /// Makes a version the current one, and ends its deployment well: both, or neither. After a deployment of the kind
    /// `rollback` to [`Self::previous_version`], the previous one is the one before that.
    ///
    /// # Errors
    ///
    /// The app, the version or the deployment is not there, or of another app ([`Missing`](RegistryError::Missing)), or the
    /// deployment has ended ([`Finished`](RegistryError::Finished)).
    pub async fn make_current(
        &self,
        app_id: i64,
        version_id: i64,
        deployment_id: &str,
    ) -> Result<App, RegistryError> {
        let mut change = self.database.change().await?;
        let app = apps::of_change(&mut change, app_id).await?;
        let deployment = deployments::of_change(&mut change, deployment_id).await?;
        if deployment.app != app_id {
            return Err(RegistryError::Missing("deployment"));
        }
        if deployment.finished.is_some() {
            return Err(RegistryError::Finished);
        }
        let number: Option<i64> =
            sqlx::query_scalar("SELECT number FROM versions WHERE id = ? AND app = ?")
                .bind(version_id)
                .bind(app_id)
                .fetch_optional(&mut *change)
                .await?;
        let number = number.ok_or(RegistryError::Missing("version"))?;
        let is_back = deployment.kind == "rollback";
        remember_former(&mut change, &app, version_id, is_back).await?;
        let app = sqlx::query_as(
            "UPDATE apps SET current = ?, revision = revision + 1 WHERE id = ? RETURNING *",
        )
        .bind(version_id)
        .bind(app_id)
        .fetch_one(&mut *change)
        .await?;
        sqlx::query("UPDATE deployments SET state = ?, finished = ?, version = ? WHERE id = ?")
            .bind(DeploymentState::Live.as_str())
            .bind(now())
            .bind(number)
            .bind(deployment_id.to_owned())
            .execute(&mut *change)
            .await?;
        commit(
            change,
            failpoints::BEFORE_CURRENT,
            failpoints::AFTER_CURRENT,
        )
        .await?;
        Ok(app)
    }

    /// The version that a rollback goes to: the one that was current before the current one was promoted. It is `None` if
    /// there was none, or it was pruned.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn previous_version(&self, app_id: i64) -> Result<Option<Version>, RegistryError> {
        let found = sqlx::query_as(
            "SELECT versions.* FROM formers
             JOIN versions ON versions.id = formers.version
             JOIN apps ON apps.id = formers.app
             WHERE formers.app = ? AND formers.version IS NOT apps.current
             ORDER BY formers.seq DESC LIMIT 1",
        )
        .bind(app_id)
        .fetch_optional(&self.database.reader)
        .await?;
        Ok(found)
    }

    /// Removes all versions of an app but the newest `keep`. The current one stays, also the one before it, and those that
    /// are being deployed. The number of removed ones is told.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn prune_versions(&self, app_id: i64, keep: u32) -> Result<usize, RegistryError> {
        let mut change = self.database.change().await?;
        let pruned = sqlx::query(
            "DELETE FROM versions WHERE app = ?1
               AND number NOT IN (SELECT number FROM versions WHERE app = ?1 ORDER BY number DESC LIMIT ?2)
               AND id NOT IN (SELECT current FROM apps WHERE id = ?1 AND current IS NOT NULL)
               AND id NOT IN (
                 SELECT formers.version FROM formers JOIN apps ON apps.id = formers.app
                 WHERE formers.app = ?1 AND formers.version IS NOT apps.current
                 ORDER BY formers.seq DESC LIMIT 1)
               AND number NOT IN (
                 SELECT version FROM deployments
                 WHERE app = ?1 AND finished IS NULL AND version IS NOT NULL)",
        )
        .bind(app_id)
        .bind(i64::from(keep))
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(usize::try_from(pruned.rows_affected()).unwrap_or(usize::MAX))
    }
}

/// Keeps what was current as what to go back to; or, on a way back, forgets what was gone back through.
async fn remember_former(
    change: &mut Change,
    app: &App,
    version_id: i64,
    is_back: bool,
) -> Result<(), RegistryError> {
    let Some(current) = app.current.filter(|&current| current != version_id) else {
        return Ok(());
    };
    let previous: Option<(i64, i64)> = sqlx::query_as(
        "SELECT seq, version FROM formers WHERE app = ? AND version <> ? ORDER BY seq DESC LIMIT 1",
    )
    .bind(app.id)
    .bind(current)
    .fetch_optional(&mut **change)
    .await?;
    match previous {
        Some((seq, version)) if is_back && version == version_id => {
            sqlx::query("DELETE FROM formers WHERE app = ? AND seq >= ?")
                .bind(app.id)
                .bind(seq)
                .execute(&mut **change)
                .await?;
        }
        _ => {
            sqlx::query("INSERT INTO formers (app, version) VALUES (?, ?)")
                .bind(app.id)
                .bind(current)
                .execute(&mut **change)
                .await?;
            sqlx::query(
                "DELETE FROM formers WHERE app = ?1 AND seq NOT IN
                   (SELECT seq FROM formers WHERE app = ?1 ORDER BY seq DESC LIMIT ?2)",
            )
            .bind(app.id)
            .bind(MAX_FORMERS)
            .execute(&mut **change)
            .await?;
        }
    }
    Ok(())
}
