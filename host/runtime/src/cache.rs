//! Compiled code on disk, so that a second start does not compile.
//!
//! Compiled code runs outside the sandbox, so what is mapped must be what was compiled. An entry's
//! name is a digest of what is compiled of a component and of all that decides the code; beside it stands a keyed
//! BLAKE3 of name and code, made with a key that only this user can read. The folder and each entry are
//! opened once, and checked and used by that one descriptor. Folder, key and entries that another
//! user could write are refused. Whatever is wrong with an entry, the answer is to compile again.

mod folder;

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use wasm_gw_protocol::weak;
use wasmtime::Engine;
use wasmtime::component::Component;

use self::folder::{Folder, others_may_read};
use crate::config::CacheConfig;
use crate::source::{self, Source};
use crate::split::Code;

/// Changes when the layout of the folder does, or what an entry's name is made of.
const FORMAT: &str = "2";
const KEY: &str = "key";
const CODE: &str = "cwasm";
const TAG: &str = "tag";

/// What the cache did for a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// The code was found and mapped.
    Hit,
    /// It was compiled and kept for the next time.
    Stored,
    /// It was compiled, and there is no cache or it could not be used; the log says why.
    None,
}

/// The folder, ready for use.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: Folder,
    key: [u8; 32],
    max_bytes: u64,
}

/// What is wrong with the folder, or with an entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} belongs to another user; use another folder", .0.display())]
    Foreign(PathBuf),
    #[error("other users may write to {path}; chmod go-w {path}", path = .0.display())]
    Writable(PathBuf),
    #[error("other users may read {}, which is no secret then; remove it", .0.display())]
    Readable(PathBuf),
    #[error("{} is no key; remove it", .0.display())]
    NoKey(PathBuf),
    #[error("{} is not what was stored", .0.display())]
    Altered(PathBuf),
    #[error("{} cannot be mapped: {message}", .path.display())]
    Unmappable { path: PathBuf, message: String },
}

