//! Compiled code on disk, so that a second start does not compile.
//!
//! Compiled code runs outside the sandbox, so what is mapped must be what was compiled. An entry's
//! name is a digest of the component and of all that decides the code; beside it stands a keyed
//! BLAKE3 of the code, made with a key that only this user can read. An entry is opened once, and
//! checked and mapped by that one descriptor. Folder, key and entries that another user could write
//! are refused. Whatever is wrong with an entry, the answer is to compile again.

use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::config::CacheConfig;
use crate::engine::DENSE_IMAGE;

/// Changes when the layout of the folder does.
const FORMAT: &str = "1";
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
    config: CacheConfig,
    key: [u8; 32],
}

/// What is wrong with the folder, or with an entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not this user's alone (chmod go-w it, and the key go-rwx)", .0.display())]
    Unsafe(PathBuf),
    #[error("{} is not what was stored", .0.display())]
    Altered(PathBuf),
    #[error("{} cannot be mapped: {message}", .path.display())]
    Unmappable { path: PathBuf, message: String },
}

/// Adds the path to an I/O error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    |source| CacheError::Io { path, source }
}

impl Cache {
    /// Opens the folder, which is made when it is missing, and its key.
    pub(crate) fn open(config: CacheConfig) -> Result<Self, CacheError> {
        let dir = &config.dir;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(at(dir))?;
        let folder = fs::metadata(dir).map_err(at(dir))?;
        refuse_shared(dir, &folder)?;
        let key = read_or_make_key(&dir.join(KEY))?;
        Ok(Self { config, key })
    }

    /// The component, from the cache or compiled.
    ///
    /// # Errors
    ///
    /// Those of the compiler. What goes wrong with the cache is logged and costs time only.
    pub(crate) fn load(
        &self,
        engine: &Engine,
        bytes: &[u8],
    ) -> wasmtime::Result<(Component, CacheUse)> {
        let name = entry_name(engine, bytes);
        match self.find(engine, &name) {
            Ok(Some(component)) => return Ok((component, CacheUse::Hit)),
            Ok(None) => {}
            Err(error) => tracing::warn!("compiling again: {error}"),
        }
        let component = compile(engine, bytes)?;
        let used = match self.store(&name, &component.serialize()?) {
            Ok(()) => CacheUse::Stored,
            Err(error) => {
                tracing::warn!("the compiled code is not kept: {error}");
                CacheUse::None
            }
        };
        Ok((component, used))
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.config.dir.join(format!("{name}.{kind}"))
    }

    fn find(&self, engine: &Engine, name: &str) -> Result<Option<Component>, CacheError> {
        let path = self.path(name, CODE);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path)(error)),
        };
        let metadata = file.metadata().map_err(at(&path))?;
        refuse_shared(&path, &metadata)?;

        let tag_path = self.path(name, TAG);
        let expected = fs::read(&tag_path).map_err(at(&tag_path))?;
        let expected: [u8; 32] = expected
            .try_into()
            .map_err(|_| CacheError::Altered(tag_path))?;
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update_reader(&mut file).map_err(at(&path))?;
        // `blake3::Hash` compares in constant time.
        if hasher.finalize() != blake3::Hash::from_bytes(expected) {
            return Err(CacheError::Altered(path));
        }
        let component = map(engine, &file, &path)?;
        // The entry was used now; the sweep goes by this. A read-only folder is no reason to fail.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(component))
    }

    fn store(&self, name: &str, code: &[u8]) -> Result<(), CacheError> {
        let tag = blake3::keyed_hash(&self.key, code);
        // The tag goes last: an entry without one is compiled again.
        self.write_atomically(&self.path(name, CODE), code)?;
        self.write_atomically(&self.path(name, TAG), tag.as_bytes())?;
        self.sweep(name);
        Ok(())
    }

    fn write_atomically(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        let written = create_private(&unfinished)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&unfinished, path));
        written.map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            at(path)(error)
        })
    }

    /// Removes the entries that were not used for longest until the rest fits. The one just stored
    /// stays, even if it alone is too large.
    fn sweep(&self, keep: &str) {
        let Ok(folder) = fs::read_dir(&self.config.dir) else {
            return;
        };
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = folder
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let metadata = entry.metadata().ok()?;
                let path = entry.path();
                let is_code = path.extension().is_some_and(|kind| kind == CODE);
                is_code.then(|| Some((metadata.modified().ok()?, metadata.len(), path)))?
            })
            .collect();
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in entries {
            if total <= self.config.max_bytes {
                return;
            }
            if path.file_stem().is_some_and(|stem| stem == keep) {
                continue;
            }
            // Tag first: half an entry is then no entry.
            let _ = fs::remove_file(path.with_extension(TAG));
            if fs::remove_file(&path).is_ok() {
                total -= size;
            }
        }
    }
}

/// Compiles a component, and says so: a large one takes many seconds.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    tracing::info!(
        "compiling a component of {} KiB",
        bytes.len().div_ceil(1024)
    );
    Component::new(engine, bytes)
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

/// A digest of the component and of everything that decides what it is compiled to.
fn entry_name(engine: &Engine, bytes: &[u8]) -> String {
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
    // wasmtime's own hash has its version and flags in it, but not this one.
    DENSE_IMAGE.hash(&mut settings);
    engine.precompile_compatibility_hash().hash(&mut settings);
    let settings = settings.0.finalize();
    let mut name = blake3::Hasher::new();
    name.update(settings.as_bytes());
    name.update(bytes);
    name.finalize().to_hex().to_string()
}

/// Refuses what another user could have written.
fn refuse_shared(path: &Path, metadata: &fs::Metadata) -> Result<(), CacheError> {
    /// Write permission for the group and for all others.
    const OTHERS_MAY_WRITE: u32 = 0o022;
    let ours = own_user().is_some_and(|user| metadata.uid() == user || metadata.uid() == 0);
    if ours && metadata.mode() & OTHERS_MAY_WRITE == 0 {
        Ok(())
    } else {
        Err(CacheError::Unsafe(path.to_owned()))
    }
}

/// The effective user of this process, by the owner of its own entry in `/proc`.
fn own_user() -> Option<u32> {
    Some(fs::metadata("/proc/self/fd").ok()?.uid())
}

fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// The key of this folder, made when it is missing. Two processes that start at once agree on one:
/// a link, unlike a rename, does not replace what is there.
fn read_or_make_key(path: &Path) -> Result<[u8; 32], CacheError> {
    if !path.exists() {
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        let made = make_key(&unfinished).and_then(|()| match fs::hard_link(&unfinished, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
        let _ = fs::remove_file(&unfinished);
        made.map_err(at(path))?;
    }
    let mut file = File::open(path).map_err(at(path))?;
    let metadata = file.metadata().map_err(at(path))?;
    refuse_shared(path, &metadata)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(CacheError::Unsafe(path.to_owned()));
    }
    let mut key = [0; 32];
    file.read_exact(&mut key).map_err(at(path))?;
    Ok(key)
}

fn make_key(path: &Path) -> io::Result<()> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let mut file = create_private(path)?;
    file.write_all(&key)?;
    file.sync_data()
}
