//! `--static`: files of a folder beside the applications, and no way out of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use tempfile::TempDir;
use wasm_gw_tests::command::{Process, output, wasm_gw};
use wasm_gw_tests::{Client, Response};

/// A folder of files, beside one of secrets.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("files");
    let secrets = dir.path().join("secrets");
    fs::create_dir_all(files.join("sub/.git")).unwrap();
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("key"), "secret").unwrap();
    for (name, text) in [
        ("index.html", "<p>index</p>"),
        ("style.css", "p { color: red }"),
        ("script.js", "let a = 1;"),
        ("script.js.br", "as brotli"),
        ("script.js.gz", "as gzip"),
        ("caf\u{e9} 1.txt", "0123456789"),
        ("none.zzz", "bytes"),
        (".env", "secret"),
        ("sub/.git/config", "secret"),
        ("sub/index.html", "<p>sub</p>"),
    ] {
        fs::write(files.join(name), text).unwrap();
    }
    symlink("style.css", files.join("inside.css")).unwrap();
    symlink("../secrets/key", files.join("outside")).unwrap();
    symlink("../secrets", files.join("outside-folder")).unwrap();
    symlink(secrets.join("key"), files.join("absolute")).unwrap();
    symlink("/proc/self/environ", files.join("proc")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, files.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    dir
}

/// A server of these files at `/assets`, and of `hello` at all else.
async fn server(dir: &TempDir) -> Process {
    let files = format!("/assets={}", dir.path().join("files").display());
    Process::of(&["hello.wasm", "--static", &files]).await
}

async fn ask(server: &Process, method: &str, target: &str, fields: &str) -> Response {
    let mut client = Client::connect(server.address()).await;
    client
        .send(format!(
            "{method} {target} HTTP/1.1\r\nHost: t\r\n{fields}\r\n"
        ))
        .await;
    client.response(method).await
}

#[tokio::test]
async fn files_are_served_and_all_else_is_the_app_s() {
    let dir = folder();
    let server = server(&dir).await;
    assert!(
        server.stderr().contains(" at /assets\n"),
        "{}",
        server.stderr()
    );
    for (target, content_type, text) in [
        ("/assets/style.css", "text/css", "p { color: red }"),
        ("/assets/style.css?v=2", "text/css", "p { color: red }"),
        ("/%61ssets/style.css", "text/css", "p { color: red }"),
        ("/assets/inside.css", "text/css", "p { color: red }"),
        ("/assets/", "text/html", "<p>index</p>"),
        ("/assets/sub/", "text/html", "<p>sub</p>"),
        ("/assets/caf%C3%A9%201.txt", "text/plain", "0123456789"),
        ("/assets/none.zzz", "application/octet-stream", "bytes"),
    ] {
        let response = ask(&server, "GET", target, "").await;
        assert_eq!(response.expect(200).text(), text, "{target}");
        assert_eq!(
            response.header("content-type"),
            Some(content_type),
            "{target}"
        );
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert!(response.header("last-modified").is_some(), "{target}");
        assert!(response.header("etag").is_some(), "{target}");
        let head = ask(&server, "HEAD", target, "").await;
        assert_eq!(
            head.expect(200).header("content-length"),
            response.header("content-length")
        );
    }
    for target in ["/", "/assetsX/style.css", "/Assets/style.css", "/style.css"] {
        let response = ask(&server, "GET", target, "").await;
        assert_eq!(response.expect(200).text(), "hello, world\n", "{target}");
    }
    for (target, location) in [
        ("/assets", "/assets/"),
        ("/assets?a=b", "/assets/?a=b"),
        ("/assets/sub", "/assets/sub/"),
        ("/assets//sub", "/assets/sub/"),
    ] {
        let moved = ask(&server, "GET", target, "").await;
        assert_eq!(moved.expect(307).header("location"), Some(location));
    }
    let moved = ask(&server, "GET", "/assets/sub?a=b", "").await;
    assert_eq!(
        moved.expect(307).header("location"),
        Some("/assets/sub/?a=b")
    );
}

#[tokio::test]
async fn there_is_no_way_to_what_is_not_for_the_public() {
    let dir = folder();
    let server = server(&dir).await;
    for target in [
        "/assets/none",
        "/assets/none/",
        "/assets/style.css/",
        "/assets/style.css/x",
        "/assets/.env",
        "/assets/%2eenv",
        "/assets/sub/.git/config",
        "/assets/sub/%2Egit/config",
        "/assets/..%2fsecrets/key",
        "/assets/..%2Fsecrets%2Fkey",
        "/assets/%2e%2e%2fsecrets%2fkey",
        "/assets/sub%2findex.html",
        "/assets/..%5csecrets%5ckey",
        "/assets/outside",
        "/assets/outside-folder/key",
        "/assets/absolute",
        "/assets/proc",
        "/assets/pipe",
        "/assets//etc/passwd",
        "/assets///etc/passwd",
        "/assets/%FF%FE",
        "/assets/STYLE.CSS",
    ] {
        let response = ask(&server, "GET", target, "").await;
        let text = response.expect(404).text();
        assert!(text.contains(response.id()), "{target}: {text}");
        assert!(!text.contains("secret"), "{target}: {text}");
    }
    for target in [
        "/assets/../secrets/key",
        "/assets/%2e%2e/secrets/key",
        "/assets/sub/../../secrets/key",
        "/x/../assets/style.css",
        "/assets/a%00b",
    ] {
        ask(&server, "GET", target, "").await.expect(400);
    }
    let long = format!("/assets/{}", "x".repeat(4000));
    ask(&server, "GET", &long, "").await.expect(404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let response = ask(
            &server,
            method,
            "/assets/style.css",
            "content-length: 0\r\n",
        )
        .await;
        assert_eq!(
            response.expect(405).header("allow"),
            Some("GET, HEAD"),
            "{method}"
        );
    }
}

