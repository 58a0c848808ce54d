//! Files and folders as one flat list of nodes, and what they cost. It knows nothing of descriptors but how many
//! there are of a node.
//!
//! Whatever makes something pays for it first and fails before anything has changed. What all that is there has
//! cost can be told from looking at it (`Volume::worth`), which is how the tests hold the books to account.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorType, DirectoryEntry, ErrorCode, OpenFlags,
};

use super::Result;
use super::content::Content;
use super::path::{Path, Step};
use crate::memory::Purse;

/// Which node.
pub(super) type Id = u32;

/// The folder that has no name.
pub(super) const ROOT: Id = 0;

/// So many files and folders can there be.
const MOST_NODES: usize = 65_536;

/// What a node takes of the host's memory beside its place in the list: the first part of a folder's map of names
/// or of a file's map of pages.
const NODE_COST: usize = 320;

/// What a name takes beside its letters: its place in the map of a folder with many.
const NAME_COST: usize = 96;

pub(super) struct Volume {
    slots: Vec<Slot>,
    /// A slot that is free. It names the next.
    free: Option<Id>,
    /// The nodes that were ever made, so that each can be told from those in its place before it.
    made: u64,
    /// What was paid for all of it, and the most that may be, in bytes.
    paid: usize,
    most: usize,
    purse: Arc<Purse>,
}

enum Slot {
    Free(Option<Id>),
    Used(Node),
}

struct Node {
    kind: Kind,
    /// The names it has. The folder without a name has one.
    links: u32,
    /// The descriptors and streams that it has.
    opened: u32,
    number: u64,
    times: Times,
}

enum Kind {
    Dir(Dir),
    File(Content),
}

struct Dir {
    /// Where it is. It means something as long as the folder has a name.
    parent: Id,
    names: BTreeMap<Box<str>, Id>,
}

/// What there is to know of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metadata {
    pub(super) kind: DescriptorType,
    pub(super) links: u32,
    pub(super) size: u64,
    /// Unlike that of any other, also of those that are gone.
    pub(super) number: u64,
    pub(super) times: Times,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When it was made, or what it was set to: reading does not change it.
    pub(super) accessed: SystemTime,
    pub(super) modified: SystemTime,
    pub(super) changed: SystemTime,
}

/// Where a path leads: a name in a folder, or a folder itself where it ends in none.
struct Place<'a> {
    dir: Id,
    name: Option<&'a str>,
    is_dir: bool,
}

impl Volume {
    /// An empty one, which is small enough to be part of what each instance pays. It may take so many bytes.
    pub(super) fn new(purse: Arc<Purse>, most: usize) -> Self {
        let now = SystemTime::now();
        let root = Node {
            kind: Kind::Dir(Dir {
                parent: ROOT,
                names: BTreeMap::new(),
            }),
            links: 1,
            opened: 0,
            number: 1,
            times: Times::all(now),
        };
        Self {
            slots: vec![Slot::Used(root)],
            free: None,
            made: 1,
            paid: 0,
            most,
            purse,
        }
    }

    /// One more descriptor or stream of a node.
    pub(super) fn acquire(&mut self, id: Id) {
        if let Some(node) = self.node_mut(id) {
            node.opened += 1;
        }
    }

    /// One less.
    pub(super) fn release(&mut self, id: Id) {
        if let Some(node) = self.node_mut(id) {
            node.opened -= 1;
            self.free_unused(id);
        }
    }

