//! Lists in parts.

use wasm_gw_registry::{Page, RegistryError, Right};

use crate::{BY, TestRegistry, app, push};

#[tokio::test]
async fn every_list_is_walked_to_its_end_once() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    for number in 0..5 {
        registry.create_tenant(&format!("t{number}")).await.unwrap();
        app(&registry, "acme", &format!("a{number}")).await;
        push(&registry, &shop, b"same").await;
        let begun = registry.begin_deployment(shop.id, "push", BY).await;
        begun.unwrap();
        let made = registry.create_token(Some(shop.tenant), "ci", Right::Read, None);
        made.await.unwrap();
    }

    /// All items, two at a time.
    macro_rules! walk {
        ($cursor:ident => $list:expr, $key:expr) => {{
            let mut found = Vec::new();
            let mut next: Option<String> = None;
            loop {
                let $cursor = next.as_deref();
                let page: Page<_> = $list.await.unwrap();
                assert!(page.items.len() <= 2);
                found.extend(page.items.into_iter().map($key));
                next = page.next;
                if next.is_none() {
                    break found;
                }
            }
        }};
    }
    let tenants = walk!(cursor => registry.tenants(cursor, 2), |tenant| tenant.name);
    assert_eq!(tenants, ["acme", "t0", "t1", "t2", "t3", "t4"]);
    let apps = walk!(cursor => registry.apps(shop.tenant, cursor, 2), |app| app.name);
    assert_eq!(apps, ["shop", "a0", "a1", "a2", "a3", "a4"]);
    let versions = walk!(cursor => registry.versions(shop.id, cursor, 2), |version| version.number);
    assert_eq!(versions, [5, 4, 3, 2, 1]);
    let deployments = walk!(cursor => registry.deployments(shop.id, cursor, 2), |one| one.id);
    assert_eq!(deployments.len(), 5);
    let tokens = walk!(cursor => registry.tokens(Some(shop.tenant), cursor, 2), |token| token.id);
    assert_eq!(tokens.len(), 5);

    // A cursor says where, and nothing more: a row that is gone does not end the walk.
    let page = registry.apps(shop.tenant, None, 2).await.unwrap();
    registry.delete_app(page.items[1].id).await.unwrap();
    let next = registry.apps(shop.tenant, page.next.as_deref(), 1).await;
    assert_eq!(next.unwrap().items[0].name, "a1");
}

#[tokio::test]
async fn a_cursor_that_is_none_is_an_error() {
    let registry = TestRegistry::new().await;
    let shop = app(&registry, "acme", "shop").await;
    app(&registry, "acme", "other").await;
    let page = registry.apps(shop.tenant, None, 1).await.unwrap();
    let cursor = page.next.unwrap();
    for (tenant, cursor) in [(shop.tenant, "2"), (shop.tenant + 1, cursor.as_str())] {
        let error = registry.apps(tenant, Some(cursor), 1).await.unwrap_err();
        assert!(matches!(error, RegistryError::Cursor), "{error:?}");
    }
}
