//! The tests of the registry, one binary: a folder, and what is asked of it. Some start this binary again to let it die.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on is a test that fails"
)]

mod blobs;
mod crash;
mod crowd;
mod folder;
mod full;
mod pages;
mod rows;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use wasm_gw_registry::{App, Digest, NewVersion, Registry, RegistryError, Version};

/// Who does everything here.
const BY: &str = "tok_0123456789abcdef";

/// A registry in a folder that goes with it.
struct TestRegistry {
    registry: Registry,
    dir: TempDir,
}

impl TestRegistry {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(&dir.path().join("registry")).await.unwrap();
        Self { registry, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("registry")
    }
}

impl std::ops::Deref for TestRegistry {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

/// An app of a tenant of its own.
async fn app(registry: &Registry, tenant: &str, name: &str) -> App {
    let tenant = match registry.tenant(tenant).await.unwrap() {
        Some(tenant) => tenant,
        None => registry.create_tenant(tenant).await.unwrap(),
    };
    registry.create_app(tenant.id, name, 1000).await.unwrap()
}

async fn upload(registry: &Registry, bytes: &[u8]) -> Result<(Digest, u64), RegistryError> {
    let mut upload = registry.blobs.upload().await?;
    for chunk in bytes.chunks(64 << 10) {
        upload.write(chunk.to_vec().into()).await?;
    }
    upload.finish().await
}

fn new(component: Digest, size: u64) -> NewVersion {
    NewVersion {
        component,
        size,
        config: "{}".to_owned(),
        by: BY.to_owned(),
    }
}

async fn push(registry: &Registry, app: &App, bytes: &[u8]) -> Version {
    let (component, size) = upload(registry, bytes).await.unwrap();
    let added = registry.add_version(app.id, new(component, size)).await;
    added.unwrap()
}

/// Makes a version current, in the way that this kind of deployment does.
async fn deploy(registry: &Registry, kind: &str, version: &Version) -> App {
    let deployment = registry.begin_deployment(version.app, kind, BY).await;
    let deployment = deployment.unwrap();
    let current = registry.make_current(version.app, version.id, &deployment.id);
    current.await.unwrap()
}

/// All files below a folder of blobs, staged ones too.
fn files(registry: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(registry.join("blobs")).unwrap();
    let mut found = Vec::new();
    for folder in folders {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            found.push(file.unwrap().path());
        }
    }
    found
}

/// Where the child of a test finds its registry. Without it the child is nobody's, and does nothing.
const CHILD: &str = "WASM_GW_REGISTRY_CHILD";

/// This binary again, to run one test as the child of another. What is before it runs it.
fn child(before: &[&str], test: &str, dir: &Path) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut line = before.iter().map(Into::into).collect::<Vec<_>>();
    line.push(this.into_os_string());
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, dir);
    command
}

fn child_dir() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}
