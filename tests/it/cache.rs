//! Compiled code on disk: when it is used, when it is not trusted, and what the folder may hold. An
//! entry is its code (`.cwasm`) and its tag; whatever is wrong with it, the app works all the same.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use wasm_gw_runtime::{
    AllocatorChoice, App, AppConfig, CacheConfig, CacheUse, Runtime, RuntimeConfig,
};
use wasm_gw_tests::guests::guest_path;
use wasm_gw_tests::{TestApp, guest, log};

fn folder() -> TempDir {
    log::keep();
    tempfile::tempdir().unwrap()
}

fn runtime(dir: &Path) -> Runtime {
    runtime_with(CacheConfig::new(dir))
}

fn runtime_with(cache: CacheConfig) -> Runtime {
    Runtime::new(RuntimeConfig {
        allocator: AllocatorChoice::OnDemand,
        cache: Some(cache),
        ..RuntimeConfig::default()
    })
    .unwrap()
}

/// What a new runtime with this folder does for the component.
fn load(dir: &Path, name: &str) -> CacheUse {
    load_in(&runtime(dir), name)
}

fn load_in(runtime: &Runtime, name: &str) -> CacheUse {
    App::load(runtime, AppConfig::new(name), &guest(name))
        .unwrap()
        .compiled()
}

/// A folder with a key and an entry of `hello`: made once and copied, since to compile takes time.
fn filled() -> TempDir {
    static MADE: LazyLock<TempDir> = LazyLock::new(|| {
        let made = folder();
        assert_eq!(load(made.path(), "hello"), CacheUse::Stored);
        made
    });
    let copy = folder();
    for file in files(MADE.path(), "") {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    copy
}

async fn answers(dir: &Path) {
    let response = TestApp::of("hello").in_runtime(runtime(dir)).get("/").await;
    assert_eq!(response.expect(200).text(), "hello, world\n");
}

fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let listed = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = listed
        .filter(|path| path.to_string_lossy().ends_with(kind))
        .collect();
    files.sort();
    files
}

