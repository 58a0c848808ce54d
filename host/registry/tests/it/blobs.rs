//! Components on their way in and out.

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use wasm_gw_registry::{Digest, RegistryError};

use crate::{TestRegistry, app, files, new, push, upload};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn make_old(path: &std::path::Path) {
    let old = SystemTime::now() - 2 * HOUR;
    File::open(path).unwrap().set_modified(old).unwrap();
}

#[tokio::test]
async fn an_upload_is_a_file_named_by_its_digest() {
    let registry = TestRegistry::new().await;
    for size in [0, 1, 1 << 20, (3 << 20) + 7] {
        let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        let (digest, length) = upload(&registry, &bytes).await.unwrap();
        assert_eq!((digest, length), (Digest::of(&bytes), bytes.len() as u64));
        assert!(registry.blobs.exists(&digest));
        let path = registry.blobs.path(&digest);
        assert_eq!(fs::read(&path).unwrap(), bytes);
        let end = format!("blobs/{}/{digest}", &digest.to_string()[..2]);
        assert!(path.ends_with(end));
    }
    assert_eq!(files(&registry.path()).len(), 4);
    assert!(!registry.blobs.exists(&Digest::of(b"other")));
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing() {
    let registry = TestRegistry::new().await;
    let mut upload = registry.blobs.upload().await.unwrap();
    upload.write(vec![1; 3 << 20].into()).await.unwrap();
    assert_eq!(files(&registry.path()).len(), 1);
    drop(upload);
    // The file is removed by another thread.
    for _ in 0..1000 {
        if files(&registry.path()).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the file is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_uploads_at_once_are_one_file() {
    let registry = TestRegistry::new().await;
    let bytes = vec![7; 2 << 20];
    let uploads: Vec<_> = (0..8)
        .map(|_| {
            let (registry, bytes) = (registry.registry.clone(), bytes.clone());
            tokio::spawn(async move { upload(&registry, &bytes).await.unwrap().0 })
        })
        .collect();
    for upload in uploads {
        assert_eq!(upload.await.unwrap(), Digest::of(&bytes));
    }
    assert_eq!(files(&registry.path()).len(), 1);
}

#[tokio::test]
async fn a_damaged_blob_is_mended_by_the_next_upload() {
    let registry = TestRegistry::new().await;
    let (digest, _) = upload(&registry, b"whole").await.unwrap();
    fs::write(registry.blobs.path(&digest), "w").unwrap();
    upload(&registry, b"whole").await.unwrap();
    assert_eq!(fs::read(registry.blobs.path(&digest)).unwrap(), b"whole");
}

#[tokio::test]
async fn collection_takes_old_blobs_that_no_version_names() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    let named = push(&registry, &shop, b"named").await.component;
    let (orphan, _) = upload(&registry, b"orphan").await.unwrap();
    let (young, _) = upload(&registry, b"young").await.unwrap();
    make_old(&registry.blobs.path(&named));
    make_old(&registry.blobs.path(&orphan));
    let stranger = registry.path().join("blobs/00/notes.txt");
    fs::write(&stranger, "not ours").unwrap();
    let left = registry.path().join("blobs/staging/up_0#1");
    fs::write(&left, "half").unwrap();
    make_old(&left);
    make_old(&stranger);

    assert_eq!(registry.blobs.collect(HOUR).await.unwrap(), 1);
    assert!(registry.blobs.exists(&named) && registry.blobs.exists(&young));
    assert!(!registry.blobs.exists(&orphan));
    assert!(stranger.exists() && !left.exists());

    // A version that is gone names nothing.
    registry.delete_app(shop.id).await.unwrap();
    assert_eq!(registry.blobs.collect(HOUR).await.unwrap(), 0);
    assert_eq!(registry.purge_apps(i64::MAX).await.unwrap(), 1);
    assert_eq!(registry.blobs.collect(HOUR).await.unwrap(), 1);
}

#[tokio::test]
async fn an_upload_makes_a_blob_new_again() {
    let registry = TestRegistry::new().await;
    let (digest, _) = upload(&registry, b"again").await.unwrap();
    make_old(&registry.blobs.path(&digest));
    upload(&registry, b"again").await.unwrap();
    assert_eq!(registry.blobs.collect(HOUR).await.unwrap(), 0);
    assert!(registry.blobs.exists(&digest));
}

#[tokio::test]
async fn a_version_of_a_blob_that_is_not_there_is_refused() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    let (digest, size) = upload(&registry, b"here").await.unwrap();
    for (digest, size) in [(Digest::of(b"nowhere"), 7), (digest, size + 1)] {
        let refused = registry.add_version(shop.id, new(digest, size)).await;
        let error = refused.unwrap_err();
        assert!(matches!(error, RegistryError::Missing(_)), "{error:?}");
    }
    // And no number was used up.
    assert_eq!(push(&registry, &shop, b"here").await.number, 1);
}

/// Uploads, versions and the ends of both against a collection without any grace: a version may be refused, but none is
/// there without its blob.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_row_names_a_blob_that_a_collection_takes() {
    let registry = TestRegistry::new().await;
    let over = Arc::new(AtomicBool::new(false));
    let collector = {
        let (registry, over) = (registry.registry.clone(), over.clone());
        tokio::spawn(async move {
            let mut collected = 0;
            while !over.load(Ordering::Relaxed) {
                collected += registry.blobs.collect(Duration::ZERO).await.unwrap();
                tokio::task::yield_now().await;
            }
            collected
        })
    };
    let tenant = registry.create_tenant("acme").await.unwrap();
    let uploaders: Vec<_> = (0..4)
        .map(|uploader| {
            let registry = registry.registry.clone();
            tokio::spawn(async move {
                let mut kept = 0;
                for round in 0..40 {
                    let name = format!("a{uploader}-{round}");
                    let app = registry.create_app(tenant.id, &name, 1000).await.unwrap();
                    // Of all uploaders the same.
                    let bytes = vec![round % 3; 1000];
                    let (digest, size) = upload(&registry, &bytes).await.unwrap();
                    match registry.add_version(app.id, new(digest, size)).await {
                        Ok(_) => kept += 1,
                        Err(RegistryError::Missing(_)) => continue,
                        Err(error) => panic!("{error}"),
                    }
                    assert_eq!(fs::read(registry.blobs.path(&digest)).unwrap(), bytes);
                    registry.delete_app(app.id).await.unwrap();
                    registry.purge_apps(i64::MAX).await.unwrap();
                }
                kept
            })
        })
        .collect();
    for uploader in uploaders {
        uploader.await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    assert!(collector.await.unwrap() > 0, "nothing was collected");
}

/// With grace, nobody is refused: an old blob that is uploaded again is not taken while its row is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blob_that_is_uploaded_again_is_kept_for_its_row() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    let mut was_faster = 0;
    for round in 0..60u8 {
        let bytes = vec![round; 100];
        let (digest, size) = upload(&registry, &bytes).await.unwrap();
        make_old(&registry.blobs.path(&digest));
        let collector = {
            let registry = registry.registry.clone();
            tokio::spawn(async move { registry.blobs.collect(HOUR).await.unwrap() })
        };
        upload(&registry, &bytes).await.unwrap();
        let added = registry.add_version(shop.id, new(digest, size)).await;
        added.unwrap();
        was_faster += collector.await.unwrap();
        assert_eq!(fs::read(registry.blobs.path(&digest)).unwrap(), bytes);
    }
    // How often the collection took the old one is up to the machine.
    assert!(was_faster <= 60);
}
