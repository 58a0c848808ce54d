//! What one may ask of each table, and what is refused.

use wasm_gw_registry::{
    DeploymentState, Digest, Millis, NameError, Registry, RegistryError, Right,
};

use crate::{BY, TestRegistry, app, deploy, push};

fn is_taken<T: std::fmt::Debug>(result: Result<T, RegistryError>) -> bool {
    matches!(result, Err(RegistryError::Taken(_)))
}

fn is_missing<T: std::fmt::Debug>(result: Result<T, RegistryError>) -> bool {
    matches!(result, Err(RegistryError::Missing(_)))
}

#[tokio::test]
async fn a_tenant_is_made_once_and_deleted_when_it_has_nothing() {
    let registry = TestRegistry::new().await;
    let tenant = registry.create_tenant("acme").await.unwrap();
    assert!(is_taken(registry.create_tenant("acme").await));
    let bad = registry.create_tenant("Acme").await;
    assert!(matches!(
        bad,
        Err(RegistryError::Name(NameError::Character('A')))
    ));
    assert_eq!(registry.tenant("acme").await.unwrap(), Some(tenant.clone()));

    let shop = app(&registry, "acme", "shop").await;
    let version = push(&registry, &shop, b"one").await;
    deploy(&registry, "push", &version).await;
    let refused = registry.delete_tenant(tenant.id).await;
    assert!(matches!(refused, Err(RegistryError::NotEmpty)));
    registry.delete_app(shop.id).await.unwrap();
    let (token, _) = registry
        .create_token(Some(tenant.id), "ci", Right::Deploy, None)
        .await
        .unwrap();
    let request = Digest::of(b"");
    let kept = registry.remember(&token.id, "k", &request, 200, b"");
    kept.await.unwrap();
    registry.delete_tenant(tenant.id).await.unwrap();
    assert_eq!(registry.tenant("acme").await.unwrap(), None);
    assert!(is_missing(registry.delete_tenant(tenant.id).await));
    assert_eq!(registry.recall(&token.id, "k").await.unwrap(), None);
}

#[tokio::test]
async fn apps_are_counted_and_their_names_kept_until_they_are_purged() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    let limited = registry.create_app(shop.tenant, "other", 1).await;
    assert!(matches!(limited, Err(RegistryError::Limit { most: 1, .. })));
    assert!(is_taken(registry.create_app(shop.tenant, "shop", 9).await));
    assert!(is_missing(registry.create_app(99, "shop", 9).await));

    let stopped = registry.set_stopped(shop.id, true).await.unwrap();
    assert_eq!((stopped.stopped, stopped.revision), (true, 2));
    let again = registry.set_stopped(shop.id, true).await.unwrap();
    assert_eq!(again.revision, 2);

    let deleted = registry.delete_app(shop.id).await.unwrap();
    assert!(deleted.deleted.is_some());
    assert!(is_missing(registry.delete_app(shop.id).await));
    assert!(is_missing(registry.set_stopped(shop.id, false).await));
    assert!(is_missing(
        registry.begin_deployment(shop.id, "push", BY).await
    ));
    assert!(
        registry
            .apps(shop.tenant, None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let text = registry
        .create_app(shop.tenant, "shop", 9)
        .await
        .unwrap_err();
    assert!(text.to_string().contains("was deleted"), "{text}");
    assert_eq!(registry.purge_apps(0).await.unwrap(), 0);
    let restored = registry.restore_app(shop.id).await.unwrap();
    assert_eq!((restored.deleted, restored.revision), (None, 4));
    assert!(is_missing(registry.restore_app(shop.id).await));

    let version = push(&registry, &shop, b"one").await;
    deploy(&registry, "push", &version).await;
    registry.delete_app(shop.id).await.unwrap();
    assert_eq!(registry.purge_apps(Millis::MAX).await.unwrap(), 1);
    assert_eq!(registry.app_by_id(shop.id).await.unwrap(), None);
    assert_eq!(registry.version_by_id(version.id).await.unwrap(), None);
    registry.create_app(shop.tenant, "shop", 1).await.unwrap();
}

#[tokio::test]
async fn no_two_apps_have_one_label() {
    let registry = TestRegistry::new().await;
    let long = "a".repeat(40);
    for (tenant, name, label) in [
        ("acme", "shop", "shop".to_owned()),
        ("other", "shop", "shop--other".to_owned()),
        ("acme", &long, long.clone()),
        (&long, &long, format!("{long}---3")),
    ] {
        let app = app(&registry, tenant, name).await;
        assert_eq!(app.label, label);
        assert!(app.label.len() <= 63);
    }
    // A deleted app has its label still; a purged one has not.
    let shop = app(&registry, "other", "blog").await;
    registry.delete_app(shop.id).await.unwrap();
    assert_eq!(app(&registry, "acme", "blog").await.label, "blog--acme");
    registry.purge_apps(Millis::MAX).await.unwrap();
    assert_eq!(app(&registry, "third", "blog").await.label, "blog");
}

async fn previous(registry: &Registry, app: i64) -> Option<i64> {
    let version = registry.previous_version(app).await.unwrap();
    version.map(|version| version.number)
}

#[tokio::test]
async fn a_rollback_goes_back_one_by_one() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    let mut versions = Vec::new();
    for number in 1..=3 {
        let version = push(&registry, &shop, &[number]).await;
        let current = deploy(&registry, "push", &version).await;
        assert_eq!(current.current, Some(version.id));
        versions.push(version);
    }
    assert_eq!(previous(&registry, shop.id).await, Some(2));
    deploy(&registry, "rollback", &versions[1]).await;
    assert_eq!(previous(&registry, shop.id).await, Some(1));
    deploy(&registry, "rollback", &versions[0]).await;
    assert_eq!(previous(&registry, shop.id).await, None);

    // Forward again, and back to where it came from.
    deploy(&registry, "promote", &versions[2]).await;
    assert_eq!(previous(&registry, shop.id).await, Some(1));
    // The same once more is no step.
    deploy(&registry, "promote", &versions[2]).await;
    assert_eq!(previous(&registry, shop.id).await, Some(1));
    let app = registry.app_by_id(shop.id).await.unwrap().unwrap();
    assert_eq!(app.revision, 8);
}