impl CacheError {
    fn io(path: &Path, source: io::Error) -> Self {
        CacheError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl Cache {
    /// Opens the folder, which is made when it is missing, and its key.
    pub(crate) fn open(config: CacheConfig) -> Result<Self, CacheError> {
        let folder = Folder::open(&config.dir)?;
        let key = match read_key(&folder)? {
            Some(key) => key,
            None => {
                folder.create(KEY, &new_key()?)?;
                // Another process may have been faster, and then its key counts.
                read_key(&folder)?.ok_or_else(|| CacheError::NoKey(folder.path(KEY)))?
            }
        };
        Ok(Self {
            folder,
            key,
            max_bytes: config.max_bytes,
        })
    }

    /// Room on the cache's disk for as long as somebody holds it.
    ///
    /// # Errors
    ///
    /// There is none, or not on this system.
    pub(crate) fn nameless(&self) -> io::Result<File> {
        self.folder.nameless()
    }

    /// The component, from the cache or compiled.
    ///
    /// # Errors
    ///
    /// Those of the compiler. What goes wrong with the cache is logged and costs time only.
    pub(crate) fn load(
        &self,
        engine: &Engine,
        code: Code<'_>,
    ) -> wasmtime::Result<(Component, CacheUse)> {
        let entry = entry_name(engine, code)?;
        match self.find(engine, &entry) {
            Ok(Some(component)) => return Ok((component, CacheUse::Hit)),
            Ok(None) => {}
            Err(error) if weak("cache-errors") => return Err(error.into()),
            Err(error) => tracing::warn!("compiling again: {error}"),
        }
        let bytes = code.component.whole()?;
        let code = Code {
            component: &Source::of(&bytes),
            ..code
        };
        // The entry would be another component's for ever.
        if entry_name(engine, code)? != entry {
            return Err(source::changed().into());
        }
        let component = compile(engine, code)?;
        let used = match self.store(&entry, &component.serialize()?) {
            Ok(()) => CacheUse::Stored,
            Err(error) if weak("cache-errors") => return Err(error.into()),
            Err(error) => {
                tracing::warn!("the compiled code is not kept: {error}");
                CacheUse::None
            }
        };
        Ok((component, used))
    }

    /// The component, if it is in the cache.
    ///
    /// # Errors
    ///
    /// The component's file cannot be read. What is wrong with the cache is logged, and nothing is found.
    pub(crate) fn only_find(
        &self,
        engine: &Engine,
        code: Code<'_>,
    ) -> wasmtime::Result<Option<Component>> {
        let entry = entry_name(engine, code)?;
        Ok(self.find(engine, &entry).unwrap_or_else(|error| {
            tracing::warn!("compiled code is not used: {error}");
            None
        }))
    }

    /// Whether there is an entry for it, good or not.
    ///
    /// # Errors
    ///
    /// The component's file cannot be read.
    pub(crate) fn has(&self, engine: &Engine, code: Code<'_>) -> wasmtime::Result<bool> {
        let entry = entry_name(engine, code)?;
        let is_there = |kind| matches!(self.folder.file(&named(&entry, kind)), Ok(Some(_)));
        Ok(is_there(CODE) && is_there(TAG))
    }

    /// Keeps what was compiled of a component elsewhere, by an engine of the same settings.
    ///
    /// # Errors
    ///
    /// The component's file cannot be read, or the folder not be written.
    pub(crate) fn keep(
        &self,
        engine: &Engine,
        code: Code<'_>,
        compiled: &[u8],
    ) -> wasmtime::Result<()> {
        let entry = entry_name(engine, code)?;
        Ok(self.store(&entry, compiled)?)
    }

    fn find(&self, engine: &Engine, entry: &str) -> Result<Option<Component>, CacheError> {
        let (code, tag) = (named(entry, CODE), named(entry, TAG));
        let Some((mut file, _)) = self.folder.file(&code)? else {
            return Ok(None);
        };
        // Code without a tag is half an entry: its process ended between the two.
        let Some((mut tag_file, _)) = self.folder.file(&tag)? else {
            return Ok(None);
        };
        let expected = self.folder.exactly::<32>(&tag, &mut tag_file)?;
        let expected = expected.ok_or_else(|| CacheError::Altered(self.folder.path(&tag)))?;
        let path = self.folder.path(&code);
        let mut hasher = self.hasher(entry);
        hasher
            .update_reader(&mut file)
            .map_err(|error| CacheError::io(&path, error))?;
        // `blake3::Hash` compares in constant time.
        if hasher.finalize() != blake3::Hash::from_bytes(expected) && !weak("cache-tag") {
            return Err(CacheError::Altered(path));
        }
        let component = map(engine, &file, &path)?;
        // The entry was used now; the sweep goes by this. A read-only folder is no reason to fail.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(component))
    }

    fn store(&self, entry: &str, code: &[u8]) -> Result<(), CacheError> {
        let tag = self.hasher(entry).update(code).finalize();
        // The tag goes last: an entry without one is compiled again.
        self.folder.replace(&named(entry, CODE), code)?;
        self.folder.replace(&named(entry, TAG), tag.as_bytes())?;
        self.sweep(entry);
        Ok(())
    }

    /// Of an entry's code. The entry's name is in it: code is good only for what it was made from.
    fn hasher(&self, entry: &str) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(entry.as_bytes());
        hasher
    }

    /// Removes the entries that were not used for longest until the rest fits. The one just stored
    /// stays, even if it alone is too large. What is no entry of ours stays too: people name the
    /// strangest folders.
    fn sweep(&self, keep: &str) {
        self.folder.tidy();
        let mut entries: Vec<_> = self
            .folder
            .entries()
            .into_iter()
            .filter(|file| entry_of(&file.name, CODE).is_some())
            .collect();
        entries.sort_by_key(|file| file.modified);
        let mut total: u64 = entries.iter().map(|file| file.size).sum();
        for file in entries {
            if total <= self.max_bytes {
                return;
            }
            let Some(entry) = entry_of(&file.name, CODE).filter(|&entry| entry != keep) else {
                continue;
            };
            // Tag first: half an entry is then no entry.
            self.folder.remove(&named(entry, TAG));
            if self.folder.remove(&file.name) {
                total -= file.size;
            }
        }
    }
}

/// Compiles a component, and says so: a large one takes many seconds, and whoever waits should know.
pub(crate) fn compile(engine: &Engine, code: Code<'_>) -> wasmtime::Result<Component> {
    const PAUSE: Duration = Duration::from_secs(5);
    let bytes = code.bytes()?;
    tracing::info!(
        "compiling a component of {} KiB",
        bytes.len().div_ceil(1024)
    );
    let begin = Instant::now();
    let (done, is_done) = mpsc::channel::<()>();
    let compiled = thread::scope(|scope| {
        scope.spawn(move || {
            while is_done.recv_timeout(PAUSE) == Err(mpsc::RecvTimeoutError::Timeout) {
                tracing::info!("still compiling, for {} s now", begin.elapsed().as_secs());
            }
        });
        let compiled = Component::new(engine, &bytes);
        drop(done);
        compiled
    });
    let elapsed = begin.elapsed();
    if elapsed > Duration::from_secs(1) {
        tracing::info!("compiled in {:.1} s", elapsed.as_secs_f64());
    }
    compiled
}

fn named(entry: &str, kind: &str) -> String {
    format!("{entry}.{kind}")
}

/// The entry that a file of this kind belongs to, if it is one of a cache.
fn entry_of<'a>(file: &'a str, kind: &str) -> Option<&'a str> {
    let entry = file.strip_suffix(kind)?.strip_suffix('.')?;
    let is_digest = entry.len() == 64 && entry.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(entry)
}

