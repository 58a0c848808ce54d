//! The rules of names, and the books: after whatever was done, what was paid is what is there.

use std::sync::{Arc, Mutex};

use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, OpenFlags,
};
use wasmtime_wasi::p2::{InputStream, OutputStream, StreamError};

use super::stream::{Listing, Reader, Writer};
use super::volume::Volume;
use super::{Open, Tmp, lock};
use crate::memory::{Memory, Purse};

const NEW: OpenFlags = OpenFlags::CREATE;

/// A `/tmp` of an instance that may have so much memory, of a server that has so much.
fn tmp_in(limit: usize, total: usize) -> (Tmp, Arc<Purse>) {
    let hold = Memory::new(total, 0, |_| false).app().hold(0).unwrap();
    let purse = Arc::new(Purse::new(hold, 0, limit));
    let volume = Volume::new(Arc::clone(&purse), limit);
    (Tmp(Arc::new(Mutex::new(volume))), purse)
}

fn tmp() -> Open {
    tmp_in(64 << 20, 256 << 20).0.root()
}

impl Open {
    fn at(&self, path: &str, how: OpenFlags) -> Result<Self, ErrorCode> {
        self.open_at(path, how, DescriptorFlags::READ | DescriptorFlags::WRITE)
    }

    /// A folder.
    fn enter(&self, path: &str) -> Self {
        self.open_at(path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
            .unwrap()
    }

    fn mkdir(&self, path: &str) -> Result<(), ErrorCode> {
        self.volume().make_dir(self.id, path)
    }

    fn rmdir(&self, path: &str) -> Result<(), ErrorCode> {
        self.volume().remove_dir(self.id, path)
    }

    fn unlink(&self, path: &str) -> Result<(), ErrorCode> {
        self.volume().unlink(self.id, path)
    }

    fn rename(&self, old: &str, new: &str) -> Result<(), ErrorCode> {
        self.volume().rename(self.id, old, self.id, new)
    }

    fn link(&self, old: &str, new: &str) -> Result<(), ErrorCode> {
        self.volume().link(self.id, old, self.id, new)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), ErrorCode> {
        self.volume().write(self.id, offset, bytes)
    }

    fn text(&self) -> String {
        let bytes = self.volume().read(self.id, 0, 1000).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut listing = Listing::new(self.again()).unwrap();
        std::iter::from_fn(|| listing.next())
            .map(|entry| entry.name)
            .collect()
    }

    /// What was paid is what is there.
    fn audit(&self) -> usize {
        let volume = self.volume();
        assert_eq!(volume.paid(), volume.worth());
        volume.paid()
    }
}

#[test]
fn a_file_stays_until_its_last_descriptor_is_closed() {
    let tmp = tmp();
    let empty = tmp.audit();
    let file = tmp.at("a", NEW).unwrap();
    file.write(0, b"here").unwrap();
    tmp.unlink("a").unwrap();
    assert_eq!(
        tmp.at("a", OpenFlags::empty()).err(),
        Some(ErrorCode::NoEntry)
    );
    assert_eq!(file.metadata().unwrap().links, 0);
    let again = file.again();
    drop(file);
    assert_eq!(again.text(), "here");
    assert!(tmp.audit() > empty + 4096);
    // Another of its name is another file.
    let other = tmp.at("a", NEW).unwrap();
    assert!(!again.is_same(&other));
    assert_ne!(
        again.metadata().unwrap().number,
        other.metadata().unwrap().number
    );
    drop((again, other));
    tmp.unlink("a").unwrap();
    assert_eq!(tmp.names(), Vec::<String>::new());
    tmp.audit();
}

#[test]
fn paths_do_not_lead_out() {
    let tmp = tmp();
    tmp.mkdir("a").unwrap();
    tmp.mkdir("a/b").unwrap();
    tmp.at("file", NEW).unwrap();
    let check = |from: &Open, path: &str, expected: Result<(), ErrorCode>| {
        let found = from.metadata_at(path).map(drop);
        assert_eq!(found, expected, "{path}");
    };
    check(&tmp, "..", Err(ErrorCode::NotPermitted));
    check(&tmp, "a/../../etc/passwd", Err(ErrorCode::NotPermitted));
    check(&tmp, "/tmp/file", Err(ErrorCode::NotPermitted));
    check(&tmp, "a/../file", Ok(()));
    check(&tmp, "a/b/../..", Ok(()));
    check(&tmp, "none/../file", Err(ErrorCode::NoEntry));
    check(&tmp, "file/../file", Err(ErrorCode::NotDirectory));
    check(&tmp, "file/", Err(ErrorCode::NotDirectory));
    check(&tmp, "file/.", Err(ErrorCode::NotDirectory));
    // Nor out of a folder that is open, whatever is around it.
    check(&tmp.enter("a"), "../file", Err(ErrorCode::NotPermitted));
    check(
        &tmp.enter("a"),
        "b/../../file",
        Err(ErrorCode::NotPermitted),
    );
}

#[test]
fn what_cannot_be_opened_is_told_as_posix_does() {
    let tmp = tmp();
    tmp.mkdir("dir").unwrap();
    tmp.at("file", NEW).unwrap().write(0, b"text").unwrap();
    let check = |path: &str, how: OpenFlags, expected| {
        let found = tmp.at(path, how).map(drop);
        assert_eq!(found, expected, "{path} {how:?}");
    };
    let exclusive = NEW | OpenFlags::EXCLUSIVE;
    check("none", OpenFlags::empty(), Err(ErrorCode::NoEntry));
    check("none/file", NEW, Err(ErrorCode::NoEntry));
    check("none/", NEW, Err(ErrorCode::IsDirectory));
    check("file/none", NEW, Err(ErrorCode::NotDirectory));
    check("file", exclusive, Err(ErrorCode::Exist));
    check("dir", exclusive, Err(ErrorCode::Exist));
    check("dir", OpenFlags::empty(), Err(ErrorCode::IsDirectory));
    check("file", OpenFlags::DIRECTORY, Err(ErrorCode::NotDirectory));
    check("dir", OpenFlags::DIRECTORY | NEW, Err(ErrorCode::Invalid));
    check("file", NEW, Ok(()));
    assert_eq!(tmp.at("file", OpenFlags::empty()).unwrap().text(), "text");
    check("file", OpenFlags::TRUNCATE, Ok(()));
    assert_eq!(tmp.at("file", OpenFlags::empty()).unwrap().text(), "");
    assert_eq!(tmp.mkdir("file"), Err(ErrorCode::Exist));
    assert_eq!(tmp.mkdir("."), Err(ErrorCode::Exist));
    assert_eq!(tmp.rmdir("file"), Err(ErrorCode::NotDirectory));
    assert_eq!(tmp.rmdir("."), Err(ErrorCode::NotEmpty));
    assert_eq!(tmp.unlink("dir"), Err(ErrorCode::IsDirectory));
    assert_eq!(tmp.unlink("."), Err(ErrorCode::IsDirectory));
    tmp.audit();
}

#[test]
fn a_descriptor_does_what_it_was_opened_for() {
    let tmp = tmp();
    let open = |flags| tmp.open_at("a", NEW, flags).unwrap();
    let (reads, writes) = (open(DescriptorFlags::READ), open(DescriptorFlags::WRITE));
    let looks = open(DescriptorFlags::empty());
    assert!(reads.readable().is_ok() && reads.writable().is_err());
    assert!(writes.readable().is_err() && writes.writable().is_ok());
    assert!(looks.readable().is_ok() && looks.writable().is_err());
}

#[test]
fn rename_takes_the_place_of_what_is_there() {
    let tmp = tmp();
    tmp.at("a", NEW).unwrap().write(0, b"a").unwrap();
    let old = tmp.at("b", NEW).unwrap();
    old.write(0, b"b").unwrap();
    tmp.rename("a", "b").unwrap();
    assert_eq!(tmp.names(), ["b"]);
    assert_eq!(tmp.at("b", OpenFlags::empty()).unwrap().text(), "a");
    // What had the name is still open.
    assert_eq!(old.text(), "b");
    tmp.audit();
    tmp.mkdir("d").unwrap();
    tmp.mkdir("d/e").unwrap();
    tmp.mkdir("f").unwrap();
    let check = |old: &str, new: &str, expected| {
        assert_eq!(tmp.rename(old, new), expected, "{old} {new}");
        tmp.audit();
    };
    check("none", "b", Err(ErrorCode::NoEntry));
    check("b", "none/b", Err(ErrorCode::NoEntry));
    check("b", "d", Err(ErrorCode::IsDirectory));
    check("b", "new/", Err(ErrorCode::NotDirectory));
    check("d", "b", Err(ErrorCode::NotDirectory));
    check("f", "d", Err(ErrorCode::NotEmpty));
    check("d", "d/e/f", Err(ErrorCode::Invalid));
    check("d", "d/d", Err(ErrorCode::Invalid));
    check("d/e", "d", Err(ErrorCode::NotEmpty));
    check("d", ".", Err(ErrorCode::Busy));
    check("b", "b", Ok(()));
    check("d", "f", Ok(()));
    check("f/e", "g/", Ok(()));
    assert_eq!(tmp.names(), ["b", "f", "g"]);
    // It knows where it is.
    tmp.metadata_at("g/../b").unwrap();
}

#[test]
fn a_name_more_is_the_same_file() {
    let tmp = tmp();
    let file = tmp.at("a", NEW).unwrap();
    file.write(0, b"text").unwrap();
    tmp.mkdir("d").unwrap();
    tmp.link("a", "d/b").unwrap();
    assert!(tmp.at("d/b", OpenFlags::empty()).unwrap().is_same(&file));
    assert_eq!(file.metadata().unwrap().links, 2);
    assert_eq!(tmp.link("a", "d/b"), Err(ErrorCode::Exist));
    assert_eq!(tmp.link("d", "e"), Err(ErrorCode::NotPermitted));
    // As POSIX has it, both names stay.
    tmp.rename("a", "d/b").unwrap();
    assert_eq!(tmp.names(), ["a", "d"]);
    drop(file);
    tmp.unlink("a").unwrap();
    assert_eq!(tmp.at("d/b", OpenFlags::empty()).unwrap().text(), "text");
    tmp.unlink("d/b").unwrap();
    tmp.rmdir("d").unwrap();
    tmp.audit();
}

#[test]
fn a_folder_that_was_removed_takes_nothing_in() {
    let tmp = tmp();
    tmp.mkdir("d").unwrap();
    tmp.at("a", NEW).unwrap();
    let dir = tmp.enter("d");
    tmp.rmdir("d").unwrap();
    assert_eq!(dir.at("a", NEW).err(), Some(ErrorCode::NoEntry));
    assert_eq!(dir.mkdir("a"), Err(ErrorCode::NoEntry));
    let volume = || tmp.volume();
    let no_entry = Err(ErrorCode::NoEntry);
    assert_eq!(volume().rename(tmp.id, "a", dir.id, "a"), no_entry);
    assert_eq!(volume().link(tmp.id, "a", dir.id, "a"), no_entry);
    assert_eq!(dir.metadata_at(".").unwrap().links, 0);
    assert_eq!(dir.names(), Vec::<String>::new());
    drop(dir);
    tmp.audit();
}

#[test]
fn a_listing_goes_on_while_names_come_and_go() {
    let tmp = tmp();
    for name in ["a", "b", "c", "d"] {
        tmp.at(name, NEW).unwrap();
    }
    tmp.mkdir("e").unwrap();
    let mut listing = Listing::new(tmp.again()).unwrap();
    let mut seen = Vec::new();
    while let Some(entry) = listing.next() {
        if entry.type_ == DescriptorType::RegularFile {
            tmp.unlink(&entry.name).unwrap();
        }
        seen.push(entry.name);
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    assert_eq!(tmp.names(), ["e"]);
    tmp.audit();
    drop(listing);
    tmp.audit();
}

#[test]
fn streams_read_and_write() {
    let tmp = tmp();
    let file = tmp.at("a", NEW).unwrap();
    let writer = |position| Writer {
        file: file.again(),
        position,
    };
    let mut at = writer(Some(2));
    at.write("cd".into()).unwrap();
    at.write("ef".into()).unwrap();
    writer(Some(0)).write("ab".into()).unwrap();
    let mut end = writer(None);
    end.write("gh".into()).unwrap();
    at.write("gH".into()).unwrap();
    end.write("ij".into()).unwrap();
    assert_eq!(file.text(), "abcdefgHij");
    let mut reader = Reader {
        file: file.again(),
        position: 1,
    };
    assert_eq!(reader.read(2).unwrap(), "bc");
    assert_eq!(reader.skip(3).unwrap(), 3);
    assert_eq!(reader.read(100).unwrap(), "gHij");
    assert!(matches!(reader.read(1), Err(StreamError::Closed)));
    assert_eq!(reader.read(0).unwrap(), "");
    end.write("k".into()).unwrap();
    assert_eq!(reader.read(usize::MAX).unwrap(), "k");
}

#[test]
fn what_has_no_room_changes_nothing() {
    let (tmp, purse) = tmp_in(20_000, 256 << 20);
    let root = tmp.root();
    let file = root.at("a", NEW).unwrap();
    file.write(0, &[1; 4096]).unwrap();
    let before = (root.audit(), purse.memory_left());
    assert_eq!(
        file.write(4000, &[2; 20_000]),
        Err(ErrorCode::InsufficientSpace)
    );
    let mut writer = Writer {
        file: file.again(),
        position: Some(4000),
    };
    let refused = writer.write(vec![2; 20_000].into());
    let Err(StreamError::LastOperationFailed(error)) = refused else {
        panic!("{refused:?}");
    };
    let code = error.downcast_ref::<ErrorCode>();
    assert_eq!(code, Some(&ErrorCode::InsufficientSpace));
    assert_eq!(file.metadata().unwrap().size, 4096);
    assert_eq!((root.audit(), purse.memory_left()), before);
    // What fits still does, and at the same place.
    writer.write("2".into()).unwrap();
    assert_eq!(file.volume().read(file.id, 3999, 3).unwrap(), [1, b'2', 1]);
    // A name that is longer than there is room for leaves the file where it is.
    while root.mkdir(&root.names().len().to_string()).is_ok() {}
    let names = root.names();
    purse.spend_on_memory(purse.memory_left()).unwrap();
    assert_eq!(root.rename("a", "b/c"), Err(ErrorCode::NoEntry));
    assert_eq!(root.rename("a", "long"), Err(ErrorCode::InsufficientSpace));
    assert_eq!(root.names(), names);
    // One that is as long, or takes the place of another, needs none.
    root.rename("a", "b").unwrap();
    root.rename("1", "2").unwrap();
    assert_eq!(root.names().len(), names.len() - 1);
    root.rmdir("2").unwrap();
    root.rename("b", "long").unwrap();
    root.audit();
}

#[test]
fn it_may_take_so_much_of_the_memory() {
    let hold = Memory::new(64 << 20, 0, |_| false).app().hold(0).unwrap();
    let purse = Arc::new(Purse::new(hold, 0, 32 << 20));
    let root = Tmp::new(Arc::clone(&purse), 16 << 20).root();
    let file = root.at("a", NEW).unwrap();
    file.write(0, &vec![1; 15 << 20]).unwrap();
    let full = Err(ErrorCode::InsufficientSpace);
    assert_eq!(file.write(15 << 20, &vec![1; 1 << 20]), full);
    assert_eq!(file.write(0, &vec![1; 33 << 20]), full);
    assert!(purse.memory_left() > 16 << 20);
    root.audit();
}

#[test]
fn the_number_of_files_has_an_end() {
    let (tmp, _) = tmp_in(1 << 30, 4 << 30);
    let root = tmp.root();
    let mut files = 0;
    let error = loop {
        match root.at(&files.to_string(), NEW) {
            Ok(_) => files += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, ErrorCode::InsufficientSpace);
    assert_eq!(files, 65_535);
    root.audit();
    root.unlink("7").unwrap();
    root.mkdir("7").unwrap();
    assert!(root.mkdir("8").is_err() && root.mkdir("new").is_err());
    root.audit();
}

#[test]
fn folders_in_folders_are_made_and_dropped_without_end() {
    let (tmp, purse) = tmp_in(1 << 30, 4 << 30);
    let root = tmp.root();
    let mut inner = root.again();
    let mut depth = 0;
    while inner.mkdir("d").is_ok() {
        inner = inner.enter("d");
        depth += 1;
    }
    assert_eq!(depth, 65_535);
    root.audit();
    // The longest way up that there is.
    root.volume()
        .rename(root.id, "d", inner.id, "e")
        .unwrap_err();
    drop((inner, root, tmp));
    assert_eq!(purse.memory_left(), 1 << 30);
}

#[test]
fn the_server_s_budget_is_a_bound_too() {
    let (tmp, purse) = tmp_in(1 << 30, 8 << 20);
    let root = tmp.root();
    let file = root.at("a", NEW).unwrap();
    let mut written = 0;
    while file.write(written, &[1; 65_536]).is_ok() {
        written += 65_536;
    }
    assert!((6 << 20..7 << 20).contains(&written), "{written}");
    assert!(purse.taken() <= 7 << 20);
    root.audit();
    file.volume().set_size(file.id, 0).unwrap();
    root.audit();
    assert!(purse.taken() <= 1 << 20);
}

/// Does what a guest may do, at random, and looks at the books each time.
#[test]
fn the_books_are_right_whatever_is_done() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limit = [100_000, 1 << 20, 16 << 20][seed as usize % 3];
        let (tmp, purse) = tmp_in(limit, 12 << 20);
        let mut opened = vec![tmp.root()];
        let mut listings = Vec::new();
        for _ in 0..2000 {
            let name = |random: &mut fastrand::Rng| {
                let long = "n".repeat(random.usize(1..256));
                let names = ["a", "b", "c", "d", ".", "..", &long];
                let count = random.usize(1..4);
                let steps: Vec<&str> = (0..count).map(|_| names[random.usize(..7)]).collect();
                steps.join("/")
            };
            let (old, new) = (name(&mut random), name(&mut random));
            let one = random.usize(..opened.len());
            let other = opened[random.usize(..opened.len())].id;
            let open = &opened[one];
            let offset = random.u64(..100_000);
            match random.u32(..14) {
                0..3 => opened.extend(open.at(&old, NEW)),
                3 => opened.extend(open.at(&old, OpenFlags::DIRECTORY)),
                4 => opened.extend(open.open_at(&old, OpenFlags::empty(), DescriptorFlags::READ)),
                5 => drop(open.mkdir(&old)),
                6 => drop(open.rmdir(&old)),
                7 => drop(open.unlink(&old)),
                8 => drop(open.volume().rename(open.id, &old, other, &new)),
                9 => drop(open.volume().link(open.id, &old, other, &new)),
                10 => drop(open.write(offset, &vec![1; random.usize(..50_000)])),
                11 => drop(open.volume().set_size(open.id, offset)),
                12 if listings.len() < 20 => {
                    listings.extend(Listing::new(open.again()));
                    if let Some(listing) = listings.last_mut() {
                        listing.next();
                    }
                }
                _ if random.bool() && !listings.is_empty() => {
                    drop(listings.swap_remove(random.usize(..listings.len())));
                }
                _ if one > 0 => drop(opened.swap_remove(one)),
                _ => {}
            }
            let paid = opened[0].audit();
            assert_eq!(purse.memory_left(), limit - paid);
        }
        assert!(lock(&tmp.0).paid() > 0);
        drop((listings, opened, tmp));
        assert_eq!(purse.memory_left(), limit);
    }
}
