//! What a host serves, read at once when it starts. Changes after that it learns from whoever makes them.

use std::collections::HashMap;

use crate::error::RegistryError;
use crate::model::{App, Domain, Live, Tenant, Version};
use crate::registry::Registry;

impl Registry {
    /// All apps that are not deleted and have a current version, the oldest first, also those that are stopped. It is one
    /// query a table, however many apps there are.
    ///
    /// # Errors
    ///
    /// The database refuses.
    pub async fn all_live(&self) -> Result<Vec<Live>, RegistryError> {
        // In one transaction, so that the tables are of one moment.
        let mut moment = self.database.reader.begin().await?;
        let tenants: Vec<Tenant> = sqlx::query_as("SELECT * FROM tenants")
            .fetch_all(&mut *moment)
            .await?;
        let apps: Vec<App> = sqlx::query_as(
            "SELECT * FROM apps WHERE deleted IS NULL AND current IS NOT NULL ORDER BY id",
        )
        .fetch_all(&mut *moment)
        .await?;
        let versions: Vec<Version> = sqlx::query_as(
            "SELECT versions.* FROM apps JOIN versions ON versions.id = apps.current WHERE apps.deleted IS NULL",
        )
        .fetch_all(&mut *moment)
        .await?;
        let domains: Vec<Domain> =
            sqlx::query_as("SELECT * FROM domains WHERE verified IS NOT NULL ORDER BY seq")
                .fetch_all(&mut *moment)
                .await?;
        moment.rollback().await?;

        let tenants: HashMap<i64, String> = tenants
            .into_iter()
            .map(|tenant| (tenant.id, tenant.name))
            .collect();
        let mut versions: HashMap<i64, Version> = versions
            .into_iter()
            .map(|version| (version.app, version))
            .collect();
        let mut domains_of: HashMap<i64, Vec<Domain>> = HashMap::new();
        for domain in domains {
            domains_of.entry(domain.app).or_default().push(domain);
        }
        let live = apps.into_iter().filter_map(|app| {
            // Both are there: the rows of one moment refer to each other.
            Some(Live {
                tenant: tenants.get(&app.tenant)?.clone(),
                version: versions.remove(&app.id)?,
                domains: domains_of.remove(&app.id).unwrap_or_default(),
                app,
            })
        });
        Ok(live.collect())
    }
}
