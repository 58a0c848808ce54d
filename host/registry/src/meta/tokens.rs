//! Tokens. Of a secret there is the digest alone; it has 256 random bits, so that no slow hash is needed.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{now, numbered, word};
use crate::digest::Digest;
use crate::error::RegistryError;
use crate::model::{Millis, Right, Token};
use crate::page::Page;
use crate::random::{self, Secret};
use crate::registry::Registry;

/// When a token was last used is known to so many milliseconds, so that a busy one is no write a request.
const MINUTE: Millis = 60_000;

impl FromRow<'_, SqliteRow> for Token {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant")?,
            name: row.try_get("name")?,
            right: word(row, "right")?,
            created: row.try_get("created")?,
            expires: row.try_get("expires")?,
            revoked: row.try_get("revoked")?,
            last_used: row.try_get("last_used")?,
        })
    }
}

impl Registry {
    /// Makes a token of a tenant, or of an operator. The secret is told here and never again.
    ///
    /// # Errors
    ///
    /// There is no such tenant ([`Missing`](RegistryError::Missing)).
    pub async fn create_token(
        &self,
        tenant: Option<i64>,
        name: &str,
        right: Right,
        expires: Option<Millis>,
    ) -> Result<(Token, Secret), RegistryError> {
        let secret = Secret::new()?;
        let mut change = self.database.change().await?;
        let token: Option<Token> = sqlx::query_as(
            "INSERT INTO tokens (id, tenant, name, right, secret, created, expires)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE ?2 IS NULL OR EXISTS (SELECT 1 FROM tenants WHERE id = ?2) RETURNING *",
        )
        .bind(random::id("tok")?)
        .bind(tenant)
        .bind(name.to_owned())
        .bind(right.as_str())
        .bind(digest(secret.as_str()))
        .bind(now())
        .bind(expires)
        .fetch_optional(&mut *change)
        .await?;
        let token = token.ok_or(RegistryError::Missing("tenant"))?;
        change.commit().await?;
        Ok((token, secret))
    }

    /// The token that has this secret. It may be expired or revoked, which is for the caller to judge.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn token_by_secret(&self, secret: &str) -> Result<Option<Token>, RegistryError> {
        let found = sqlx::query_as("SELECT * FROM tokens WHERE secret = ?")
            .bind(digest(secret))
            .fetch_optional(&self.database.reader)
            .await?;
        Ok(found)
    }

    /// Says that a token was used. It writes once a minute at most.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn touch_token(&self, id: &str) -> Result<(), RegistryError> {
        let before = now() - MINUTE;
        let is_due: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM tokens WHERE id = ? AND coalesce(last_used, 0) <= ?)",
        )
        .bind(id.to_owned())
        .bind(before)
        .fetch_one(&self.database.reader)
        .await?;
        if !is_due {
            return Ok(());
        }
        let mut change = self.database.change().await?;
        // Of many at once the first writes.
        let touched = sqlx::query(
            "UPDATE tokens SET last_used = ? WHERE id = ? AND coalesce(last_used, 0) <= ?",
        )
        .bind(now())
        .bind(id.to_owned())
        .bind(before)
        .execute(&mut *change)
        .await?;
        if touched.rows_affected() > 0 {
            change.commit().await?;
        }
        Ok(())
    }

    /// The tokens of a tenant, or of operators, the oldest first, also those that are good for nothing any more.
    ///
    /// # Errors
    ///
    /// The cursor is none of this list ([`Cursor`](RegistryError::Cursor)).
    pub async fn tokens(
        &self,
        tenant: Option<i64>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Token>, RegistryError> {
        // No tenant has the number 0.
        let part = self.part(("tokens", tenant.unwrap_or(0)), cursor, limit)?;
        let rows = sqlx::query_as(
            "SELECT *, seq AS row FROM tokens WHERE tenant IS ? AND seq > ? ORDER BY seq LIMIT ?",
        )
        .bind(tenant)
        .bind(part.after.unwrap_or(0))
        .bind(part.rows())
        .fetch_all(&self.database.reader)
        .await?;
        Ok(part.page(numbered(rows)))
    }

    /// Takes back a token of a tenant, or of an operator, for good. To do it again changes nothing.
    ///
    /// # Errors
    ///
    /// They have none of this id ([`Missing`](RegistryError::Missing)).
    pub async fn revoke_token(
        &self,
        tenant: Option<i64>,
        id: &str,
    ) -> Result<Token, RegistryError> {
        let mut change = self.database.change().await?;
        let token: Option<Token> = sqlx::query_as(
            "UPDATE tokens SET revoked = coalesce(revoked, ?) WHERE tenant IS ? AND id = ? RETURNING *",
        )
        .bind(now())
        .bind(tenant)
        .bind(id.to_owned())
        .fetch_optional(&mut *change)
        .await?;
        let token = token.ok_or(RegistryError::Missing("token"))?;
        change.commit().await?;
        Ok(token)
    }

    /// Whether an operator has a token that is good for something.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn has_operator(&self) -> Result<bool, RegistryError> {
        let has_one = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM tokens WHERE tenant IS NULL AND revoked IS NULL
               AND (expires IS NULL OR expires > ?))",
        )
        .bind(now())
        .fetch_one(&self.database.reader)
        .await?;
        Ok(has_one)
    }
}

fn digest(secret: &str) -> Vec<u8> {
    Digest::of(secret.as_bytes()).0.to_vec()
}
