//! Answers that were given once, by the key with which a client asks again. What a key is, and for how long, is the
//! caller's.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{decode, now};
use crate::digest::Digest;
use crate::error::RegistryError;
use crate::model::{Millis, Remembered};
use crate::registry::Registry;

impl FromRow<'_, SqliteRow> for Remembered {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let request: Vec<u8> = row.try_get("request")?;
        let request = <[u8; 32]>::try_from(request.as_slice());
        let status: i64 = row.try_get("status")?;
        Ok(Self {
            request: Digest(request.map_err(|error| decode("request", error))?),
            status: u16::try_from(status).map_err(|error| decode("status", error))?,
            body: row.try_get("body")?,
            created: row.try_get("created")?,
        })
    }
}

impl Registry {
    /// Remembers the answer to a request of a token with a key.
    ///
    /// # Errors
    ///
    /// There is one already ([`Taken`](RegistryError::Taken)), or no such token ([`Missing`](RegistryError::Missing)).
    pub async fn remember(
        &self,
        token_id: &str,
        key: &str,
        request: &Digest,
        status: u16,
        body: &[u8],
    ) -> Result<(), RegistryError> {
        let mut change = self.database.change().await?;
        let remembered = sqlx::query(
            "INSERT INTO answers (token, key, request, status, body, created)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM tokens WHERE id = ?1)",
        )
        .bind(token_id.to_owned())
        .bind(key.to_owned())
        .bind(request.0.to_vec())
        .bind(i64::from(status))
        .bind(body.to_vec())
        .bind(now())
        .execute(&mut *change)
        .await
        .map_err(|error| {
            RegistryError::or_taken(error, || format!("the key {key:?} was used already"))
        })?;
        if remembered.rows_affected() == 0 {
            return Err(RegistryError::Missing("token"));
        }
        change.commit().await?;
        Ok(())
    }

    /// What was answered to a token with this key.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn recall(
        &self,
        token_id: &str,
        key: &str,
    ) -> Result<Option<Remembered>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM answers WHERE token = ? AND key = ?")
            .bind(token_id.to_owned())
            .bind(key.to_owned())
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// Forgets the answers that were given before a moment. Their number is told.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn forget_old(&self, older_than: Millis) -> Result<usize, RegistryError> {
        let mut change = self.database.change().await?;
        let forgotten = sqlx::query("DELETE FROM answers WHERE created < ?")
            .bind(older_than)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(usize::try_from(forgotten.rows_affected()).unwrap_or(usize::MAX))
    }
}
