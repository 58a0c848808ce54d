//! Many at once.

use crate::{BY, TestRegistry, deploy, new, upload};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_that_deploy_at_once_all_succeed() {
    let registry = TestRegistry::new().await;
    let tenant = registry.create_tenant("acme").await.unwrap();
    let shared = registry.create_app(tenant.id, "shared", 100).await.unwrap();
    let tasks: Vec<_> = (0..50u8)
        .map(|number| {
            let registry = registry.registry.clone();
            tokio::spawn(async move {
                let name = format!("a{number}");
                let app = registry.create_app(tenant.id, &name, 100).await.unwrap();
                let (component, size) = upload(&registry, &[number; 100]).await.unwrap();
                for app_id in [app.id, shared.id] {
                    let added = registry.add_version(app_id, new(component, size)).await;
                    let version = added.unwrap();
                    let current = deploy(&registry, "push", &version).await;
                    assert_eq!(current.current, Some(version.id));
                }
                assert!(registry.app(tenant.id, &name).await.unwrap().is_some());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let live = registry.all_live().await.unwrap();
    assert_eq!(live.len(), 51);
    let versions = registry.versions(shared.id, None, 200).await.unwrap().items;
    let numbers: Vec<_> = versions.iter().map(|version| version.number).collect();
    assert_eq!(numbers, (1..=50).rev().collect::<Vec<_>>());
    let of_shared = live.iter().find(|live| live.app.id == shared.id).unwrap();
    assert_eq!(of_shared.app.revision, 51);
}

/// A client that leaves in the middle of a change does not keep others from theirs.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_change_is_no_change_and_holds_up_nobody() {
    let registry = TestRegistry::new().await;
    let shop = crate::app(&registry, "acme", "shop").await;
    for wait in 0..40 {
        let begun = registry.begin_deployment(shop.id, "push", BY);
        let soon = std::time::Duration::from_micros(wait * 20);
        let _ = tokio::time::timeout(soon, begun).await;
    }
    registry.set_stopped(shop.id, true).await.unwrap();
    let begun = registry.deployments(shop.id, None, 200).await.unwrap();
    assert!(begun.items.iter().all(|one| one.finished.is_none()));
}
