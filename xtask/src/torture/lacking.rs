//! What a server lacks: descriptors, room for its cache, a cache that is what it was. Each is survived, and said
//! in one line.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::case::{Case, Found, Needs, Proof};
use super::raw::still_serves;
use super::server::Server;
use super::setting::Setting;
use super::wire::{PATIENCE, address};
use crate::kit::http::connect;

const ITS_CACHE: Needs = Needs::Gateway("its cache is not made as ours is");

pub(super) const CASES: &[Case] = &[
    Case {
        name: "emfile",
        shows: "300 clients of a server that may open no more than 16 further files from then on",
        expected: "served again afterwards; one line in the log, no spinning",
        needs: Needs::Http,
        proof: Proof::Off(&["accept-pause"]),
        waits: false,
        run: emfile,
    },
    Case {
        name: "cache-full",
        shows: "a cache folder of 64 KiB (ENOSPC)",
        expected: "served; one line in the log",
        needs: ITS_CACHE,
        proof: Proof::Off(&["cache-errors"]),
        waits: false,
        run: |setting| mounted(setting, "size=64k", "the compiled code is not kept"),
    },
    Case {
        name: "cache-read-only",
        shows: "a cache folder on a file system that is read-only (EROFS)",
        expected: "served; one line in the log",
        needs: ITS_CACHE,
        proof: Proof::Off(&["cache-errors"]),
        waits: false,
        run: |setting| mounted(setting, "ro", "compiled code is not kept between runs"),
    },
    Case {
        name: "cache-corrupt",
        shows: "an entry of the cache in which one byte is another",
        expected: "compiled again and served; one line in the log",
        needs: ITS_CACHE,
        proof: Proof::Off(&["cache-tag"]),
        waits: false,
        run: |setting| spoilt(setting, corrupt),
    },
    Case {
        name: "cache-truncated",
        shows: "an entry of the cache of which half is there",
        expected: "compiled again and served; one line in the log",
        needs: ITS_CACHE,
        proof: Proof::Off(&["cache-errors"]),
        waits: false,
        run: |setting| spoilt(setting, truncate),
    },
    Case {
        name: "cache-other-version",
        shows: "an entry of the cache that is whole, and of another version of the compiler",
        expected: "compiled again and served; one line in the log",
        needs: ITS_CACHE,
        proof: Proof::Off(&["cache-errors"]),
        waits: false,
        run: |setting| spoilt(setting, make_older),
    },
];

fn emfile(setting: &Setting) -> Result<Found> {
    const TIME: Duration = Duration::from_secs(3);
    let server = setting.server(&[])?;
    let mut found = Found::default();
    server.limit_files(16)?;
    let before = server.processor_time();
    let mut clients = Vec::new();
    let begin = Instant::now();
    for number in 0..300 {
        if begin.elapsed() > Duration::from_secs(20) {
            break;
        }
        let Ok(mut client) = connect(server.address, Some(address(number)), PATIENCE) else {
            break;
        };
        let _ = client.write_all(b"GET / HTTP/1.1\r\nHo");
        clients.push(client);
    }
    thread::sleep(TIME);
    let used = server.processor_time() - before;
    let connected = clients.len();
    drop(clients);
    thread::sleep(Duration::from_secs(1));
    still_serves(setting, &mut found, &server);
    found.demand(
        used < TIME / 2,
        format!("{used:.1?} of the processor in {TIME:?}"),
    );
    found.say(format!(
        "{connected} connected, {used:.1?} of the processor in {TIME:?}"
    ));
    if setting.target.is_gateway() {
        says_once(&mut found, &server, "cannot accept connections");
    }
    Ok(found)
}

/// One line, and not one for each time.
fn says_once(found: &mut Found, server: &Server, text: &str) {
    let lines = server.lines(text);
    found.demand(lines == 1, format!("{lines} lines say \"{text}\""));
    let other: Vec<String> = server
        .log()
        .lines()
        .filter(|line| line.contains(" WARN ") || line.contains("ERROR"))
        .filter(|line| !line.contains(text))
        .map(str::to_owned)
        .collect();
    found.demand(
        other.is_empty(),
        format!("the log also says {}", other.join(" / ")),
    );
    if lines == 1 {
        found.say(format!("one line: \"{text}\""));
    }
}

