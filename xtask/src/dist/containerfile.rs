//! The Containerfile, held against the rest of the checkout. Nothing here builds it.

use crate::shell::root;

use super::tree::read;

/// Its instructions: the first word, and the rest.
fn instructions() -> Vec<(String, String)> {
    let text = read("packaging/Containerfile").unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let split = lines.filter_map(|line| line.split_once(' '));
    split.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn all(name: &str) -> Vec<String> {
    let mut of = instructions();
    of.retain(|(instruction, _)| instruction == name);
    of.into_iter().map(|(_, rest)| rest).collect()
}

fn one(name: &str) -> String {
    let mut all = all(name);
    assert_eq!(all.len(), 1, "{name}: {all:?}");
    all.remove(0)
}

#[test]
fn it_builds_with_the_rust_that_the_workspace_asks_for() {
    let manifest = read("Cargo.toml").unwrap();
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap();
    let image = format!("rust:{}-slim-bookworm AS build", version.trim_matches('"'));
    let from = all("FROM");
    assert_eq!(from.first(), Some(&image));
    // The same Debian: another one's C library may be older than what was linked.
    assert_eq!(
        from.get(1).map(String::as_str),
        Some("debian:bookworm-slim")
    );
    assert_eq!(from.len(), 2);
}

#[test]
fn what_it_copies_is_there() {
    let built = all("RUN");
    let build = built
        .iter()
        .find(|run| run.contains("cargo build"))
        .unwrap();
    assert!(
        build.contains("--release --locked --package wasm-gw "),
        "{build}"
    );
    for copy in all("COPY") {
        let mut words: Vec<&str> = copy.split_whitespace().collect();
        let to = words.pop().unwrap();
        if words.first() == Some(&"--from=build") {
            let is_known =
                words[1] == "/src/target/release/wasm-gw" || words.last() == Some(&"/cache");
            assert!(is_known, "{copy}: the first stage makes no such file");
            continue;
        }
        for from in words {
            assert!(root().join(from).exists(), "{copy}: there is no {from}");
        }
        assert!(!to.is_empty());
    }
}

#[test]
fn it_runs_as_nobody_in_particular_and_listens_where_it_says() {
    let user = one("USER");
    let (user, group) = user.split_once(':').unwrap();
    for number in [user, group] {
        assert!(number.parse::<u32>().unwrap() > 999, "{number}");
    }
    assert_eq!(one("ENTRYPOINT"), "[\"wasm-gw\"]");
    assert_eq!(one("STOPSIGNAL"), "SIGTERM");
    let command: Vec<String> = serde_json::from_str(&one("CMD")).unwrap();
    let port = one("EXPOSE");
    assert_eq!(command.first().map(String::as_str), Some("serve"));
    assert_eq!(command.last(), Some(&format!("0.0.0.0:{port}")));
    // The options that it names are those that there are.
    let options = read("host/cli/src/options.rs").unwrap();
    for option in command.iter().filter_map(|word| word.strip_prefix("--")) {
        assert!(
            options.contains(&format!("{}:", option.replace('-', "_"))),
            "{option}"
        );
    }
    // Compiled code is kept where this user may write.
    assert_eq!(one("ENV"), "XDG_CACHE_HOME=/var/cache");
}

#[test]
fn the_build_gets_nothing_that_git_ignores() {
    let ignored = read(".dockerignore").unwrap();
    for line in read(".gitignore").unwrap().lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // A path without a slash in front is one anywhere, for git.
        let anywhere = format!("**/{line}");
        let expected = line.strip_prefix('/').unwrap_or(&anywhere);
        assert!(ignored.lines().any(|line| line == expected), "{expected}");
    }
}
