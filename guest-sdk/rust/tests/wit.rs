//! The copy of the interface in this package is the one of the repository.

use std::fs;
use std::path::Path;

#[test]
fn the_embedded_interface_is_the_repositorys() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = fs::read(here.join("wit/gateway.wit")).expect("it is in the package");
    // Outside the repository, as in a package from a registry, there is nothing to compare.
    if let Ok(original) = fs::read(here.join("../../wit/gateway.wit")) {
        assert!(
            copy == original,
            "copy wit/gateway.wit to guest-sdk/rust/wit/gateway.wit"
        );
    }
}
