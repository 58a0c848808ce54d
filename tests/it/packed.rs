//! The files that a component brings along: a guest reads them, nobody writes them, and what is damaged is refused.

use std::io::Write;

use wasm_gw_protocol::FILES_SECTION;
use wasm_gw_runtime::{App, AppConfig, CacheConfig, CacheUse, DirGrant, Runtime, RuntimeConfig};
use wasm_gw_tests::guests::guest;
use wasm_gw_tests::{TestApp, TestServer};

/// An archive of files by their paths.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in files {
        tar.append_data(&mut header(text.len()), path, text.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap()
}

fn header(size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_mtime(1_000_000_000);
    header.set_cksum();
    header
}

/// The guest that tries what is asked for, with this archive in its last section.
fn component(archive: &[u8]) -> Vec<u8> {
    let mut component = guest("env_and_files");
    let name = FILES_SECTION.as_bytes();
    let length = 1 + name.len() + archive.len();
    component.write_all(&[0]).unwrap();
    // LEB128 in five bytes.
    for shift in [0, 7, 14, 21] {
        component.push((length >> shift & 0x7f) as u8 | 0x80);
    }
    component.push((length >> 28) as u8);
    component.push(name.len() as u8);
    component.extend_from_slice(name);
    component.extend_from_slice(archive);
    component
}

fn site() -> Vec<u8> {
    component(&archive(&[
        ("site/index.html", "<h1>it is here</h1>"),
        ("site/static/css/a.css", "body {}"),
        ("lib/x.txt", "x"),
    ]))
}

fn app(component: Vec<u8>) -> TestApp {
    TestApp::of_component("packed", component)
}

/// The line about one of the things that the guest was asked to try.
async fn tried(server: &TestServer, what: &str, argument: &str) -> String {
    let response = server.get(&format!("/?{what}={argument}")).await;
    let text = response.expect(200).text().to_owned();
    let start = format!("{what} {argument}: ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no `{start}` in {text}"))
        .to_owned()
}

#[tokio::test]
async fn each_folder_at_the_top_is_a_folder_of_the_guests() {
    let server = app(site()).serve().await;
    for (what, path, expected) in [
        ("read", "/site/index.html", r#"ok "<h1>it is here</h1>""#),
        (
            "read",
            "/site/static/../static/css/a.css",
            r#"ok "body {}""#,
        ),
        ("read", "/lib/x.txt", r#"ok "x""#),
        ("list", "/site", r#"ok ["index.html", "static"]"#),
        ("list", "/site/static/", r#"ok ["css"]"#),
        ("read", "/site/none", "error NotFound"),
        ("read", "/site/static", "error IsADirectory"),
        ("read", "/site/index.html/x", "error NotADirectory"),
        ("list", "/site/index.html", "error NotADirectory"),
    ] {
        assert_eq!(tried(&server, what, path).await, expected, "{what} {path}");
    }
}

#[tokio::test]
async fn they_can_only_be_read_and_lead_nowhere_else() {
    let server = app(site()).serve().await;
    for (what, path) in [
        ("write", "/site/index.html"),
        ("write", "/site/new"),
        ("mkdir", "/site/new"),
        ("remove", "/site/index.html"),
    ] {
        assert_eq!(
            tried(&server, what, path).await,
            "error ReadOnlyFilesystem",
            "{what} {path}"
        );
    }
    for path in [
        "/site/../../etc/passwd",
        "/etc/passwd",
        "/site/../lib/../../etc/passwd",
    ] {
        let line = tried(&server, "read", path).await;
        assert!(line.starts_with("error "), "{path}: {line}");
    }
    assert_eq!(
        tried(&server, "read", "/site/index.html").await,
        r#"ok "<h1>it is here</h1>""#
    );
    assert!(tried(&server, "write", "/tmp/x").await.starts_with("ok"));
}

#[tokio::test]
async fn a_folder_that_is_granted_takes_the_place_of_one_of_them() {
    let granted = tempfile::tempdir().unwrap();
    std::fs::write(granted.path().join("y.txt"), "granted").unwrap();
    let server = app(site())
        .app(|config| {
            config.grants.dirs = vec![DirGrant {
                host: granted.path().to_owned(),
                guest: "/lib".into(),
                read_only: true,
            }];
        })
        .serve()
        .await;
    assert_eq!(tried(&server, "list", "/lib").await, r#"ok ["y.txt"]"#);
    assert_eq!(
        tried(&server, "list", "/site").await,
        r#"ok ["index.html", "static"]"#
    );
}

fn load(runtime: &Runtime, component: &[u8]) -> Result<App, String> {
    App::load(runtime, AppConfig::new("packed"), component).map_err(|error| error.to_string())
}

#[tokio::test]
async fn other_files_are_no_other_code() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(RuntimeConfig {
        cache: Some(CacheConfig::new(folder.path())),
        ..RuntimeConfig::default()
    })
    .unwrap();
    assert_eq!(
        load(&runtime, &guest("env_and_files")).unwrap().compiled(),
        CacheUse::Stored
    );
    let changed = component(&archive(&[("site/index.html", "changed")]));
    assert_eq!(load(&runtime, &changed).unwrap().compiled(), CacheUse::Hit);
    // What is kept has no name, and goes with the app.
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    load(&runtime, &site()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), names);
}

#[tokio::test]
async fn without_a_cache_they_are_kept_in_memory() {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    let server = app(site()).in_runtime(runtime).serve().await;
    assert_eq!(tried(&server, "read", "/lib/x.txt").await, r#"ok "x""#);
}

#[test]
fn what_is_no_archive_of_files_and_folders_is_refused() {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    let check = |archive: &[u8], expected: &str| {
        let error = load(&runtime, &component(archive))
            .err()
            .unwrap_or_default();
        assert!(error.contains(expected), "`{expected}` is not in `{error}`");
    };
    let of = |change: &dyn Fn(&mut tar::Header), path: &str| {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = header(0);
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        change(&mut header);
        header.set_cksum();
        tar.append(&header, &[][..]).unwrap();
        tar.into_inner().unwrap()
    };
    let link = |header: &mut tar::Header| {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name("/etc/passwd").unwrap();
    };
    check(
        &of(&link, "site/link"),
        "something else than files and folders",
    );
    let device = |header: &mut tar::Header| header.set_entry_type(tar::EntryType::Block);
    check(
        &of(&device, "site/sda"),
        "something else than files and folders",
    );
    check(&of(&|_| {}, "../outside"), "leads out of it");
    check(&of(&|_| {}, "/etc/passwd"), "leads out of it");
    check(&of(&|_| {}, "site/\u{1f}\u{80}"), "");
    let longer = |header: &mut tar::Header| header.set_size(1 << 40);
    check(&of(&longer, "site/large"), "damaged");
    check(
        b"this is no archive at all, and far too short for one",
        "damaged",
    );
    check(&[0xff; 2048], "damaged");
    let both = archive(&[("site/x", "file"), ("site/x/y", "in it")]);
    check(&both, "a file is a folder, too");
    let names: Vec<String> = (0..65_537).map(|number| format!("f/{number}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    check(&archive(&files), "more files than 65536");
}
