//! What a server that hosts many apps needs of the runtime: code that is compiled apart from it, apps that are reached by
//! more than their mount, and a log of its own for each.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;
use wasm_gw_runtime::{
    App, AppConfig, CacheConfig, CacheUse, CompileSettings, InstanceLimits, LogSink, Mount,
    Refusal, Runtime, RuntimeConfig, compile_apart, refuse,
};
use wasm_gw_tests::guests::guest_path;
use wasm_gw_tests::log;

/// A runtime with an empty cache, and a guest in a file.
struct Setting {
    dir: TempDir,
    runtime: Runtime,
    file: PathBuf,
}

impl Setting {
    fn of(guest: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = runtime(&dir.path().join("cache"));
        let file = guest_path(guest);
        Self { dir, runtime, file }
    }

    fn load(&self) -> Result<App, String> {
        let config = AppConfig::new("apart");
        App::load_compiled(&self.runtime, config, None, &self.file)
            .map_err(|error| error.to_string())
    }

    /// As another process would, which is told the settings as a text.
    fn compile(&self) -> Vec<u8> {
        let settings = self.runtime.compile_settings().to_string();
        let settings: CompileSettings = settings.parse().unwrap();
        compile_apart(settings, &InstanceLimits::default(), &self.file).unwrap()
    }
}

fn runtime(cache: &Path) -> Runtime {
    Runtime::new(RuntimeConfig {
        cache: Some(CacheConfig::new(cache)),
        ..RuntimeConfig::default()
    })
    .unwrap()
}

async fn get(app: &App, mount: &str, target: &str) -> (StatusCode, String) {
    let request = Request::get(target).header("host", "t");
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let answer = app.answer_at(&Mount::parse(mount).unwrap(), request).await;
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn check_compiled_apart(guest: &str) {
    let setting = Setting::of(guest);
    let limits = InstanceLimits::default();
    let refused = setting.load().err().unwrap();
    assert!(refused.contains("has not been compiled"), "{refused}");
    assert!(!setting.runtime.has_compiled(&limits, &setting.file));

    let code = setting.compile();
    (setting.runtime)
        .keep_compiled(&limits, &setting.file, &code)
        .unwrap();
    assert!(setting.runtime.has_compiled(&limits, &setting.file));
    let app = setting.load().unwrap();
    assert_eq!(app.compiled(), CacheUse::Hit);
    assert!(app.loaded_bytes() > 0);
    assert_eq!(get(&app, "/", "/").await.0, 200);

    // Another process with that cache finds it too.
    let again = runtime(&setting.dir.path().join("cache"));
    assert!(again.has_compiled(&limits, &setting.file));
}

#[tokio::test]
async fn code_that_was_compiled_apart_is_found_in_the_cache() {
    check_compiled_apart("hello").await;
}

#[tokio::test]
async fn so_is_that_of_a_guest_whose_memory_begins_with_an_image() {
    let setting = Setting::of("data_residue");
    assert_eq!(setting.runtime.compile_settings().to_string(), "images");
    check_compiled_apart("data_residue").await;
}

#[test]
fn what_cannot_be_run_is_refused_apart_as_it_is_at_load() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(&dir.path().join("cache"));
    let file = dir.path().join("file.wasm");
    for bytes in [
        &b"\0asm\x01\0\0\0"[..],
        b"#!/bin/sh",
        b"",
        b"\0asm\x0d\0\x01\0",
    ] {
        fs::write(&file, bytes).unwrap();
        let settings = runtime.compile_settings();
        let apart = compile_apart(settings, &InstanceLimits::default(), &file).unwrap_err();
        let load = App::load_file(&runtime, AppConfig::new("x"), &file).err();
        assert_eq!(apart.to_string(), load.unwrap().to_string());
    }
}

#[test]
fn a_way_to_compile_is_one_of_those_that_there_are() {
    for text in ["images", "plain", "cramped"] {
        let settings: CompileSettings = text.parse().unwrap();
        assert_eq!(settings.to_string(), text);
    }
    let wrong = "fast".parse::<CompileSettings>().unwrap_err();
    assert_eq!(wrong, "`fast` is no way to compile");
}

#[tokio::test]
async fn an_app_answers_at_the_mount_that_it_is_asked_at() {
    let setting = Setting::of("environ_dump");
    let config = AppConfig::new("mounted");
    let app = App::load_file(&setting.runtime, config, &setting.file).unwrap();
    let (status, body) = get(&app, "/shop", "/shop/cart").await;
    assert_eq!(status, 200);
    assert!(body.contains("SCRIPT_NAME=\"/shop\"\n"), "{body}");
    assert!(body.contains("PATH_INFO=\"/cart\"\n"), "{body}");
    assert_eq!(get(&app, "/shop", "/shopping").await.0, 404);
    assert_eq!(get(&app, "/shop", "/shop/../x").await.0, 400);
}

#[tokio::test]
async fn a_request_for_no_app_gets_a_page_that_says_nothing_more() {
    let request = Request::get("/secret").body(()).unwrap();
    let refusal = Refusal::new(StatusCode::NOT_FOUND, "no app has this host");
    let answer = refuse(request, refusal);
    assert_eq!(answer.status(), 404);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"404 Not Found\nrequest id: "), "{body:?}");
}

#[tokio::test]
async fn lines_of_a_guest_go_where_its_app_wants_them() {
    log::keep();
    let setting = Setting::of("stdio");
    let lines = Arc::<Mutex<Vec<(String, String)>>>::default();
    let mut config = AppConfig::new("with-a-log-of-its-own");
    config.log = Some(LogSink::new({
        let lines = Arc::clone(&lines);
        move |line| {
            let line = (line.stream.to_owned(), line.text.to_owned());
            lines.lock().unwrap().push(line);
        }
    }));
    let app = App::load_file(&setting.runtime, config, &setting.file).unwrap();
    get(&app, "/", "/").await;
    setting.runtime.idle().await;
    let mut lines = std::mem::take(&mut *lines.lock().unwrap());
    lines.sort();
    let expected = [
        ("stderr", "to stderr"),
        ("stdout", "to stdout"),
        ("wsgi.errors", "to errors"),
    ];
    assert_eq!(
        lines,
        expected.map(|(stream, text)| (stream.to_owned(), text.to_owned()))
    );
    assert!(log::with("app", "with-a-log-of-its-own").is_empty());
}
