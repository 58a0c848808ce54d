//! Components that were cut, altered or mixed, and compiled code that was altered in the cache: refused in words, or
//! as good as any other component. Altered code is compiled anew, and never run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use wasm_gw_runtime::{
    AllocatorChoice, App, AppConfig, CacheConfig, CacheUse, Runtime, RuntimeConfig,
};

use crate::guest;
use crate::process::{NoPanic, see};
use crate::source::Source;

/// What is altered: one made here, and the example that people begin with where it was built.
static COMPONENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut components = vec![guest::plain()];
    // Its runtime is made by the first call, and with it what is open for good.
    guest::call(&components[0], "GET", b"", false);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = root.join("target/guests/examples/wasm32-wasip2/release/hello.wasm");
    components.extend(fs::read(built));
    components
});

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("there is room for a folder"));

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| runtime(None));

/// One with a cache, whose entries are altered.
static CACHED: LazyLock<Runtime> =
    LazyLock::new(|| runtime(Some(CacheConfig::new(FOLDER.path().join("cache")))));

fn runtime(cache: Option<CacheConfig>) -> Runtime {
    let config = RuntimeConfig {
        instances: 4,
        max_memory: 64 << 20,
        memory_total: Some(256 << 20),
        allocator: AllocatorChoice::OnDemand,
        cache,
        ..RuntimeConfig::default()
    };
    Runtime::new(config).expect("a runtime can be made")
}

/// See the module.
pub fn run(data: &[u8]) {
    let no_panic = NoPanic::begin();
    let mut source = Source::new(data);
    match source.once_in(3) {
        true => cache(&mut source),
        false => component(&mut source),
    }
    no_panic.end();
}

fn config() -> AppConfig {
    let mut config = AppConfig::new("altered");
    config.limits.memory = 16 << 20;
    config
}

fn component(source: &mut Source<'_>) {
    let mut bytes = COMPONENTS[source.below(COMPONENTS.len())].clone();
    let from_file = source.once_in(2);
    alter(&mut bytes, source);
    let loaded = match from_file {
        true => {
            let path = FOLDER.path().join("altered.wasm");
            fs::write(&path, &bytes).expect("there is room for a file");
            App::load_file(&RUNTIME, config(), &path)
        }
        false => App::load(&RUNTIME, config(), &bytes),
    };
    match loaded {
        // What it does is as good as what any guest does, and is held to the same.
        Ok(_) => {
            see("loaded");
            guest::call(&bytes, "GET", b"", false);
        }
        Err(error) => {
            see("refused");
            let text = error.to_string();
            assert!(text.contains("this ") && text.len() < 10_000, "{text}");
            for part in ["panicked", "Stack backtrace", ".rs:"] {
                assert!(!text.contains(part), "`{part}` in: {text}");
            }
        }
    }
}

/// Cuts, flips, replaces, repeats, or takes a piece of another.
fn alter(bytes: &mut Vec<u8>, source: &mut Source<'_>) {
    for _ in 0..1 + source.below(4) {
        if bytes.is_empty() {
            return;
        }
        // The first kilobytes are types and imports: every byte counts there.
        let reach = match source.once_in(2) {
            true => bytes.len(),
            false => bytes.len().min(4096),
        };
        let at = source.u32() as usize % reach;
        match source.below(7) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << (source.byte() % 8),
            2 => bytes[at] = source.byte(),
            3 => {
                let end = (at + usize::from(source.byte())).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + usize::from(source.byte())).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let new = source.bytes(16).to_vec();
                let end = (at + new.len()).min(bytes.len());
                bytes.splice(at..end, new);
            }
            _ => {
                let other = &COMPONENTS[source.below(COMPONENTS.len())];
                let from = source.u32() as usize % other.len();
                let piece = &other[from..(from + 512).min(other.len())];
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
        }
    }
}

fn cache(source: &mut Source<'_>) {
    let load = || {
        let app = App::load(&CACHED, config(), &COMPONENTS[0]);
        app.expect("the component is whole").compiled()
    };
    // Whatever an earlier input has left is replaced by now.
    load();
    assert_eq!(load(), CacheUse::Hit);
    let files = entries();
    let file = &files[source.below(files.len())];
    let old = fs::read(file).expect("it is there");
    let mut new = old.clone();
    alter(&mut new, source);
    if new == old {
        return;
    }
    fs::write(file, &new).expect("it can be written");
    see("cache");
    assert_ne!(load(), CacheUse::Hit, "{} was altered", file.display());
    // And now there is an entry that is good.
    assert_eq!(load(), CacheUse::Hit);
}

/// The code and its tag, in an order that does not change. The key is no entry.
fn entries() -> Vec<PathBuf> {
    let listed = fs::read_dir(FOLDER.path().join("cache")).expect("it was made");
    let paths = listed.filter_map(|file| Some(file.ok()?.path()));
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some()).collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    files
}