    /// Opens what a path leads to, made now if that was asked for. It is acquired.
    pub(super) fn open(&mut self, base: Id, path: &str, how: OpenFlags, write: bool) -> Result<Id> {
        let create = how.contains(OpenFlags::CREATE);
        let exclusive = how.contains(OpenFlags::EXCLUSIVE);
        let truncate = how.contains(OpenFlags::TRUNCATE);
        let is_dir = how.contains(OpenFlags::DIRECTORY);
        if is_dir && (create || exclusive || truncate) {
            return Err(ErrorCode::Invalid);
        }
        let place = self.place(base, path)?;
        let id = match self.find(&place) {
            Ok(_) if create && exclusive => return Err(ErrorCode::Exist),
            Ok(id) if self.dir(id).is_ok() => {
                if write || create || truncate {
                    return Err(ErrorCode::IsDirectory);
                }
                id
            }
            Ok(_) if is_dir => return Err(ErrorCode::NotDirectory),
            Ok(id) => {
                if truncate {
                    self.set_size(id, 0)?;
                }
                id
            }
            Err(ErrorCode::NoEntry) if create && place.is_dir => {
                return Err(ErrorCode::IsDirectory);
            }
            Err(ErrorCode::NoEntry) if create => {
                self.make(&place, Kind::File(Content::default()))?
            }
            Err(error) => return Err(error),
        };
        self.acquire(id);
        Ok(id)
    }

    pub(super) fn make_dir(&mut self, base: Id, path: &str) -> Result<()> {
        let place = self.place(base, path)?;
        let dir = Dir {
            parent: place.dir,
            names: BTreeMap::new(),
        };
        self.make(&place, Kind::Dir(dir)).map(drop)
    }

    pub(super) fn remove_dir(&mut self, base: Id, path: &str) -> Result<()> {
        let place = self.place(base, path)?;
        let id = self.find(&place)?;
        if !self.dir(id)?.names.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        let name = place.name.ok_or(ErrorCode::Invalid)?;
        self.remove(place.dir, name);
        Ok(())
    }

    pub(super) fn unlink(&mut self, base: Id, path: &str) -> Result<()> {
        let place = self.place(base, path)?;
        let id = self.find(&place)?;
        if self.dir(id).is_ok() {
            return Err(ErrorCode::IsDirectory);
        }
        // What has no name is a folder.
        let name = place.name.ok_or(ErrorCode::IsDirectory)?;
        self.remove(place.dir, name);
        Ok(())
    }

    /// One more name for a file.
    pub(super) fn link(&mut self, base: Id, old: &str, new_base: Id, new: &str) -> Result<()> {
        let old = self.place(base, old)?;
        let file = self.find(&old)?;
        if self.dir(file).is_ok() {
            return Err(ErrorCode::NotPermitted);
        }
        let new = self.place(new_base, new)?;
        let name = self.vacancy(&new)?;
        if new.is_dir {
            return Err(ErrorCode::NotDirectory);
        }
        self.pay(name_cost(name))?;
        self.insert(new.dir, name, file);
        if let Some(node) = self.node_mut(file) {
            node.links += 1;
            node.times.changed = SystemTime::now();
        }
        Ok(())
    }

    /// Moves what is there, in place of what has the new name.
    pub(super) fn rename(&mut self, base: Id, old: &str, new_base: Id, new: &str) -> Result<()> {
        let old = self.place(base, old)?;
        let new = self.place(new_base, new)?;
        let (Some(old_name), Some(new_name)) = (old.name, new.name) else {
            return Err(ErrorCode::Busy);
        };
        let moved = self.find(&old)?;
        let is_dir = self.dir(moved).is_ok();
        if new.is_dir && !is_dir {
            return Err(ErrorCode::NotDirectory);
        }
        if !self.has_a_name(new.dir) {
            return Err(ErrorCode::NoEntry);
        }
        if is_dir && self.is_within(new.dir, moved) {
            return Err(ErrorCode::Invalid);
        }
        let replaced = self.dir(new.dir)?.names.get(new_name).copied();
        if replaced == Some(moved) {
            return Ok(());
        }
        if let Some(replaced) = replaced {
            match self.dir(replaced) {
                Err(_) if is_dir => return Err(ErrorCode::NotDirectory),
                Ok(_) if !is_dir => return Err(ErrorCode::IsDirectory),
                Ok(dir) if !dir.names.is_empty() => return Err(ErrorCode::NotEmpty),
                _ => {}
            }
        }
        // A name that is there already is paid for. From here on nothing fails.
        let had = name_cost(old_name);
        let has = if replaced.is_some() {
            0
        } else {
            name_cost(new_name)
        };
        self.pay(has.saturating_sub(had))?;
        self.take_name(old.dir, old_name);
        self.insert(new.dir, new_name, moved);
        self.refund(had.saturating_sub(has));
        if let Some(replaced) = replaced {
            self.unlinked(replaced);
        }
        if let Some(node) = self.node_mut(moved) {
            node.times.changed = SystemTime::now();
            if let Kind::Dir(dir) = &mut node.kind {
                dir.parent = new.dir;
            }
        }
        Ok(())
    }

