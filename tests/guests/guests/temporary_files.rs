//! Uses files in `/tmp`, by `?do=`, and answers with a line for each thing it did:
//!
//! - `use`: makes, reads, changes, moves and removes files and folders.
//! - `refuse`: does what cannot be done.
//! - `unlinked`: goes on with a file that has no name any more, and with one whose name another took.
//! - `spool`: puts the request's body into a file that has no name, and answers with what is in it.
//! - `fill`: writes until there is no room, `?files=` (1) files one after the other; removes them and writes again.
//! - `many`: makes empty files, or folders with `?folders`, until there is no room; removes them and makes one more.
//! - `hostile`: makes files and folders for ever, whatever it is told, and keeps `?open=` (0) of them open.
//! - `leave`: leaves `?name=` there, of `?kib=` (0) KiB. `list`: names what is there.
//! - `grow`: fills `?kib=` KiB, and then takes memory by `memory.grow` until it gets no more.
//!
//! For: the `/tmp` of an instance.

use std::arch::wasm32::memory_grow;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mut said = Said::default();
    match query.text("do", "list").as_str() {
        "use" => uses(&mut said)?,
        "refuse" => refused(&mut said)?,
        "unlinked" => unlinked(&mut said)?,
        "spool" => {
            let mut input = environ.input();
            let mut file = nameless("/tmp/upload")?;
            loop {
                let block = input.read_some(64 << 10)?;
                if block.is_empty() {
                    break;
                }
                file.write_all(&block)?;
            }
            let mut all = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut all)?;
            start_text(&start_response)?;
            return Ok(all.into());
        }
        "fill" => {
            for _ in 0..2 {
                let mut written = 0;
                for number in 0..query.number("files", 1) {
                    let error = fill(&format!("/tmp/{number}"), &mut written);
                    said.that(why(&error));
                }
                said.that(format!("{} KiB", written >> 10));
                for entry in fs::read_dir("/tmp")? {
                    fs::remove_file(entry?.path())?;
                }
            }
        }
        "many" => {
            let folders = query.has("folders");
            let mut count = 0;
            let error = loop {
                match make(&format!("/tmp/{count}"), folders) {
                    Ok(()) => count += 1,
                    Err(error) => break error,
                }
            };
            said.that(why(&error));
            said.that(count);
            said.that(fs::read_dir("/tmp")?.count());
            for number in 0..count {
                let path = format!("/tmp/{number}");
                if folders {
                    fs::remove_dir(path)?;
                } else {
                    fs::remove_file(path)?;
                }
            }
            make("/tmp/one-more", folders)?;
            said.that(names("/tmp")?);
        }
        "hostile" => hostile(query.number("open", 0) as usize),
        "leave" => {
            let name = query.text("name", "left");
            let mut file = File::create(format!("/tmp/{name}"))?;
            for _ in 0..query.number("kib", 0) {
                file.write_all(&[1; 1 << 10])?;
            }
            said.that(names("/tmp")?);
        }
        "list" => said.that(names("/tmp")?),
        "grow" => {
            let kib = query.number("kib", 0) as usize;
            let mut file = File::create("/tmp/a")?;
            for _ in 0..kib {
                file.write_all(&[1; 1 << 10])?;
            }
            let mut pages = 0;
            while memory_grow::<0>(1) != usize::MAX {
                pages += 1;
            }
            said.that(format!("{} KiB", pages * 64));
            let more = fs::write("/tmp/b", [1; 100 << 10]);
            said.result(more);
            drop(file);
            fs::remove_file("/tmp/a")?;
            said.that(memory_grow::<0>(1) != usize::MAX);
        }
        _ => return Err(Error::msg("do what?")),
    }
    start_text(&start_response)?;
    Ok(said.0.into())
}

#[derive(Default)]
struct Said(String);

impl Said {
    fn that(&mut self, what: impl Debug) {
        self.0.push_str(&format!("{what:?}\n"));
    }

    fn result<T: Debug>(&mut self, result: io::Result<T>) {
        self.that(result.map_err(|error| why(&error)));
    }
}

/// In the words of the C library, without its number.
fn why(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os").next().unwrap_or_default().to_owned()
}

