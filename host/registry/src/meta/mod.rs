//! The rows of a registry, a file a table: what one may ask and change. How the database is opened is in `database.rs`.

mod tenants;

mod apps;

mod live;

mod versions;

mod deployments;

mod domains;

mod tokens;

mod answers;

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use crate::model::Millis;

/// A row with its number, for lists.
struct Numbered<T>(i64, T);

impl<'r, T: FromRow<'r, SqliteRow>> FromRow<'r, SqliteRow> for Numbered<T> {
    fn from_row(row: &'r SqliteRow) -> sqlx::Result<Self> {
        Ok(Self(row.try_get("row")?, T::from_row(row)?))
    }
}

fn numbered<T>(rows: Vec<Numbered<T>>) -> Vec<(i64, T)> {
    rows.into_iter().map(|row| (row.0, row.1)).collect()
}

/// A word of a row, as the enum that it stands for.
fn word<T>(row: &SqliteRow, column: &str) -> sqlx::Result<T>
where
    T: std::str::FromStr<Err = crate::model::UnknownWord>,
{
    let word: String = row.try_get(column)?;
    word.parse().map_err(|error| decode(column, error))
}

/// A column has what the registry never writes there.
fn decode(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(error),
    }
}

fn now() -> Millis {
    // Before 1970 it is 1970.
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// What a caller allows, or has asked for, as SQLite counts.
fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