    /// The node that a path leads to.
    pub(super) fn find_at(&self, base: Id, path: &str) -> Result<Id> {
        self.find(&self.place(base, path)?)
    }

    pub(super) fn metadata(&self, id: Id) -> Result<Metadata> {
        let node = self.node(id).ok_or(ErrorCode::BadDescriptor)?;
        let (kind, size) = match &node.kind {
            Kind::Dir(_) => (DescriptorType::Directory, 0),
            Kind::File(content) => (DescriptorType::RegularFile, content.size()),
        };
        Ok(Metadata {
            kind,
            links: node.links,
            size,
            number: node.number,
            times: node.times,
        })
    }

    /// Sets what is given.
    pub(super) fn set_times(
        &mut self,
        id: Id,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let node = self.node_mut(id).ok_or(ErrorCode::BadDescriptor)?;
        let times = &mut node.times;
        times.accessed = accessed.unwrap_or(times.accessed);
        times.modified = modified.unwrap_or(times.modified);
        times.changed = SystemTime::now();
        Ok(())
    }

    /// Up to so many bytes of a file, none at its end.
    pub(super) fn read(&self, id: Id, offset: u64, most: usize) -> Result<Vec<u8>> {
        Ok(self.file(id)?.read(offset, most))
    }

    /// Writes all of it, or nothing if there is no room.
    pub(super) fn write(&mut self, id: Id, offset: u64, bytes: &[u8]) -> Result<()> {
        let cost = self.file(id)?.cost_of_writing(offset, bytes.len())?;
        self.pay(cost)?;
        self.file_mut(id)?.write(offset, bytes);
        self.modified(id);
        Ok(())
    }

    pub(super) fn append(&mut self, id: Id, bytes: &[u8]) -> Result<()> {
        let end = self.file(id)?.size();
        self.write(id, end, bytes)
    }

    pub(super) fn set_size(&mut self, id: Id, size: u64) -> Result<()> {
        let file = self.file_mut(id)?;
        let before = file.cost();
        file.set_size(size)?;
        let freed = before - file.cost();
        self.refund(freed);
        self.modified(id);
        Ok(())
    }

    /// The first entry of a folder whose name comes after this one.
    pub(super) fn entry_after(&self, id: Id, name: Option<&str>) -> Option<DirectoryEntry> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        let names = &self.dir(id).ok()?.names;
        let (name, &id) = names.range::<str, _>((from, Bound::Unbounded)).next()?;
        Some(DirectoryEntry {
            type_: self.metadata(id).ok()?.kind,
            name: name.as_ref().to_owned(),
        })
    }
}

/// Finding.
impl Volume {
    fn node(&self, id: Id) -> Option<&Node> {
        match self.slots.get(id as usize) {
            Some(Slot::Used(node)) => Some(node),
            _ => None,
        }
    }

    fn node_mut(&mut self, id: Id) -> Option<&mut Node> {
        match self.slots.get_mut(id as usize) {
            Some(Slot::Used(node)) => Some(node),
            _ => None,
        }
    }

    fn dir(&self, id: Id) -> Result<&Dir> {
        match self.node(id) {
            Some(Node {
                kind: Kind::Dir(dir),
                ..
            }) => Ok(dir),
            _ => Err(ErrorCode::NotDirectory),
        }
    }

