//! How long a host with 10,000 apps waits for its registry when it starts. Not a test: figures are of a machine.
//!
//! `cargo run --release -p wasm-gw-registry --example all_live`

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use wasm_gw_registry::Registry;

/// Each a tenant's, with one version that is current; every tenth has a domain.
const APPS: usize = 10_000;

/// Row by row the registry would make sure of each, which is not what is measured.
const ROWS: &str = "
    BEGIN;
    CREATE TEMP TABLE numbers AS
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)
      SELECT n FROM numbers;
    INSERT INTO tenants (name, created) SELECT 't' || n, n FROM numbers WHERE n <= 1000;
    INSERT INTO apps (tenant, name, created, label) SELECT 1 + n % 1000, 'a' || n, n, 'a' || n FROM numbers;
    INSERT INTO versions (app, number, component, size, config, created, made_by)
      SELECT n, 1, randomblob(32), 100000, '{\"env\":{\"A\":\"b\"}}', n, 'tok_0123456789abcdef' FROM numbers;
    UPDATE apps SET current = id;
    INSERT INTO domains (id, tenant, app, host, path, challenge, verified, created)
      SELECT 'dom_' || n, 1 + n % 1000, n, 'a' || n || '.example', '', 'c', n, n FROM numbers WHERE n % 10 = 0;
    COMMIT;";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    Registry::open(dir.path()).await?.close().await;
    fill(dir.path()).await?;

    let mut out = std::io::stdout().lock();
    let begin = Instant::now();
    let registry = Registry::open(dir.path()).await?;
    writeln!(out, "open      {:>8.1?}", begin.elapsed())?;
    for _ in 0..5 {
        let begin = Instant::now();
        let live = registry.all_live().await?;
        let took = begin.elapsed();
        assert_eq!(live.len(), APPS);
        writeln!(out, "all_live  {took:>8.1?}")?;
    }
    Ok(())
}

async fn fill(dir: &Path) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new().filename(dir.join("registry.db"));
    let mut database = options.connect().await?;
    sqlx::raw_sql(ROWS).execute(&mut database).await?;
    database.close().await
}
