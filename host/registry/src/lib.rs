//! What a host of wasm-gw remembers: rows in SQLite, components in a folder.
//!
//! A [`Registry`] is a folder that one process at a time has open. Its rows are tenants, their apps, the versions of these,
//! and who may do what; a component is a blob, a file that is named by its SHA-256. The order of writes is what makes it
//! safe to die at any moment: a blob is whole and on the disk before it has its name, it has its name before a row may say
//! so, and a change is acknowledged when its transaction is on the disk.
//!
//! It knows no WebAssembly and no HTTP: what a version's config says, and what a token may do, is for the caller to judge.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = &folder.path().join("registry");
//! use wasm_gw_registry::{NewVersion, Registry};
//!
//! let registry = Registry::open(folder).await?;
//! let tenant = registry.create_tenant("acme").await?;
//! let app = registry.create_app(tenant.id, "shop", 100).await?;
//!
//! let mut upload = registry.blobs.upload().await?;
//! upload.write((&b"\0asm"[..]).into()).await?;
//! let (component, size) = upload.finish().await?;
//!
//! let deployment = registry.begin_deployment(app.id, "push", "tok_0123456789abcdef").await?;
//! let by = deployment.by.clone();
//! let new = NewVersion { component, size, config: "{}".to_owned(), by };
//! let version = registry.add_version(app.id, new).await?;
//! let app = registry.make_current(app.id, version.id, &deployment.id).await?;
//! assert_eq!(app.current, Some(version.id));
//! registry.close().await;
//! # Ok(())
//! # }
//! ```

// In suggested reading order; a blank line keeps rustfmt from sorting.
mod model;

mod name;

mod digest;

mod registry;

mod blobs;

mod meta;

mod page;

mod database;

mod folder;

mod random;

mod failpoints;

mod error;

pub use self::blobs::{Blobs, Upload};
pub use self::digest::{BadDigest, Digest};
pub use self::error::RegistryError;
pub use self::failpoints::FAILPOINTS;
#[cfg(feature = "failpoints")]
pub use self::failpoints::arm;
pub use self::model::{
    App, Deployment, DeploymentState, Domain, Live, Millis, NewVersion, Remembered, Right, Tenant,
    Token, UnknownWord, Version,
};
pub use self::name::{MAX_NAME, NameError, check_name};
pub use self::page::{MAX_LIMIT, Page};
pub use self::random::Secret;
pub use self::registry::Registry;
