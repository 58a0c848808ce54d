//! SQLite: how it is opened, brought to the newest layout, read and written. What is in it is in `meta`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, SqlSafeStr, Sqlite, SqliteConnection, Transaction};

use crate::error::{RegistryError, code};
use crate::failpoints::point;

/// In `<dir>`; SQLite has files of its own beside it.
const FILE: &str = "registry.db";

/// The layouts, the oldest first. What is here was released, and stays as it is.
const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1, "first", include_str!("../migrations/0001_first.sql"))];

/// Of the first migration: it tells a registry from the database of another program.
const APPLICATION: i64 = 2_003_269_490;

/// Enough to read while something is being written.
const READERS: u32 = 4;

/// How long a writer waits for others. There is one connection that writes, so these are tools of an operator.
const PATIENCE: Duration = Duration::from_secs(10);

/// The database, open.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// One connection: writers wait for each other here, in the order of their coming.
    writer: SqlitePool,
    pub(crate) reader: SqlitePool,
    /// What cursors are made with.
    pub(crate) key: [u8; 32],
}

/// A change that is not made until it is committed.
pub(crate) type Change = Transaction<'static, Sqlite>;

impl Database {
    /// Opens the database of the folder, which is made when it is missing, and brings it to the newest layout.
    pub(crate) async fn open(dir: &Path) -> Result<Self, RegistryError> {
        let path = dir.join(FILE);
        let opened = Self::open_file(&path).await;
        opened.map_err(|error| of_another(&path, error))
    }

    async fn open_file(path: &Path) -> Result<Self, RegistryError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            // Acknowledged is what is on the disk.
            .synchronous(SqliteSynchronous::Full);
        let pool = || {
            SqlitePoolOptions::new()
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(Duration::from_secs(60))
                .after_release(|connection, _| Box::pin(is_fit(connection)))
        };
        // Whose it is, before a byte of it is changed.
        let look = pool()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        let known = is_ours(&look, path).await;
        look.close().await;
        known?;

        let options = options.journal_mode(SqliteJournalMode::Wal);
        let writer = pool()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        migrate(&writer, path).await?;
        let reader = pool()
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "1"))
            .await?;
        let key: Vec<u8> = sqlx::query_scalar("SELECT value FROM settings WHERE name = 'cursor'")
            .fetch_one(&reader)
            .await?;
        let key = key.try_into().map_err(|_| RegistryError::NoDatabase {
            path: path.to_owned(),
            message: "its key of cursors is not of 32 bytes".to_owned(),
        })?;
        Ok(Self {
            writer,
            reader,
            key,
        })
    }

    /// Begins a change. There is none other until it ends, and dropping it is taking it back.
    pub(crate) async fn change(&self) -> Result<Change, RegistryError> {
        // Else two that read first and write then would both have to give up.
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    pub(crate) async fn close(&self) {
        self.reader.close().await;
        // The last one writes what is in the log into the file.
        self.writer.close().await;
    }
}

/// Makes a change, between two points at which a test may end the process.
pub(crate) async fn commit(
    change: Change,
    before: &'static str,
    after: &'static str,
) -> Result<(), RegistryError> {
    point(before);
    change.commit().await?;
    point(after);
    Ok(())
}

/// Whether a connection may be used again. On a full disk SQLite takes a change back by itself, and then sqlx, which cannot
/// take it back once more, believes for ever that it goes on.
async fn is_fit(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // What was dropped is taken back when the connection comes to it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Refuses what another program has written.
async fn is_ours(pool: &SqlitePool, path: &Path) -> Result<(), RegistryError> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(pool)
        .await?;
    // The first migration may not have come to its end, and then there is nothing but the table of migrations.
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'",
    )
    .fetch_one(pool)
    .await?;
    if application == APPLICATION || (application == 0 && tables == 0) {
        return Ok(());
    }
    Err(RegistryError::NoDatabase {
        path: path.to_owned(),
        message: "it belongs to another program".to_owned(),
    })
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), RegistryError> {
    let migrations = MIGRATIONS.iter().map(|&(number, title, sql)| {
        Migration::new(
            number,
            title.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) => RegistryError::Newer {
            path: path.to_owned(),
            found,
            known: MIGRATIONS.last().map_or(0, |last| last.0),
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => RegistryError::NoDatabase {
            path: path.to_owned(),
            message: other.to_string(),
        },
    })
}

/// What SQLite says of a file that is none of its own, or is damaged.
fn of_another(path: &Path, error: RegistryError) -> RegistryError {
    const SQLITE_CORRUPT: i32 = 11;
    const SQLITE_NOTADB: i32 = 26;
    let RegistryError::Sql(error) = error else {
        return error;
    };
    match code(&error).map(|code| code & 0xff) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => RegistryError::NoDatabase {
            path: PathBuf::from(path),
            message: error.to_string(),
        },
        _ => RegistryError::Sql(error),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Registry, RegistryError};

    /// SQLite's own limit is told like a full disk, and can be set on any machine.
    #[tokio::test]
    async fn a_full_database_refuses_to_grow_and_is_read_on() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(dir.path()).await.unwrap();
        let limit = async |pages: &'static str| {
            sqlx::query(pages)
                .execute(&registry.database.writer)
                .await
                .unwrap();
        };
        limit("PRAGMA max_page_count = 60").await;
        let mut made = 0;
        let error = loop {
            match registry.create_tenant(&format!("t{made}")).await {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, RegistryError::Full(_)), "{error:?}");
        assert!(made > 0);
        let tenant = |number: i32| format!("t{number}");
        let there = registry.tenant(&tenant(made - 1)).await.unwrap();
        assert!(there.is_some());
        assert_eq!(registry.tenant(&tenant(made)).await.unwrap(), None);
        limit("PRAGMA max_page_count = 1000").await;
        registry.create_tenant(&tenant(made)).await.unwrap();
    }
}