#[tokio::test]
async fn parts_conditions_and_codings_are_as_http_has_them() {
    let dir = folder();
    let server = server(&dir).await;
    let target = "/assets/caf%C3%A9%201.txt";
    let get = async |fields: &str| ask(&server, "GET", target, fields).await;
    let whole = get("").await;
    let etag = whole.header("etag").unwrap().to_owned();
    let modified = whole.header("last-modified").unwrap().to_owned();

    for (range, content_range, text) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
    ] {
        let part = get(&format!("range: {range}\r\n")).await;
        assert_eq!(part.expect(206).text(), text, "{range}");
        assert_eq!(part.header("content-range"), Some(content_range));
    }
    let beyond = get("range: bytes=10-\r\n").await;
    assert_eq!(
        beyond.expect(416).header("content-range"),
        Some("bytes */10")
    );
    for fields in [
        "range: bytes=0-1,4-5\r\n",
        "range: lines=1-2\r\n",
        "range: bytes=2-4\r\nif-range: \"old\"\r\n",
    ] {
        assert_eq!(
            get(fields).await.expect(200).text(),
            "0123456789",
            "{fields}"
        );
    }
    let head = ask(&server, "HEAD", target, "range: bytes=2-4\r\n").await;
    assert_eq!(head.expect(200).header("content-length"), Some("10"));

    for fields in [
        format!("if-none-match: {etag}\r\n"),
        "if-none-match: *\r\n".to_owned(),
        format!("if-modified-since: {modified}\r\n"),
    ] {
        let same = get(&fields).await;
        assert_eq!(same.expect(304).header("etag"), Some(&*etag), "{fields}");
        assert_eq!(same.text(), "");
        assert_eq!(same.header("vary"), Some("accept-encoding"));
    }
    get("if-none-match: \"other\"\r\n").await.expect(200);
    get("if-match: \"other\"\r\n").await.expect(412);

    let script = async |fields: &str| ask(&server, "GET", "/assets/script.js", fields).await;
    for (accepted, coding, text) in [
        ("gzip", Some("gzip"), "as gzip"),
        ("gzip, br", Some("br"), "as brotli"),
        ("gzip;q=0, br;q=0", None, "let a = 1;"),
        ("identity", None, "let a = 1;"),
    ] {
        let response = script(&format!("accept-encoding: {accepted}\r\n")).await;
        assert_eq!(response.expect(200).text(), text, "{accepted}");
        assert_eq!(response.header("content-encoding"), coding, "{accepted}");
        let content_type = response.header("content-type").unwrap();
        assert!(content_type.contains("javascript"), "{content_type}");
        let vary = response.header("vary").unwrap_or_default();
        assert!(vary.eq_ignore_ascii_case("accept-encoding"), "{vary}");
    }

    // What is changed is served anew, at once.
    let file = dir.path().join("files/caf\u{e9} 1.txt");
    fs::write(&file, "changed").unwrap();
    let times = fs::FileTimes::new();
    let later = fs::metadata(&file).unwrap().modified().unwrap() + Duration::from_secs(2);
    let opened = fs::File::options().write(true).open(&file).unwrap();
    opened.set_times(times.set_modified(later)).unwrap();
    let changed = get(&format!("if-none-match: {etag}\r\n")).await;
    assert_eq!(changed.expect(200).text(), "changed");
}

#[tokio::test]
async fn a_longer_path_wins_be_it_of_files_or_of_an_app() {
    let dir = folder();
    let files = dir.path().join("files");
    let arguments = [
        format!("--static=/={}", files.display()),
        format!("--static=/app/sub={}", files.join("sub").display()),
        "--app=/app=hello.wasm".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Process::of(&arguments).await;
    for (target, text) in [
        ("/style.css", "p { color: red }"),
        ("/", "<p>index</p>"),
        ("/app", "hello, world\n"),
        ("/app/style.css", "hello, world\n"),
        ("/app/sub/", "<p>sub</p>"),
    ] {
        let response = ask(&server, "GET", target, "").await;
        assert_eq!(response.expect(200).text(), text, "{target}");
    }
}

#[test]
fn what_cannot_be_served_is_named() {
    let dir = folder();
    let files = dir.path().join("files");
    let file = files.join("style.css");
    for (arguments, code, expected) in [
        (
            format!("/a={}", dir.path().join("none").display()),
            1,
            "cannot serve the files of",
        ),
        (
            format!("/a={}", file.display()),
            1,
            "cannot serve the files of",
        ),
        (
            format!("/={}", files.display()),
            2,
            "something else answers at / already",
        ),
        ("files".to_owned(), 2, "write /prefix="),
    ] {
        let command = wasm_gw([
            "serve",
            "hello.wasm",
            "--listen=127.0.0.1:0",
            "--static",
            &arguments,
        ]);
        let output = output(command);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(expected), "no `{expected}` in: {stderr}");
    }
}
