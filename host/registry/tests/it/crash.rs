//! Processes that die in the middle of what they do, and what the next one finds.
//!
//! A child says on its standard output what was acknowledged to it, and dies at a failpoint or is killed. The parent then
//! opens the folder and compares.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use wasm_gw_registry::{DeploymentState, Digest, FAILPOINTS, Registry};

use crate::{BY, app, child, child_dir, files, new, push, upload};

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

fn acknowledged(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ACK {what}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn at_every_failpoint_nothing_acknowledged_is_lost() {
    for name in FAILPOINTS {
        let dir = tempfile::tempdir().unwrap();
        let died = child(&[], "crash::one_deployment", dir.path())
            .env("FAILPOINTS", format!("{name}=return"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&died.stdout);
        assert_eq!(died.status.signal(), Some(SIGABRT), "{name}: {said}");
        let said: Vec<_> = said
            .lines()
            .filter_map(|line| line.split_once("ACK ").map(|(_, what)| what))
            .collect();
        let said = said.as_slice();
        assert_eq!(said[..2], ["version 1", "current 1"], "{name}");

        let registry = Registry::open(dir.path()).await.unwrap();
        check(&registry, dir.path(), said, name, false).await;
        let unfinished = registry.interrupt_unfinished().await.unwrap();
        let was_begun = said.contains(&"begun");
        let live = registry.all_live().await.unwrap();
        let is_live = live[0].version.number == 2;
        assert_eq!(unfinished, usize::from(was_begun && !is_live), "{name}");

        // And it goes on from there.
        let shop = &live[0].app;
        let before = registry.versions(shop.id, None, 1).await.unwrap();
        let next = push(&registry, shop, b"next").await;
        assert_eq!(next.number, before.items[0].number + 1, "{name}");
        registry.blobs.collect(Duration::ZERO).await.unwrap();
        check(&registry, dir.path(), said, name, true).await;
    }
}

/// Each of these has a failpoint before and after it.
#[tokio::test]
async fn one_deployment() {
    let Some(dir) = child_dir() else { return };
    let registry = Registry::open(&dir).await.unwrap();
    let shop = app(&registry, "acme", "shop").await;
    let version = push(&registry, &shop, b"first").await;
    acknowledged("version 1");
    crate::deploy(&registry, "push", &version).await;
    acknowledged("current 1");
    upload(&registry, b"orphan").await.unwrap();

    wasm_gw_registry::arm();
    let deployment = registry.begin_deployment(shop.id, "push", BY).await;
    let deployment = deployment.unwrap();
    acknowledged("begun");
    let bytes = vec![2; 3 << 20];
    let (component, size) = upload(&registry, &bytes).await.unwrap();
    acknowledged(&format!("blob {component}"));
    let version = registry.add_version(shop.id, new(component, size)).await;
    let version = version.unwrap();
    acknowledged("version 2");
    let current = registry.make_current(shop.id, version.id, &deployment.id);
    current.await.unwrap();
    acknowledged("current 2");
    registry.blobs.collect(Duration::ZERO).await.unwrap();
    acknowledged("collected");
}

#[tokio::test]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut versions = 0;
    for round in 0..12 {
        let mut dying = child(&[], "crash::many_versions", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(dying.stdout.take().unwrap()).lines();
        let mut said: Vec<String> = Vec::new();
        let mut hear = |line: Option<std::io::Result<String>>| {
            let line = line?.ok()?;
            let what = line.split_once("ACK ").map(|(_, what)| what.to_owned());
            said.extend(what.clone());
            Some(what.is_some())
        };
        // Not at the same step each time, nor right after one.
        let mut count = 0;
        while count < 3 + round {
            count += usize::from(hear(lines.next()).expect("the child goes on"));
        }
        std::thread::sleep(Duration::from_micros(700 * round as u64));
        dying.kill().unwrap();
        while hear(lines.next()).is_some() {}
        assert_eq!(dying.wait().unwrap().signal(), Some(SIGKILL));

        let registry = Registry::open(dir.path()).await.unwrap();
        let said: Vec<_> = said.iter().map(String::as_str).collect();
        check(&registry, dir.path(), &said, "kill", false).await;
        let live = registry.all_live().await.unwrap();
        assert!(live[0].version.number >= versions);
        versions = live[0].version.number;
        registry.close().await;
    }
}

#[tokio::test]
async fn many_versions() {
    let Some(dir) = child_dir() else { return };
    let registry = Registry::open(&dir).await.unwrap();
    registry.interrupt_unfinished().await.unwrap();
    let shop = match registry.tenant("acme").await.unwrap() {
        Some(tenant) => registry.app(tenant.id, "shop").await.unwrap(),
        None => None,
    };
    let shop = match shop {
        Some(shop) => shop,
        None => app(&registry, "acme", "shop").await,
    };
    loop {
        let next = registry.versions(shop.id, None, 1).await.unwrap();
        let next = next.items.first().map_or(1, |version| version.number + 1);
        let bytes = format!("version {next}").repeat(10_000);
        let version = push(&registry, &shop, bytes.as_bytes()).await;
        acknowledged(&format!("version {}", version.number));
        crate::deploy(&registry, "push", &version).await;
        acknowledged(&format!("current {}", version.number));
        registry.blobs.collect(Duration::ZERO).await.unwrap();
    }
}

/// What must be so whatever happened, after what was acknowledged.
async fn check(registry: &Registry, dir: &Path, said: &[&str], name: &str, collected: bool) {
    assert_eq!(
        fs::read_dir(dir.join("blobs/staging")).unwrap().count(),
        0,
        "{name}"
    );
    let tenant = registry.tenant("acme").await.unwrap().unwrap();
    let shop = registry.app(tenant.id, "shop").await.unwrap().unwrap();
    let versions = registry.versions(shop.id, None, 200).await.unwrap().items;
    for version in &versions {
        let bytes = fs::read(registry.blobs.path(&version.component)).unwrap();
        assert_eq!(Digest::of(&bytes), version.component, "{name}");
        assert_eq!(bytes.len() as u64, version.size, "{name}");
    }
    for file in files(dir) {
        let digest = Digest::of(&fs::read(&file).unwrap());
        assert!(file.ends_with(digest.to_string()), "{name}: {file:?}");
    }
    let current = shop.current.map(|id| {
        let version = versions.iter().find(|version| version.id == id);
        version.expect("the current version is there").number
    });
    let current = current.unwrap_or(0);
    let mut last = 0;
    for what in said {
        match what.split_once(' ') {
            Some(("version", number)) => {
                let number: i64 = number.parse().unwrap();
                assert!(versions.iter().any(|version| version.number == number));
            }
            Some(("current", number)) => last = number.parse().unwrap(),
            // Until a collection it is there, whoever names it.
            Some(("blob", digest)) if !collected => {
                assert!(registry.blobs.exists(&digest.parse().unwrap()), "{name}");
            }
            _ => {}
        }
    }
    // What was acknowledged, or what was on its way then.
    assert!(current == last || current == last + 1, "{name}: {current}");
    let deployments = registry.deployments(shop.id, None, 200).await.unwrap();
    let live = deployments
        .items
        .into_iter()
        .find(|one| one.state == DeploymentState::Live);
    assert_eq!(
        live.and_then(|one| one.version).unwrap_or(0),
        current,
        "{name}"
    );
}