    fn file(&self, id: Id) -> Result<&Content> {
        match self.node(id) {
            Some(Node {
                kind: Kind::File(content),
                ..
            }) => Ok(content),
            _ => Err(ErrorCode::BadDescriptor),
        }
    }

    fn file_mut(&mut self, id: Id) -> Result<&mut Content> {
        match self.node_mut(id) {
            Some(Node {
                kind: Kind::File(content),
                ..
            }) => Ok(content),
            _ => Err(ErrorCode::BadDescriptor),
        }
    }

    /// Where a path leads from a folder, never above it.
    fn place<'a>(&self, base: Id, path: &'a str) -> Result<Place<'a>> {
        let path = Path::new(path)?;
        let mut place = Place {
            dir: base,
            name: None,
            is_dir: path.is_dir,
        };
        let mut depth = 0_usize;
        self.dir(base)?;
        for step in path.steps() {
            // The step before this one led into a folder.
            if let Some(name) = place.name.take() {
                let dir = self.dir(place.dir)?;
                place.dir = *dir.names.get(name).ok_or(ErrorCode::NoEntry)?;
                depth += 1;
            }
            let dir = self.dir(place.dir)?;
            match step {
                Step::Down(name) => place.name = Some(name),
                Step::Up => {
                    depth = depth.checked_sub(1).ok_or(ErrorCode::NotPermitted)?;
                    place.dir = dir.parent;
                }
            }
        }
        Ok(place)
    }

    fn find(&self, place: &Place<'_>) -> Result<Id> {
        let Some(name) = place.name else {
            return Ok(place.dir);
        };
        let found = self.dir(place.dir)?.names.get(name);
        let &id = found.ok_or(ErrorCode::NoEntry)?;
        if place.is_dir {
            self.dir(id)?;
        }
        Ok(id)
    }

    /// The name that something new could have here.
    fn vacancy<'a>(&self, place: &Place<'a>) -> Result<&'a str> {
        match place.name {
            None => Err(ErrorCode::Exist),
            Some(name) if self.dir(place.dir)?.names.contains_key(name) => Err(ErrorCode::Exist),
            Some(_) if !self.has_a_name(place.dir) => Err(ErrorCode::NoEntry),
            Some(name) => Ok(name),
        }
    }

    /// A folder that has been removed and is still open takes nothing in.
    fn has_a_name(&self, id: Id) -> bool {
        self.node(id).is_some_and(|node| node.links > 0)
    }

    /// Whether a folder is another one or somewhere in it.
    fn is_within(&self, mut dir: Id, outer: Id) -> bool {
        loop {
            if dir == outer {
                return true;
            }
            match self.dir(dir) {
                Ok(inner) if dir != ROOT => dir = inner.parent,
                _ => return false,
            }
        }
    }
}

/// Making and removing, and what that costs.
impl Volume {
    fn make(&mut self, place: &Place<'_>, kind: Kind) -> Result<Id> {
        let name = self.vacancy(place)?;
        let cost = NODE_COST + name_cost(name);
        self.pay(cost)?;
        let id = self.vacant_slot().inspect_err(|_| self.refund(cost))?;
        self.made += 1;
        self.slots[id as usize] = Slot::Used(Node {
            kind,
            links: 1,
            opened: 0,
            number: self.made,
            times: Times::all(SystemTime::now()),
        });
        self.insert(place.dir, name, id);
        Ok(id)
    }

    /// A slot that is free, and no longer listed as such.
    fn vacant_slot(&mut self) -> Result<Id> {
        if let Some(id) = self.free {
            if let Some(Slot::Free(next)) = self.slots.get(id as usize) {
                self.free = *next;
            }
            return Ok(id);
        }
        let length = self.slots.len();
        if length == self.slots.capacity() {
            let larger = (2 * length).clamp(8, MOST_NODES);
            if larger == length {
                return Err(ErrorCode::InsufficientSpace);
            }
            // Both are there while one is copied into the other.
            self.pay(slots_cost(larger))?;
            self.slots.reserve_exact(larger - length);
            self.refund(slots_cost(length));
        }
        self.slots.push(Slot::Free(None));
        Id::try_from(length).map_err(|_| ErrorCode::InsufficientSpace)
    }