#[tokio::test]
async fn pruning_spares_what_is_served_and_what_was_before_it() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    let mut versions = Vec::new();
    for number in 1..=6 {
        versions.push(push(&registry, &shop, &[number]).await);
    }
    deploy(&registry, "push", &versions[0]).await;
    deploy(&registry, "promote", &versions[1]).await;
    let deployment = registry.begin_deployment(shop.id, "promote", BY).await;
    let deployment = deployment.unwrap();
    let of = registry.set_deployment_version(&deployment.id, 3).await;
    assert_eq!(of.unwrap().version, Some(3));
    assert!(is_missing(
        registry.set_deployment_version(&deployment.id, 9).await
    ));

    assert_eq!(registry.prune_versions(shop.id, 1).await.unwrap(), 2);
    let left = registry.versions(shop.id, None, 9).await.unwrap().items;
    let left: Vec<_> = left.into_iter().map(|version| version.number).collect();
    assert_eq!(left, [6, 3, 2, 1]);
    assert_eq!(registry.version(shop.id, 4).await.unwrap(), None);

    // A number is not given again, even that of the highest.
    let current = versions[2].id;
    registry
        .make_current(shop.id, current, &deployment.id)
        .await
        .unwrap();
    assert_eq!(registry.prune_versions(shop.id, 0).await.unwrap(), 2);
    assert_eq!(push(&registry, &shop, b"7").await.number, 7);
}

#[tokio::test]
async fn a_deployment_ends_once() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    let other = app(&registry, "acme", "other").await;
    let version = push(&registry, &shop, b"one").await;
    let begin = || registry.begin_deployment(shop.id, "push", BY);
    let one = begin().await.unwrap();
    assert!(one.id.starts_with("dep_") && one.id.len() == 20);
    assert_eq!((one.state, one.finished), (DeploymentState::Queued, None));
    let advanced = registry.advance(&one.id, DeploymentState::Compiling).await;
    assert_eq!(advanced.unwrap().state, DeploymentState::Compiling);
    let elsewhere = registry.make_current(other.id, version.id, &one.id).await;
    assert!(is_missing(elsewhere));
    let failed = registry.fail(&one.id, "{}").await.unwrap();
    assert_eq!(failed.problem.as_deref(), Some("{}"));
    assert!(failed.finished.is_some());
    for result in [
        registry
            .advance(&one.id, DeploymentState::Probing)
            .await
            .map(drop),
        registry.fail(&one.id, "{}").await.map(drop),
        registry
            .make_current(shop.id, version.id, &one.id)
            .await
            .map(drop),
    ] {
        assert!(matches!(result, Err(RegistryError::Finished)), "{result:?}");
    }
    assert!(is_missing(registry.fail("dep_0", "{}").await));

    let two = begin().await.unwrap();
    assert_eq!(registry.interrupt_unfinished().await.unwrap(), 1);
    let two = registry
        .deployment(shop.id, &two.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(two.state, DeploymentState::Interrupted);
    assert_eq!(registry.deployment(other.id, &two.id).await.unwrap(), None);

    for _ in 0..101 {
        let id = begin().await.unwrap().id;
        registry
            .advance(&id, DeploymentState::Failed)
            .await
            .unwrap();
    }
    let kept = registry.deployments(shop.id, None, 200).await.unwrap();
    assert_eq!(kept.items.len(), 100);
}