fn uses(said: &mut Said) -> io::Result<()> {
    let path = "/tmp/file";
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    file.write_all(b"hello, world")?;
    file.seek(SeekFrom::Start(7))?;
    file.write_all(b"there")?;
    said.that(fs::read_to_string(path)?);
    let mut appending = OpenOptions::new().append(true).open(path)?;
    appending.write_all(b"!")?;
    file.write_all(b"?")?;
    appending.write_all(b"!")?;
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    said.that(text);
    file.set_len(5)?;
    file.set_len(8)?;
    said.that(fs::read(path)?);
    // Further than there is memory.
    file.set_len(1 << 40)?;
    said.that(file.metadata()?.len());
    file.seek(SeekFrom::Start((1 << 40) - 2))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    said.that(end);
    file.set_len(5)?;
    file.sync_all()?;
    file.sync_data()?;
    let about = fs::metadata(path)?;
    said.that((about.is_file(), about.len()));
    let age = about.modified()?.elapsed().map_err(io::Error::other)?;
    said.that(age.as_secs() < 60);

    fs::create_dir_all("/tmp/a/b")?;
    fs::rename(path, "/tmp/a/b/moved")?;
    fs::write("/tmp/a/other", "other")?;
    fs::hard_link("/tmp/a/other", "/tmp/a/same")?;
    fs::copy("/tmp/a/other", "/tmp/a/copy")?;
    said.that(names("/tmp/a")?);
    said.that(fs::read_to_string("/tmp/a/../a/b/../b/moved")?);
    fs::remove_dir_all("/tmp/a")?;
    said.that(names("/tmp")?);
    Ok(())
}

fn refused(said: &mut Said) -> io::Result<()> {
    fs::create_dir("/tmp/dir")?;
    fs::write("/tmp/file", "text")?;
    fs::write("/tmp/dir/file", "text")?;
    said.result(File::open("/tmp/none"));
    said.result(File::create_new("/tmp/file"));
    said.result(File::create("/tmp/dir"));
    said.result(fs::read("/tmp/file/none"));
    said.result(fs::create_dir("/tmp/dir"));
    said.result(fs::remove_dir("/tmp/dir"));
    said.result(fs::remove_file("/tmp/dir"));
    said.result(fs::rename("/tmp/dir", "/tmp/dir/in"));
    said.result(fs::write(format!("/tmp/{}", "n".repeat(256)), ""));
    said.result(fs::read_link("/tmp/file"));
    #[expect(deprecated, reason = "the way to a link that this target has")]
    said.result(fs::soft_link("/tmp/file", "/tmp/link"));
    said.that("descriptors");
    let mut reads = File::open("/tmp/file")?;
    said.that(reads.write(b"x").is_err());
    said.that(reads.set_len(0).is_err());
    let mut writes = OpenOptions::new().write(true).open("/tmp/file")?;
    said.that(writes.read(&mut [0]).is_err());
    said.that(fs::read_to_string("/tmp/file")?);
    Ok(())
}

fn unlinked(said: &mut Said) -> io::Result<()> {
    let mut file = nameless("/tmp/spooled")?;
    let bytes: Vec<u8> = (0..600_000).map(|number| (number % 251) as u8).collect();
    file.write_all(&bytes)?;
    file.seek(SeekFrom::Start(0))?;
    let mut read = Vec::new();
    file.read_to_end(&mut read)?;
    said.that(read == bytes);
    said.that(names("/tmp")?);

    fs::write("/tmp/old", "old")?;
    fs::write("/tmp/new", "new")?;
    let mut old = File::open("/tmp/old")?;
    fs::rename("/tmp/new", "/tmp/old")?;
    let mut text = String::new();
    old.read_to_string(&mut text)?;
    said.that((text, fs::read_to_string("/tmp/old")?));
    said.that(names("/tmp")?);
    Ok(())
}

/// A file that has lost its name, as Python's `TemporaryFile`.
fn nameless(path: &str) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    fs::remove_file(path)?;
    Ok(file)
}

/// Writes until it cannot, and says why.
fn fill(path: &str, written: &mut usize) -> io::Error {
    let mut file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) => return error,
    };
    let block = [1; 4 << 10];
    loop {
        match file.write(&block) {
            Ok(length) => *written += length,
            Err(error) => return error,
        }
    }
}

fn make(path: &str, folder: bool) -> io::Result<()> {
    if folder {
        fs::create_dir(path)
    } else {
        File::create_new(path).map(drop)
    }
}

fn hostile(open: usize) -> ! {
    let mut kept = Vec::new();
    for number in 0_u64.. {
        let name = "n".repeat(number as usize % 200);
        let _ = fs::create_dir(format!("/tmp/{number}-{name}"));
        let _ = fs::write(format!("/tmp/{number}-{name}/{name}"), [1; 100]);
        if kept.len() < open
            && let Ok(mut file) = nameless(&format!("/tmp/{number}"))
        {
            let _ = file.write_all(&[1; 10_000]);
            kept.push(file);
        }
        let _ = fs::rename(format!("/tmp/{number}-{name}"), "/tmp/0-");
        let _ = fs::read_dir("/tmp").map(|entries| entries.take(3).count());
    }
    unreachable!("it goes on for ever")
}

fn names(path: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

wasm_gw_guest::export!(app);
