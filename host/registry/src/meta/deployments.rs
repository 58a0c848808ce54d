//! Deployments: how far each is, and how it ended. That it made a version current is written by `versions.rs`.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{apps, now, numbered, word};
use crate::database::Change;
use crate::error::RegistryError;
use crate::model::{Deployment, DeploymentState};
use crate::page::Page;
use crate::random;
use crate::registry::Registry;

/// So many of an app are kept, and those that have not ended.
const KEPT: i64 = 100;

impl FromRow<'_, SqliteRow> for Deployment {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            app: row.try_get("app")?,
            kind: row.try_get("kind")?,
            state: word(row, "state")?,
            version: row.try_get("version")?,
            problem: row.try_get("problem")?,
            created: row.try_get("created")?,
            finished: row.try_get("finished")?,
            by: row.try_get("made_by")?,
        })
    }
}

impl Registry {
    /// Begins a deployment of an app, in the state [`Queued`](DeploymentState::Queued). The oldest beyond a hundred are
    /// forgotten. The kind `rollback` has a meaning to [`Self::make_current`].
    ///
    /// # Errors
    ///
    /// There is no such app, or it is deleted ([`Missing`](RegistryError::Missing)).
    pub async fn begin_deployment(
        &self,
        app_id: i64,
        kind: &str,
        by: &str,
    ) -> Result<Deployment, RegistryError> {
        let mut change = self.database.change().await?;
        apps::of_change(&mut change, app_id).await?;
        let deployment = sqlx::query_as(
            "INSERT INTO deployments (id, app, kind, state, created, made_by)
             VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
        )
        .bind(random::id("dep")?)
        .bind(app_id)
        .bind(kind.to_owned())
        .bind(DeploymentState::Queued.as_str())
        .bind(now())
        .bind(by.to_owned())
        .fetch_one(&mut *change)
        .await?;
        sqlx::query(
            "DELETE FROM deployments WHERE app = ?1 AND finished IS NOT NULL AND seq NOT IN
               (SELECT seq FROM deployments WHERE app = ?1 ORDER BY seq DESC LIMIT ?2)",
        )
        .bind(app_id)
        .bind(KEPT)
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(deployment)
    }

    /// Says how far a deployment is. A final state ends it.
    ///
    /// # Errors
    ///
    /// It is not there ([`Missing`](RegistryError::Missing)), or has ended ([`Finished`](RegistryError::Finished)).
    pub async fn advance(
        &self,
        id: &str,
        state: DeploymentState,
    ) -> Result<Deployment, RegistryError> {
        let mut change = self.database.change().await?;
        unfinished(&mut change, id).await?;
        let deployment = sqlx::query_as(
            "UPDATE deployments SET state = ?, finished = ? WHERE id = ? RETURNING *",
        )
        .bind(state.as_str())
        .bind(state.is_final().then(now))
        .bind(id.to_owned())
        .fetch_one(&mut *change)
        .await?;
        change.commit().await?;
        Ok(deployment)
    }

    /// Says which version a deployment is of, by its number. Until it ends, the version is not pruned.
    ///
    /// # Errors
    ///
    /// As [`Self::advance`]; also if there is no such version ([`Missing`](RegistryError::Missing)).
    pub async fn set_deployment_version(
        &self,
        id: &str,
        number: i64,
    ) -> Result<Deployment, RegistryError> {
        let mut change = self.database.change().await?;
        unfinished(&mut change, id).await?;
        let deployment: Option<Deployment> = sqlx::query_as(
            "UPDATE deployments SET version = ?1 WHERE id = ?2
               AND EXISTS (SELECT 1 FROM versions WHERE app = deployments.app AND number = ?1) RETURNING *",
        )
        .bind(number)
        .bind(id.to_owned())
        .fetch_optional(&mut *change)
        .await?;
        let deployment = deployment.ok_or(RegistryError::Missing("version"))?;
        change.commit().await?;
        Ok(deployment)
    }

    /// Ends a deployment badly; the problem is JSON.
    ///
    /// # Errors
    ///
    /// As [`Self::advance`].
    pub async fn fail(&self, id: &str, problem: &str) -> Result<Deployment, RegistryError> {
        let mut change = self.database.change().await?;
        unfinished(&mut change, id).await?;
        let deployment = sqlx::query_as(
            "UPDATE deployments SET state = ?, finished = ?, problem = ? WHERE id = ? RETURNING *",
        )
        .bind(DeploymentState::Failed.as_str())
        .bind(now())
        .bind(problem.to_owned())
        .bind(id.to_owned())
        .fetch_one(&mut *change)
        .await?;
        change.commit().await?;
        Ok(deployment)
    }

    /// The deployment of an app that has this id.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn deployment(
        &self,
        app_id: i64,
        id: &str,
    ) -> Result<Option<Deployment>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM deployments WHERE app = ? AND id = ?")
            .bind(app_id)
            .bind(id.to_owned())
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// The deployments of an app that are still known, the newest first.
    ///
    /// # Errors
    ///
    /// The cursor is none of this list ([`Cursor`](RegistryError::Cursor)).
    pub async fn deployments(
        &self,
        app_id: i64,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Deployment>, RegistryError> {
        let part = self.part(("deployments", app_id), cursor, limit)?;
        let rows = sqlx::query_as(
            "SELECT *, seq AS row FROM deployments WHERE app = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
        )
        .bind(app_id)
        .bind(part.after.unwrap_or(i64::MAX))
        .bind(part.rows())
        .fetch_all(&self.database.reader)
        .await?;
        Ok(part.page(numbered(rows)))
    }

    /// Ends the deployments that a process before this one did not, as [`Interrupted`](DeploymentState::Interrupted). It is
    /// for the start of a host. Their number is told.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn interrupt_unfinished(&self) -> Result<usize, RegistryError> {
        let mut change = self.database.change().await?;
        let interrupted =
            sqlx::query("UPDATE deployments SET state = ?, finished = ? WHERE finished IS NULL")
                .bind(DeploymentState::Interrupted.as_str())
                .bind(now())
                .execute(&mut *change)
                .await?;
        change.commit().await?;
        Ok(usize::try_from(interrupted.rows_affected()).unwrap_or(usize::MAX))
    }
}

/// A deployment, as a change sees it.
pub(super) async fn of_change(change: &mut Change, id: &str) -> Result<Deployment, RegistryError> {
    sqlx::query_as("SELECT * FROM deployments WHERE id = ?")
        .bind(id.to_owned())
        .fetch_optional(&mut **change)
        .await?
        .ok_or(RegistryError::Missing("deployment"))
}

async fn unfinished(change: &mut Change, id: &str) -> Result<(), RegistryError> {
    match of_change(change, id).await?.finished {
        None => Ok(()),
        Some(_) => Err(RegistryError::Finished),
    }
}
