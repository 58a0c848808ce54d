//! Routing, against a model that decodes first and compares lists.

use proptest::prelude::*;
use wasm_gw_protocol::{Mount, route};

use super::{decoded, latin1};

fn mounts() -> impl Strategy<Value = Vec<Mount>> {
    let mount = "(/(a|b|c|é|a b)){0,3}/?".prop_filter_map("no mount", |t| Mount::parse(&t).ok());
    prop::collection::vec(mount, 0..5)
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        6 => "(a|b|c|%61|%62|%C3%A9|é|a%20b)",
        2 => "(\\.|%2e|%2E){0,3}",
        1 => "(a%2Fb|%2f|%|%zz|a%2F\\.\\.)",
        1 => "[ab%./]{0,4}",
    ];
    prop::collection::vec(segment, 0..6).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// The index of the longest mount that these segments are under.
fn longest(mounts: &[Mount], segments: &[Vec<u8>]) -> Option<usize> {
    let wanted = |mount: &Mount| -> Vec<Vec<u8>> {
        mount
            .as_str()
            .split('/')
            .skip(1)
            .map(|s| s.as_bytes().to_vec())
            .collect()
    };
    let under = |mount: &Mount| segments.starts_with(&wanted(mount));
    let best = mounts
        .iter()
        .filter(|m| under(m))
        .map(|m| wanted(m).len())
        .max()?;
    mounts
        .iter()
        .position(|mount| under(mount) && wanted(mount).len() == best)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn routing_agrees_with_the_model(mounts in mounts(), path in path()) {
        let segments: Vec<Vec<u8>> = path.split('/').skip(1).map(decoded).collect();
        let mut resolved = Vec::new();
        for segment in &segments {
            match segment.as_slice() {
                b"." => {}
                b".." => {
                    resolved.pop();
                }
                _ => resolved.push(segment.clone()),
            }
        }
        let sent = longest(&mounts, &segments);
        let meant = longest(&mounts, &resolved);
        match route(mounts.iter(), &path) {
            Err(refusal) => {
                prop_assert_eq!(refusal.status.as_u16(), 400);
                prop_assert_ne!(sent, meant, "refused without need");
            }
            Ok(found) => {
                prop_assert_eq!(sent, meant, "let through");
                prop_assert_eq!(found.as_ref().map(|(index, _)| *index), sent);
                if let Some((index, split)) = found {
                    prop_assert_eq!(&split.script_name, &latin1(mounts[index].as_str().as_bytes()));
                    prop_assert!(split.path_info.is_empty() || split.path_info.starts_with('/'));
                    prop_assert_eq!(split.script_name.clone() + &split.path_info, latin1(&decoded(&path)));
                    prop_assert_eq!(mounts[index].matches(&path), Some(split));
                }
            }
        }
    }

    #[test]
    fn no_text_makes_a_mount_or_a_path_panic(text in "(?s).{0,30}", path in "(?s).{0,30}") {
        if let Ok(mount) = Mount::parse(&text) {
            let _ = mount.matches(&path);
            let _ = route([&mount].into_iter(), &path);
            // What a mount says of itself is a mount again.
            prop_assert_eq!(Mount::parse(mount.as_str()), Ok(mount.clone()));
            prop_assert!(mount.as_str().is_empty() || mount.as_str().starts_with('/'));
            prop_assert!(!mount.as_str().ends_with('/'));
        }
    }
}
