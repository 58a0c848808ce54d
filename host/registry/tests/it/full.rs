//! Disks that are full: what cannot be written is said, and what is there stays and is served.
//!
//! The disk is a small one in memory, where the system lets us have it. Everywhere there is a limit to the length of files,
//! which the registry takes for the same thing. That of a full database is tested beside `database.rs`.

use std::fs;
use std::process::Command;

use wasm_gw_registry::{Registry, RegistryError};

use crate::{app, child, child_dir, deploy, files, push, upload};

#[test]
fn a_file_that_may_not_grow_is_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes or 1024, by the shell. Without the trap the process would be killed.
    let limit = "trap '' XFSZ; ulimit -f 6000; exec \"$@\"";
    let lives = child(&["sh", "-c", limit, "sh"], "full::limited", dir.path()).status();
    assert!(lives.unwrap().success());
}

#[test]
fn a_small_disk_fills_up_and_can_be_emptied() {
    let ways: [&[&str]; 2] = [
        &["unshare", "--mount"],
        &["unshare", "--user", "--map-root-user", "--mount"],
    ];
    let mount = "mount -t tmpfs -o size=16m,mode=700 tmpfs \"$WASM_GW_REGISTRY_CHILD\"";
    let dir = tempfile::tempdir().unwrap();
    let way = ways.into_iter().find(|way| {
        let tried = Command::new(way[0])
            .args(&way[1..])
            .args(["sh", "-c", mount])
            .env(crate::CHILD, dir.path())
            .output();
        tried.is_ok_and(|tried| tried.status.success())
    });
    // Where nobody may mount, there is still the test above.
    let Some(way) = way else { return };
    let then = format!("{mount} && exec \"$@\"");
    let before = [way, &["sh", "-c", &then, "sh"]].concat();
    let lives = child(&before, "full::small_disk", dir.path()).status();
    assert!(lives.unwrap().success());
}

#[tokio::test]
async fn limited() {
    let Some(dir) = child_dir() else { return };
    let registry = Registry::open(&dir).await.unwrap();
    no_room_for_a_large_one(&registry, &dir).await;
}

#[tokio::test]
async fn small_disk() {
    let Some(dir) = child_dir() else { return };
    let registry = Registry::open(&dir).await.unwrap();
    no_room_for_a_large_one(&registry, &dir).await;

    // Now there is no room for rows either.
    let filler = dir.join("filler");
    fill(&filler);
    let mut made = 0;
    let error = loop {
        match registry.create_tenant(&format!("t{made}")).await {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 100_000);
    };
    assert!(matches!(error, RegistryError::Full(_)), "{error:?}");
    let failed = upload(&registry, &[1; 100_000]).await.unwrap_err();
    assert!(matches!(failed, RegistryError::Full(_)), "{failed:?}");
    assert_eq!(registry.all_live().await.unwrap().len(), 1);
    if made > 0 {
        let last = format!("t{}", made - 1);
        assert!(registry.tenant(&last).await.unwrap().is_some());
    }
    assert!(
        registry
            .tenant(&format!("t{made}"))
            .await
            .unwrap()
            .is_none()
    );

    // However often it was tried.
    for _ in 0..3 {
        let error = registry.create_tenant("more").await.unwrap_err();
        assert!(matches!(error, RegistryError::Full(_)), "{error:?}");
    }

    fs::remove_file(&filler).unwrap();
    registry.create_tenant("after").await.unwrap();
    upload(&registry, &[1; 100_000]).await.unwrap();
    registry.close().await;
    let registry = Registry::open(&dir).await.unwrap();
    assert_eq!(registry.all_live().await.unwrap().len(), 1);
}

fn fill(path: &std::path::Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
}

async fn no_room_for_a_large_one(registry: &Registry, dir: &std::path::Path) {
    let shop = app(registry, "acme", "shop").await;
    let version = push(registry, &shop, b"served").await;
    deploy(registry, "push", &version).await;
    let error = upload(registry, &vec![1; 32 << 20]).await.unwrap_err();
    assert!(matches!(error, RegistryError::Full(_)), "{error:?}");
    assert!(error.to_string().contains("no room"), "{error}");

    for _ in 0..1000 {
        if files(dir).len() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(files(dir), [registry.blobs.path(&version.component)]);
    let live = registry.all_live().await.unwrap();
    assert_eq!(live[0].version, version);
    assert_eq!(push(registry, &shop, b"a small one").await.number, 2);
}