/// The only file of this kind.
#[track_caller]
fn file(dir: &Path, kind: &str) -> PathBuf {
    let mut files = files(dir, kind);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_large_component_is_the_same_from_a_file_as_from_bytes() {
    let dir = folder();
    let bytes = guest("data_residue");
    assert!(
        bytes.len() > 1 << 20,
        "files as small as this are read whole"
    );
    let path = guest_path("data_residue");
    assert_eq!(load_file(dir.path(), &path), CacheUse::Stored);
    let from_bytes = load_in(&with_slots(dir.path()), "data_residue");
    assert_eq!(from_bytes, CacheUse::Hit);
    assert_eq!(load_file(dir.path(), &path), CacheUse::Hit);
    assert_eq!(wrong_bytes(dir.path(), &path).await, "0\n");

    // Other data is no reason to compile again, and is what the guest finds.
    let mut other = bytes;
    // Of its pattern, far from both ends.
    let pattern: Vec<u8> = (1..=251).collect();
    let middle = other.len() / 2;
    let at = other[middle..].windows(251).position(|it| it == pattern);
    other[middle + at.unwrap()] = 0;
    let altered = dir.path().join("altered.wasm");
    fs::write(&altered, &other).unwrap();
    assert_eq!(load_file(dir.path(), &altered), CacheUse::Hit);
    assert_eq!(wrong_bytes(dir.path(), &altered).await, "1\n");
}

/// A runtime that takes out what a memory begins with.
fn with_slots(dir: &Path) -> Runtime {
    Runtime::new(RuntimeConfig {
        cache: Some(CacheConfig::new(dir)),
        ..RuntimeConfig::default()
    })
    .unwrap()
}

fn load_file(dir: &Path, path: &Path) -> CacheUse {
    let app = App::load_file(&with_slots(dir), AppConfig::new("app"), path);
    app.unwrap().compiled()
}

/// How much of what this `data_residue` begins with is not as it should be.
async fn wrong_bytes(dir: &Path, path: &Path) -> String {
    let app = TestApp::of_file(path).in_runtime(with_slots(dir));
    app.get("/").await.expect(200).text()
}

#[tokio::test]
async fn a_second_start_does_not_compile() {
    let dir = folder();
    let cache = dir.path().join("made/when/missing");
    assert_eq!(load(&cache, "hello"), CacheUse::Stored);
    assert_eq!(load(&cache, "hello"), CacheUse::Hit);
    answers(&cache).await;
    // Another component is another entry.
    assert_eq!(load(&cache, "echo"), CacheUse::Stored);
    assert_eq!(load(&cache, "hello"), CacheUse::Hit);
}

#[test]
fn everything_in_it_is_this_user_s_alone() {
    let dir = folder();
    let cache = dir.path().join("cache");
    load(&cache, "hello");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    for path in files(&cache, "") {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert_eq!(files(&cache, "").len(), 3, "{:?}", files(&cache, ""));
}

#[test]
fn the_settings_of_a_runtime_do_not_decide_the_code() {
    let dir = folder();
    assert_eq!(load(dir.path(), "hello"), CacheUse::Stored);
    let small = Runtime::new(RuntimeConfig {
        instances: 2,
        max_memory: 64 << 20,
        cache: Some(CacheConfig::new(dir.path())),
        ..RuntimeConfig::default()
    })
    .unwrap();
    let mut config = AppConfig::new("hello");
    config.limits.memory = 64 << 20;
    let app = App::load(&small, config, &guest("hello")).unwrap();
    assert_eq!(app.compiled(), CacheUse::Hit);
}

/// Spoils an entry in one way: it is compiled again, works, and is whole the next time.
async fn spoilt(what: &str, spoil: impl FnOnce(&Path, &Path)) {
    let dir = filled();
    spoil(&file(dir.path(), ".cwasm"), &file(dir.path(), ".tag"));
    assert_eq!(load(dir.path(), "hello"), CacheUse::Stored, "{what}");
    assert_eq!(load(dir.path(), "hello"), CacheUse::Hit, "{what}");
    answers(dir.path()).await;
}

fn flip(path: &Path, at: impl FnOnce(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn an_entry_that_was_altered_is_compiled_again() {
    spoilt("first byte", |code, _| flip(code, |_| 0)).await;
    spoilt("a byte in the middle", |code, _| {
        flip(code, |length| length / 2)
    })
    .await;
    spoilt("last byte", |code, _| flip(code, |length| length - 1)).await;
    spoilt("half", |code, _| {
        let half = fs::metadata(code).unwrap().len() / 2;
        File::options()
            .write(true)
            .open(code)
            .unwrap()
            .set_len(half)
            .unwrap();
    })
    .await;
    spoilt("empty", |code, _| fs::write(code, "").unwrap()).await;
    spoilt("one byte more", |code, _| {
        let bytes = [fs::read(code).unwrap(), vec![0]].concat();
        fs::write(code, bytes).unwrap();
    })
    .await;
    spoilt("no code", |code, _| fs::remove_file(code).unwrap()).await;
}

#[tokio::test]
async fn an_entry_without_its_own_tag_is_compiled_again() {
    spoilt("no tag", |_, tag| fs::remove_file(tag).unwrap()).await;
    spoilt("a wrong tag", |_, tag| fs::write(tag, [0; 32]).unwrap()).await;
    spoilt("one bit of it", |_, tag| flip(tag, |_| 31)).await;
    spoilt("too short", |_, tag| fs::write(tag, [0; 31]).unwrap()).await;
    spoilt("too long", |_, tag| {
        let bytes = [fs::read(tag).unwrap(), vec![0]].concat();
        fs::write(tag, bytes).unwrap();
    })
    .await;
    spoilt("made with another key", |code, _| {
        let key = code.with_file_name("key");
        fs::write(key, [7; 32]).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_entry_of_another_component_is_compiled_again() {
    spoilt("renamed", |code, tag| {
        let dir = code.parent().unwrap();
        load(dir, "echo");
        let other = files(dir, ".cwasm")
            .into_iter()
            .find(|path| path != code)
            .unwrap();
        fs::rename(other.with_extension("tag"), tag).unwrap();
        fs::rename(other, code).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_others_could_have_written_is_compiled_again() {
    spoilt("code, by all", |code, _| chmod(code, 0o602)).await;
    spoilt("code, by the group", |code, _| chmod(code, 0o620)).await;
    spoilt("tag, by all", |_, tag| chmod(tag, 0o606)).await;
    // Only root can give a file away.
    spoilt("another user's", |code, _| {
        if std::os::unix::fs::chown(code, Some(65_534), None).is_err() {
            chmod(code, 0o666);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_file_is_not_followed_or_waited_for() {
    // A link to what is the very code.
    spoilt("link", |code, _| {
        let elsewhere = code.with_file_name("elsewhere");
        fs::rename(code, &elsewhere).unwrap();
        symlink(elsewhere, code).unwrap();
    })
    .await;
    // Who opens a pipe waits for its other end.
    spoilt("pipe", |code, _| {
        fs::remove_file(code).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(code)
            .status()
            .unwrap();
        assert!(made.success());
    })
    .await;
}

/// Spoils the folder: nothing is kept, the log says why, and the app loads. Then mends it.
fn without_cache(reason: &str, spoil: impl FnOnce(&Path), mend: impl FnOnce(&Path)) {
    let dir = filled();
    let cache = dir.path().to_owned();
    spoil(&cache);
    assert_eq!(load(&cache, "hello"), CacheUse::None, "{reason}");
    let said = reason.replace("{}", &cache.display().to_string());
    assert!(log::says(&said), "not in the log: {said}");
    mend(&cache);
    assert_ne!(load(&cache, "hello"), CacheUse::None, "{reason}");
}

#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    for mode in [0o777, 0o770, 0o702] {
        without_cache(
            "other users may write to {}; chmod go-w {}",
            |cache| chmod(cache, mode),
            |cache| chmod(cache, 0o755),
        );
    }
    without_cache(
        "{}: ",
        |cache| {
            fs::remove_dir_all(cache).unwrap();
            fs::write(cache, "a file").unwrap();
        },
        |cache| fs::remove_file(cache).unwrap(),
    );
}

#[test]
fn a_key_that_is_no_secret_is_refused() {
    for mode in [0o644, 0o640, 0o604, 0o601] {
        without_cache(
            "other users may read {}/key, which is no secret then; remove it",
            |cache| chmod(&cache.join("key"), mode),
            |cache| fs::remove_file(cache.join("key")).unwrap(),
        );
    }
    without_cache(
        "other users may write to {}/key",
        |cache| chmod(&cache.join("key"), 0o622),
        |cache| chmod(&cache.join("key"), 0o600),
    );
    for wrong in [&[][..], &[1; 31], &[1; 33]] {
        without_cache(
            "{}/key is no key; remove it",
            |cache| fs::write(cache.join("key"), wrong).unwrap(),
            |cache| fs::remove_file(cache.join("key")).unwrap(),
        );
    }
    // A link could lead to a file whose beginning everybody knows.
    without_cache(
        "{}/key: ",
        |cache| {
            fs::rename(cache.join("key"), cache.join("elsewhere")).unwrap();
            symlink(cache.join("elsewhere"), cache.join("key")).unwrap();
        },
        |cache| fs::remove_file(cache.join("key")).unwrap(),
    );
}

#[test]
fn the_entries_that_were_not_used_for_longest_go_first() {
    let dir = folder();
    let path = dir.path();
    let entry = |name: &str| {
        let before = files(path, ".cwasm");
        assert_eq!(load(path, name), CacheUse::Stored);
        files(path, ".cwasm")
            .into_iter()
            .find(|file| !before.contains(file))
            .unwrap()
    };
    let (hello, echo) = (entry("hello"), entry("echo"));
    let not_ours = path.join("mine.cwasm");
    fs::write(&not_ours, vec![0; 1 << 20]).unwrap();
    let age = |file: &Path, hours: u64| {
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        File::open(file).unwrap().set_modified(then).unwrap();
    };
    age(&not_ours, 9);
    age(&hello, 3);
    age(&echo, 2);
    // It is used, and is now the newer of the two.
    assert_eq!(load(path, "hello"), CacheUse::Hit);

    let size = |file: &Path| fs::metadata(file).unwrap().len();
    let mut cache = CacheConfig::new(path);
    cache.max_bytes = size(&hello) + size(&echo) * 3 / 2;
    let small = runtime_with(cache);
    assert_eq!(load_in(&small, "counter"), CacheUse::Stored);
    assert!(hello.exists() && !echo.exists() && !echo.with_extension("tag").exists());
    assert!(
        not_ours.exists(),
        "what is no entry is not the cache's to remove"
    );
    assert_eq!(files(path, ".tag").len(), 2);

    // The one just stored stays, even if it alone is too large.
    let mut cache = CacheConfig::new(path);
    cache.max_bytes = 0;
    assert_eq!(load_in(&runtime_with(cache), "random"), CacheUse::Stored);
    assert_eq!(load(path, "random"), CacheUse::Hit);
    assert_eq!(files(path, ".tag").len(), 1);
}

#[test]
fn what_a_process_left_when_it_died_goes() {
    let dir = filled();
    let old = dir.path().join("0123.unfinished");
    let new = dir.path().join("4567.unfinished");
    fs::write(&old, "half").unwrap();
    fs::write(&new, "of a process that is at it").unwrap();
    let then = SystemTime::now() - Duration::from_secs(2 * 3600);
    File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .set_modified(then)
        .unwrap();
    load(dir.path(), "echo");
    assert_eq!(files(dir.path(), ".unfinished"), [new]);
}

#[test]
fn several_processes_share_a_folder() {
    let dir = folder();
    let cache = dir.path().join("cache");
    let names = ["hello", "echo", "counter"];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // As a process of its own would: with a runtime of its own, at the same time.
                let runtime = runtime(&cache);
                for name in names {
                    let used = load_in(&runtime, name);
                    assert_ne!(used, CacheUse::None, "{name}");
                }
            });
        }
    });
    for name in names {
        assert_eq!(load(&cache, name), CacheUse::Hit, "{name}");
    }
    assert_eq!(files(&cache, ".unfinished"), [] as [PathBuf; 0]);
    assert_eq!(files(&cache, "").len(), 7);
}

#[test]
fn a_folder_that_cannot_be_written_is_still_read() {
    let dir = filled();
    chmod(dir.path(), 0o500);
    assert_eq!(load(dir.path(), "hello"), CacheUse::Hit);
    chmod(dir.path(), 0o700);
}