#[tokio::test]
async fn a_host_belongs_to_who_proves_it_first() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    let blog = app(&registry, "acme", "blog").await;
    let rival = app(&registry, "rival", "shop").await;
    let claim = async |app: &wasm_gw_registry::App, path: &str| {
        let claimed = registry.claim_domain(app.tenant, app.id, "x.example", path, 2);
        claimed.await
    };
    let ours = claim(&shop, "").await.unwrap();
    let theirs = claim(&rival, "/a").await.unwrap();
    assert_ne!(ours.challenge, theirs.challenge);
    assert!(is_taken(claim(&shop, "").await));
    let of_another = registry
        .claim_domain(rival.tenant, shop.id, "y", "", 2)
        .await;
    assert!(is_missing(of_another));

    let verified = registry.verify_domain(&ours.id).await.unwrap();
    assert!(verified.verified.is_some());
    let again = registry.verify_domain(&ours.id).await.unwrap();
    assert_eq!(again, verified);
    assert!(is_taken(registry.verify_domain(&theirs.id).await));
    let same_place = claim(&blog, "").await.unwrap();
    assert!(is_taken(registry.verify_domain(&same_place.id).await));
    let beside = claim(&blog, "/blog").await.unwrap();
    registry.verify_domain(&beside.id).await.unwrap();
    let limited = claim(&blog, "/c").await;
    assert!(matches!(limited, Err(RegistryError::Limit { most: 2, .. })));

    assert_eq!(registry.domain(rival.tenant, &ours.id).await.unwrap(), None);
    assert_eq!(registry.domains(blog.id).await.unwrap().len(), 2);
    let version = push(&registry, &blog, b"one").await;
    deploy(&registry, "push", &version).await;
    let live = registry.all_live().await.unwrap();
    let paths: Vec<_> = live[0]
        .domains
        .iter()
        .map(|one| one.path.as_str())
        .collect();
    assert_eq!(paths, ["/blog"]);

    registry.delete_domain(&beside.id).await.unwrap();
    registry.delete_domain(&ours.id).await.unwrap();
    assert!(is_missing(registry.delete_domain(&ours.id).await));
    registry.verify_domain(&theirs.id).await.unwrap();
}

#[tokio::test]
async fn a_token_is_found_by_its_secret_which_is_nowhere() {
    let registry = TestRegistry::new().await;
    let tenant = registry.create_tenant("acme").await.unwrap();
    assert!(!registry.has_operator().await.unwrap());
    let operator = registry
        .create_token(None, "root", Right::Admin, None)
        .await;
    let (operator, _) = operator.unwrap();
    assert!(registry.has_operator().await.unwrap());
    let of = Some(tenant.id);
    let made = registry
        .create_token(of, "ci", Right::Deploy, Some(1))
        .await;
    let (token, secret) = made.unwrap();
    assert!(is_missing(
        registry
            .create_token(Some(9), "ci", Right::Read, None)
            .await
    ));
    assert!(secret.as_str().starts_with("wgw_"));
    // Also expired, as this one is.
    let found = registry.token_by_secret(secret.as_str()).await.unwrap();
    assert_eq!(found, Some(token.clone()));
    assert_eq!(registry.token_by_secret("wgw_").await.unwrap(), None);

    registry.touch_token(&token.id).await.unwrap();
    let used = |page: wasm_gw_registry::Page<wasm_gw_registry::Token>| page.items[0].last_used;
    let first = used(registry.tokens(of, None, 9).await.unwrap());
    assert!(first.is_some());
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    registry.touch_token(&token.id).await.unwrap();
    assert_eq!(used(registry.tokens(of, None, 9).await.unwrap()), first);

    assert!(is_missing(registry.revoke_token(None, &token.id).await));
    assert!(is_missing(registry.revoke_token(of, &operator.id).await));
    let revoked = registry.revoke_token(of, &token.id).await.unwrap();
    assert!(revoked.revoked.is_some());
    assert_eq!(registry.revoke_token(of, &token.id).await.unwrap(), revoked);
    registry.revoke_token(None, &operator.id).await.unwrap();
    assert!(!registry.has_operator().await.unwrap());

    registry.close().await;
    for file in ["registry.db", "registry.db-wal"] {
        let bytes = std::fs::read(registry.path().join(file)).unwrap_or_default();
        let secret = secret.as_str().as_bytes();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
}

#[tokio::test]
async fn an_answer_is_remembered_once() {
    let registry = TestRegistry::new().await;
    let made = registry
        .create_token(None, "root", Right::Admin, None)
        .await;
    let token = made.unwrap().0.id;
    let request = Digest::of(b"request");
    let remember = || registry.remember(&token, "key", &request, 201, b"{}");
    remember().await.unwrap();
    assert!(is_taken(remember().await));
    let nobody = registry.remember("tok_0", "key", &request, 201, b"{}");
    assert!(is_missing(nobody.await));
    let recalled = registry.recall(&token, "key").await.unwrap().unwrap();
    assert_eq!((recalled.request, recalled.status), (request, 201));
    assert_eq!(recalled.body, b"{}");
    assert_eq!(registry.recall(&token, "other").await.unwrap(), None);
    assert_eq!(registry.forget_old(0).await.unwrap(), 0);
    assert_eq!(registry.forget_old(Millis::MAX).await.unwrap(), 1);
    assert_eq!(registry.recall(&token, "key").await.unwrap(), None);
}