    /// Gives something a name that has been paid for.
    fn insert(&mut self, dir: Id, name: &str, id: Id) {
        if let Some(Node {
            kind: Kind::Dir(dir),
            ..
        }) = self.node_mut(dir)
        {
            dir.names.insert(name.into(), id);
        }
        self.modified(dir);
    }

    /// Takes a name away without paying back.
    fn take_name(&mut self, dir: Id, name: &str) -> Option<Id> {
        let node = self.node_mut(dir)?;
        let Kind::Dir(inner) = &mut node.kind else {
            return None;
        };
        let id = inner.names.remove(name);
        self.modified(dir);
        id
    }

    /// Takes a name away, and what had it if it is not used otherwise.
    fn remove(&mut self, dir: Id, name: &str) {
        let Some(id) = self.take_name(dir, name) else {
            return;
        };
        self.refund(name_cost(name));
        self.unlinked(id);
    }

    /// A node has a name less.
    fn unlinked(&mut self, id: Id) {
        if let Some(node) = self.node_mut(id) {
            node.links -= 1;
            node.times.changed = SystemTime::now();
            self.free_unused(id);
        }
    }

    /// Frees a node that has neither a name nor a descriptor.
    fn free_unused(&mut self, id: Id) {
        let Some(node) = self.node(id) else {
            return;
        };
        if node.links > 0 || node.opened > 0 {
            return;
        }
        let cost = node.cost();
        // What it was made of is gone before it is paid back.
        self.slots[id as usize] = Slot::Free(self.free);
        self.free = Some(id);
        self.refund(cost);
    }

    fn modified(&mut self, id: Id) {
        if let Some(node) = self.node_mut(id) {
            let now = SystemTime::now();
            (node.times.modified, node.times.changed) = (now, now);
        }
    }

    fn pay(&mut self, bytes: usize) -> Result<()> {
        let paid = self.paid.checked_add(bytes);
        let paid = paid.filter(|&paid| paid <= self.most);
        let paid = paid.ok_or(ErrorCode::InsufficientSpace)?;
        let spent = self.purse.spend_on_memory(bytes);
        spent.map_err(|_| ErrorCode::InsufficientSpace)?;
        self.paid = paid;
        Ok(())
    }

    fn refund(&mut self, bytes: usize) {
        self.paid -= bytes;
        self.purse.refund_memory(bytes);
    }

    /// What all that is there should have cost.
    #[cfg(test)]
    pub(super) fn worth(&self) -> usize {
        let nodes = (0..self.slots.len()).filter_map(|id| self.node(Id::try_from(id).ok()?));
        let nodes: usize = nodes
            .map(|node| {
                let names = match &node.kind {
                    Kind::Dir(dir) => dir.names.keys().map(|name| name_cost(name)).sum(),
                    Kind::File(_) => 0,
                };
                names + node.cost()
            })
            .sum();
        // The folder without a name is free, and so is its place.
        nodes - NODE_COST + slots_cost(self.slots.capacity())
    }

    /// What was paid for it.
    #[cfg(test)]
    pub(super) fn paid(&self) -> usize {
        self.paid
    }
}

impl Node {
    fn cost(&self) -> usize {
        match &self.kind {
            Kind::Dir(_) => NODE_COST,
            Kind::File(content) => NODE_COST + content.cost(),
        }
    }
}

impl Times {
    fn all(time: SystemTime) -> Self {
        Self {
            accessed: time,
            modified: time,
            changed: time,
        }
    }
}

fn name_cost(name: &str) -> usize {
    NAME_COST + name.len()
}

/// What a list of so many slots costs. One is there in any case.
fn slots_cost(slots: usize) -> usize {
    slots.saturating_sub(1) * size_of::<Slot>()
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.slots = Vec::new();
        self.purse.refund_memory(self.paid);
    }
}