/// A cache folder on a file system of its own, of whose mount no other process learns.
fn mounted(setting: &Setting, options: &str, says: &str) -> Result<Found> {
    let Some(by) = mount_namespace() else {
        return Ok(Found::skipped(
            "neither root nor a user namespace may mount anything here",
        ));
    };
    let folder = setting.folder().join("mounted");
    fs::create_dir_all(&folder)?;
    // The folder must be its user's alone.
    let mount = format!(
        "mount -t tmpfs -o {options},mode=0700 tmpfs '{}'",
        folder.display()
    );
    let launch = setting
        .launch()
        .alone()
        .cache(&folder)
        .among_mounts(by, mount);
    started(setting, launch.spawn()?, says)
}

/// The words that give a command mounts of its own, if that is allowed.
fn mount_namespace() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [
        &["unshare", "--mount"],
        &["unshare", "--user", "--map-root-user", "--mount"],
    ];
    WAYS.into_iter().find(|words| {
        let tried = Command::new(words[0])
            .args(&words[1..])
            .args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    })
}

/// It comes to serve, and says why it is not as it should be.
fn started(setting: &Setting, mut server: Server, says: &str) -> Result<Found> {
    let mut found = Found::default();
    if let Some(why) = server.serves() {
        found.demand(false, why);
        return Ok(found);
    }
    still_serves(setting, &mut found, &server);
    says_once(&mut found, &server, says);
    Ok(found)
}

/// An entry of the cache, and the folder that it is in.
struct Entry {
    code: PathBuf,
    folder: PathBuf,
}

/// Fills a cache, spoils its only entry, and starts again.
fn spoilt(setting: &Setting, spoil: impl FnOnce(&Entry) -> Result<()>) -> Result<Found> {
    let folder = setting.folder().join("spoilt");
    // Each row, and each proof of one, begins with none.
    let _ = fs::remove_dir_all(&folder);
    let launch = || setting.launch().alone().cache(&folder);
    let mut first = launch().start()?;
    first.signal(rustix::process::Signal::TERM)?;
    first.end(PATIENCE).context("it does not end")?;
    let code = fs::read_dir(&folder)?
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|path| path.extension().is_some_and(|kind| kind == "cwasm"))
        .context("the cache has no entry")?;
    spoil(&Entry {
        code,
        folder: folder.clone(),
    })?;
    let mut found = started(setting, launch().spawn()?, "compiling again")?;
    // What was compiled again is kept, and good.
    if found.passed() {
        let again = launch().start()?;
        found.demand(
            again.lines("compiled code from the cache") == 1,
            "what was compiled again was not kept",
        );
    }
    Ok(found)
}

fn corrupt(entry: &Entry) -> Result<()> {
    let mut bytes = fs::read(&entry.code)?;
    // Of the names that are kept for backtraces, so that without a check nothing else would tell.
    let at = find(&bytes, b"hello").context("there is no name to alter")?;
    bytes[at] ^= 1;
    Ok(fs::write(&entry.code, bytes)?)
}

fn truncate(entry: &Entry) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).open(&entry.code)?;
    Ok(file.set_len(file.metadata()?.len() / 2)?)
}

/// The same code by a version that is not ours, with the tag that it would have.
fn make_older(entry: &Entry) -> Result<()> {
    let mut bytes = fs::read(&entry.code)?;
    // The version stands behind its length, in a section of its own.
    let version = find(&bytes, b"\0\x0248").context("the entry names no version")?;
    bytes[version + 2..version + 4].copy_from_slice(b"47");
    fs::write(&entry.code, &bytes)?;
    let key = fs::read(entry.folder.join("key"))?;
    let key: [u8; 32] = key.try_into().ok().context("the key is none")?;
    let name = entry.code.file_stem().unwrap_or_default();
    let mut hasher = blake3::Hasher::new_keyed(&key);
    hasher.update(name.as_encoded_bytes()).update(&bytes);
    let tag = tag_of(&entry.code);
    ensure!(tag.exists(), "the entry has no tag");
    Ok(fs::write(tag, hasher.finalize().as_bytes())?)
}

fn tag_of(code: &Path) -> PathBuf {
    code.with_extension("tag")
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|here| here == what)
}