/// Maps the very file that was checked: by its descriptor, not by its name.
fn map(engine: &Engine, file: &File, path: &Path) -> Result<Component, CacheError> {
    let descriptor = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    #[expect(unsafe_code, reason = "wasmtime trusts what it is told to deserialize")]
    // SAFETY: the bytes behind this descriptor carry a keyed hash made by `store` with a key that
    // only this user can read, and the file is one that no other user can write. So they are
    // `Component::serialize`'s own, of an engine with the same settings (the entry's name).
    let mapped = unsafe { Component::deserialize_file(engine, &descriptor) };
    mapped.map_err(|error| CacheError::Unmappable {
        path: path.to_owned(),
        message: format!("{error:#}"),
    })
}

/// A digest of the code and of everything that decides what it is compiled to.
fn entry_name(engine: &Engine, code: Code<'_>) -> io::Result<String> {
    struct Blake(blake3::Hasher);
    impl Hasher for Blake {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0 // Not asked for: the digest below has all of it.
        }
    }
    let mut settings = Blake(blake3::Hasher::new());
    FORMAT.hash(&mut settings);
    // wasmtime's own hash has its version and flags in it.
    engine.precompile_compatibility_hash().hash(&mut settings);
    let settings = settings.0.finalize();
    let mut name = blake3::Hasher::new();
    name.update(settings.as_bytes());
    code.identify(|part| {
        name.update(part);
    })?;
    Ok(name.finalize().to_hex().to_string())
}

/// The folder's key, if it has one.
fn read_key(folder: &Folder) -> Result<Option<[u8; 32]>, CacheError> {
    let Some((mut file, facts)) = folder.file(KEY)? else {
        return Ok(None);
    };
    if others_may_read(&facts) {
        return Err(CacheError::Readable(folder.path(KEY)));
    }
    match folder.exactly(KEY, &mut file)? {
        Some(key) => Ok(Some(key)),
        None => Err(CacheError::NoKey(folder.path(KEY))),
    }
}

fn new_key() -> Result<[u8; 32], CacheError> {
    let source = Path::new("/dev/urandom");
    let mut key = [0; 32];
    File::open(source)
        .and_then(|mut random| random.read_exact(&mut key))
        .map_err(|error| CacheError::io(source, error))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_one_component_and_one_way_to_compile_it() {
        let engine = |config: &wasmtime::Config| Engine::new(config).unwrap();
        let entry_name = |engine: &Engine, component: &[u8]| {
            let code = Code {
                component: &Source::of(component),
                without: None,
            };
            super::entry_name(engine, code).unwrap()
        };
        let ours = engine(&crate::engine::base_config());
        let name = entry_name(&ours, b"one");
        let same = engine(&crate::engine::base_config());
        assert_eq!(entry_name(&same, b"one"), name);
        assert_ne!(entry_name(&ours, b"two"), name);

        let mut settings = crate::engine::base_config();
        settings.epoch_interruption(false);
        assert_ne!(entry_name(&engine(&settings), b"one"), name);
        let mut features = crate::engine::base_config();
        features.wasm_simd(false).wasm_relaxed_simd(false);
        assert_ne!(entry_name(&engine(&features), b"one"), name);
    }

    #[test]
    fn a_file_of_a_cache_is_known_by_its_name() {
        let entry = "0123456789abcdef".repeat(4);
        assert_eq!(entry_of(&named(&entry, CODE), CODE), Some(entry.as_str()));
        for other in ["mine.cwasm", "key", ".cwasm", &entry, &named(&entry, TAG)] {
            assert_eq!(entry_of(other, CODE), None, "{other}");
        }
    }
}
