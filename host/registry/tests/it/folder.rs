//! What folders a registry opens, and which it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use wasm_gw_registry::{Registry, RegistryError};

use crate::{CHILD, TestRegistry, child, child_dir};

#[tokio::test]
async fn a_missing_folder_is_made_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/registry");
    let registry = Registry::open(&path).await.unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    registry.close().await;
}

#[tokio::test]
async fn a_folder_that_others_may_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o720, 0o702] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = Registry::open(dir.path()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Writable(_)), "{error:?}");
        let path = dir.path().display();
        let text = format!("other users may write to {path}; chmod go-w {path}");
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    // Only root can give a folder away, and who is not root has one of root's.
    let given = std::os::unix::fs::chown(dir.path(), Some(12345), None);
    let path = given.map_or("/usr".as_ref(), |()| dir.path());
    let error = Registry::open(path).await.unwrap_err();
    assert!(matches!(error, RegistryError::Foreign(_)), "{error:?}");
    assert!(error.to_string().contains("belongs to another user"));
}

#[tokio::test]
async fn one_process_has_it_at_a_time() {
    let registry = TestRegistry::new().await;
    let path = registry.path();
    let refused = child(&[], "folder::second_process", &path)
        .status()
        .unwrap();
    assert!(refused.success());
    let again = Registry::open(&path).await.unwrap_err();
    assert!(matches!(again, RegistryError::InUse(_)), "{again:?}");

    // Although there is a clone of it.
    let clone = registry.registry.clone();
    registry.close().await;
    Registry::open(&path).await.unwrap();
    assert!(clone.tenants(None, 1).await.is_err());
}

#[tokio::test]
async fn second_process() {
    let Some(dir) = child_dir() else { return };
    let error = Registry::open(&dir).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("another process uses"), "{text} ({CHILD})");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry");
    Registry::open(&path).await.unwrap().close().await;
    let file = path.join("registry.db");
    let text = "my notes, which nobody is to overwrite\n".repeat(100);
    fs::write(&file, &text).unwrap();
    let error = Registry::open(&path).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::NoDatabase { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("registry.db"));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}
