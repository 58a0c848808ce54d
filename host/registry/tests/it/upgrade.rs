//! Databases of other programs: older ones of this one are brought along, newer ones and those of strangers refused.

use std::fs;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use wasm_gw_registry::{Digest, Registry, RegistryError, Right};

/// Says something to the database of a closed registry that no registry would.
async fn tell(dir: &Path, sql: &str) {
    let options = SqliteConnectOptions::new()
        .filename(dir.join("registry.db"))
        .create_if_missing(true);
    let mut database = options.connect().await.unwrap();
    let said = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database);
    said.await.unwrap();
    database.close().await.unwrap();
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_with_what_to_do() {
    let dir = folder();
    Registry::open(dir.path()).await.unwrap().close().await;
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of tomorrow', TRUE, x'00', 0)";
    tell(dir.path(), newer).await;
    let error = Registry::open(dir.path()).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Newer { found: 9999, .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("install that version again"), "{text}");
    // It is as it was for the program that it belongs to.
    tell(
        dir.path(),
        "DELETE FROM _sqlx_migrations WHERE version = 9999",
    )
    .await;
    Registry::open(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let dir = folder();
    tell(dir.path(), "CREATE TABLE recipes (name TEXT)").await;
    let error = Registry::open(dir.path()).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::NoDatabase { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("another program"), "{error}");
}

/// The dump was made when this was the newest layout, and is never made again.
#[tokio::test]
async fn layout_1_is_brought_to_the_newest() {
    let dir = folder();
    tell(dir.path(), include_str!("../fixtures/layout-1.sql")).await;
    let first = Digest::of(b"first").to_string();
    let second = Digest::of(b"second").to_string();
    for (digest, bytes) in [(first, "first"), (second, "second")] {
        let folder = dir.path().join("blobs").join(&digest[..2]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(digest), bytes).unwrap();
    }

    let registry = Registry::open(dir.path()).await.unwrap();
    let live = registry.all_live().await.unwrap();
    assert_eq!(live.len(), 1);
    let live = &live[0];
    assert_eq!(
        (live.tenant.as_str(), live.app.name.as_str()),
        ("acme", "shop")
    );
    assert_eq!((live.version.number, live.version.size), (2, 6));
    assert_eq!(live.version.component, Digest::of(b"second"));
    assert_eq!(live.domains[0].host, "shop.example.com");
    let previous = registry.previous_version(live.app.id).await.unwrap();
    assert_eq!(previous.unwrap().component, Digest::of(b"first"));
    let deployments = registry.deployments(live.app.id, None, 10).await.unwrap();
    assert_eq!(deployments.items.len(), 2);
    let tokens = registry.tokens(Some(live.app.tenant), None, 10).await;
    assert_eq!(tokens.unwrap().items[0].right, Right::Deploy);
    assert!(registry.has_operator().await.unwrap());
    let nothing = registry.blobs.collect(std::time::Duration::ZERO).await;
    assert_eq!(nothing.unwrap(), 0);
    registry
        .create_app(live.app.tenant, "other", 10)
        .await
        .unwrap();
}
