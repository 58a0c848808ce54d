//! `wasi:filesystem` for a guest whose component brings files along: descriptors of these stand in one table with all
//! others, and whatever would write is told that the file system can only be read.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, FsResult, InputStream, Pollable, StreamError,
    StreamResult,
};

use super::{Id, Kind, Packed};
use crate::grants::Grants;
use crate::instance::State;
use crate::tmpfs::{Files, date};

/// The most that one call reads, in bytes.
const MOST: usize = 64 << 10;

/// All that a guest sees of files.
pub(crate) struct AllFiles<'a> {
    /// Those of the host, and `/tmp`.
    pub(crate) others: Files<'a>,
    /// Those that the component brings along.
    pub(crate) packed: Option<&'a Arc<Packed>>,
    /// Folders that were granted take the place of ours.
    pub(crate) grants: &'a Grants,
}

/// In place of what wasmtime has put there.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    preopens::add_to_linker::<State, HasFiles>(linker, State::files)?;
    types::add_to_linker::<State, HasFiles>(linker, State::files)?;
    linker.allow_shadowing(false);
    Ok(())
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = AllFiles<'a>;
}

/// What is open: a file, or a folder beneath the one at the top that the guest was shown.
struct Open {
    packed: Arc<Packed>,
    top: Id,
    id: Id,
}

impl Open {
    fn at(&self, path: &str) -> Result<Id, ErrorCode> {
        self.packed.find(self.top, self.id, path)
    }

    fn again(&self, id: Id) -> Self {
        Self {
            packed: Arc::clone(&self.packed),
            top: self.top,
            id,
        }
    }

    fn kind(&self) -> DescriptorType {
        match self.packed.node(self.id).kind {
            Kind::Folder(_) => DescriptorType::Directory,
            Kind::File(_) => DescriptorType::RegularFile,
        }
    }

    fn stat(&self, id: Id) -> DescriptorStat {
        let node = self.packed.node(id);
        let (type_, size) = match &node.kind {
            Kind::Folder(_) => (DescriptorType::Directory, 0),
            Kind::File(range) => (DescriptorType::RegularFile, range.end - range.start),
        };
        let time = date(node.modified);
        DescriptorStat {
            type_,
            link_count: 1,
            size,
            data_access_timestamp: time,
            data_modification_timestamp: time,
            status_change_timestamp: time,
        }
    }

    /// Unlike that of any other file that the guest sees: those of the host are hashes, and those in `/tmp` small.
    fn hash(&self, id: Id) -> MetadataHashValue {
        MetadataHashValue {
            lower: 1 << 63 | u64::from(id),
            upper: 0,
        }
    }

    fn open_at(
        &self,
        path: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Self, ErrorCode> {
        let writes = DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY;
        let id = match self.at(path) {
            Err(ErrorCode::NoEntry) if how.contains(OpenFlags::CREATE) => {
                // Only where there is a folder to make it in.
                let folder = path.trim_end_matches('/').rsplit_once('/');
                self.at(folder.map_or(".", |(folder, _)| folder))?;
                return Err(ErrorCode::ReadOnly);
            }
            other => other?,
        };
        if how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
            return Err(ErrorCode::Exist);
        }
        let open = self.again(id);
        let is_folder = open.kind() == DescriptorType::Directory;
        if how.contains(OpenFlags::DIRECTORY) && !is_folder {
            return Err(ErrorCode::NotDirectory);
        }
        if is_folder && flags.contains(DescriptorFlags::WRITE) {
            return Err(ErrorCode::IsDirectory);
        }
        // The C library asks for the right to change a folder whenever it opens one.
        if how.contains(OpenFlags::TRUNCATE) || flags.intersects(writes) && !is_folder {
            return Err(ErrorCode::ReadOnly);
        }
        Ok(open)
    }
}

/// A file as a stream.
struct Reader {
    open: Open,
    at: u64,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let read = self.open.packed.read(self.open.id, self.at, size.min(MOST));
        let bytes = read.map_err(|error| StreamError::LastOperationFailed(error.into()))?;
        if bytes.is_empty() && size > 0 {
            return Err(StreamError::Closed);
        }
        self.at += bytes.len() as u64;
        Ok(bytes.into())
    }
}

/// The names in a folder, one after the other.
struct Listing {
    open: Open,
    last: Option<Box<str>>,
}

impl Listing {
    fn next(&mut self) -> Option<DirectoryEntry> {
        let (name, id) = self
            .open
            .packed
            .name_after(self.open.id, self.last.as_deref())?;
        let entry = DirectoryEntry {
            type_: self.open.again(id).kind(),
            name: name.to_owned(),
        };
        self.last = Some(entry.name.as_str().into());
        Some(entry)
    }
}

impl AllFiles<'_> {
    /// What is behind a descriptor, if it is ours.
    fn ours(&self, descriptor: &Resource<Descriptor>) -> Option<&Open> {
        let ours: Resource<Open> = Resource::new_borrow(descriptor.rep());
        self.others.wasi.table.get(&ours).ok()
    }

    /// For what would change something.
    fn refuse(&self, descriptor: &Resource<Descriptor>) -> FsResult<()> {
        match self.ours(descriptor) {
            Some(_) => Err(ErrorCode::ReadOnly.into()),
            None => Ok(()),
        }
    }
}

impl preopens::Host for AllFiles<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut folders = preopens::Host::get_directories(&mut self.others)?;
        let Some(packed) = self.packed else {
            return Ok(folders);
        };
        for (name, id) in packed.top() {
            let name = format!("/{name}");
            if self.grants.has_folder(&name) {
                continue;
            }
            let open = Open {
                packed: Arc::clone(packed),
                top: id,
                id,
            };
            let open = self.others.wasi.table.push(open)?;
            folders.push((Resource::new_own(open.rep()), name));
        }
        Ok(folders)
    }
}

impl types::Host for AllFiles<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.others, error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.others, error)
    }
}

impl HostDescriptor for AllFiles<'_> {
    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        match self.ours(&fd) {
            Some(_) => Ok(()),
            None => self.others.advise(fd, offset, length, advice).await,
        }
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        match self.ours(&fd) {
            Some(_) => Ok(()),
            None => self.others.sync_data(fd).await,
        }
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        match self.ours(&fd) {
            Some(_) => Ok(()),
            None => self.others.sync(fd).await,
        }
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        match self.ours(&fd) {
            Some(_) => Ok(DescriptorFlags::READ),
            None => self.others.get_flags(fd).await,
        }
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        match self.ours(&fd) {
            Some(open) => Ok(open.kind()),
            None => self.others.get_type(fd).await,
        }
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        self.refuse(&fd)?;
        self.others.set_size(fd, size).await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.refuse(&fd)?;
        self.others.set_times(fd, accessed, modified).await
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        match self.ours(&fd) {
            Some(open) => {
                let most = usize::try_from(length).map_or(MOST, |length| length.min(MOST));
                let bytes = open.packed.read(open.id, offset, most)?;
                let is_end = bytes.is_empty();
                Ok((bytes, is_end))
            }
            None => self.others.read(fd, length, offset).await,
        }
    }

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        self.refuse(&fd)?;
        self.others.write(fd, bytes, offset).await
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let Some(open) = self.ours(&fd) else {
            return self.others.read_directory(fd).await;
        };
        if open.kind() != DescriptorType::Directory {
            return Err(ErrorCode::NotDirectory.into());
        }
        let listing = Listing {
            open: open.again(open.id),
            last: None,
        };
        let listing = self.others.wasi.table.push(listing)?;
        Ok(Resource::new_own(listing.rep()))
    }

    async fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        self.refuse(&fd)?;
        self.others.create_directory_at(fd, path).await
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        match self.ours(&fd) {
            Some(open) => Ok(open.stat(open.id)),
            None => self.others.stat(fd).await,
        }
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        match self.ours(&fd) {
            Some(open) => Ok(open.stat(open.at(&path)?)),
            None => self.others.stat_at(fd, flags, path).await,
        }
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.refuse(&fd)?;
        let others = &mut self.others;
        others
            .set_times_at(fd, flags, path, accessed, modified)
            .await
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        new_fd: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        self.refuse(&new_fd)?;
        if self.ours(&fd).is_some() {
            return Err(ErrorCode::CrossDevice.into());
        }
        self.others.link_at(fd, flags, old, new_fd, new).await
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let Some(open) = self.ours(&fd) else {
            return self.others.open_at(fd, path_flags, path, how, flags).await;
        };
        let opened = open.open_at(&path, how, flags)?;
        let opened = self.others.wasi.table.push(opened)?;
        Ok(Resource::new_own(opened.rep()))
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        if self.ours(&fd).is_some() {
            let ours: Resource<Open> = Resource::new_own(fd.rep());
            self.others.wasi.table.delete(ours)?;
            return Ok(());
        }
        HostDescriptor::drop(&mut self.others, fd)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        match self.ours(&fd) {
            Some(open) => {
                open.at(&path)?;
                // There are no links.
                Err(ErrorCode::Invalid.into())
            }
            None => self.others.readlink_at(fd, path).await,
        }
    }

    async fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        self.refuse(&fd)?;
        self.others.remove_directory_at(fd, path).await
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        new_fd: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        self.refuse(&fd)?;
        self.refuse(&new_fd)?;
        self.others.rename_at(fd, old, new_fd, new).await
    }

    async fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        new: String,
    ) -> FsResult<()> {
        self.refuse(&fd)?;
        self.others.symlink_at(fd, old, new).await
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.refuse(&fd)?;
        self.others.unlink_file_at(fd, path).await
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let Some(open) = self.ours(&fd) else {
            return self.others.read_via_stream(fd, offset);
        };
        if open.kind() == DescriptorType::Directory {
            return Err(ErrorCode::IsDirectory.into());
        }
        let reader = Reader {
            open: open.again(open.id),
            at: offset,
        };
        let stream: DynInputStream = Box::new(reader);
        Ok(self.others.wasi.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.refuse(&fd)?;
        self.others.write_via_stream(fd, offset)
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.refuse(&fd)?;
        self.others.append_via_stream(fd)
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        match (self.ours(&one), self.ours(&other)) {
            (None, None) => self.others.is_same_object(one, other).await,
            (Some(one), Some(other)) => Ok(one.id == other.id),
            _ => Ok(false),
        }
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        match self.ours(&fd) {
            Some(open) => Ok(open.hash(open.id)),
            None => self.others.metadata_hash(fd).await,
        }
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        match self.ours(&fd) {
            Some(open) => Ok(open.hash(open.at(&path)?)),
            None => self.others.metadata_hash_at(fd, flags, path).await,
        }
    }
}

impl HostDirectoryEntryStream for AllFiles<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let ours: Resource<Listing> = Resource::new_borrow(stream.rep());
        match self.others.wasi.table.get_mut(&ours) {
            Ok(listing) => Ok(listing.next()),
            Err(_) => self.others.read_directory_entry(stream).await,
        }
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        let ours: Resource<Listing> = Resource::new_own(stream.rep());
        if self.others.wasi.table.get(&ours).is_ok() {
            self.others.wasi.table.delete(ours)?;
            return Ok(());
        }
        HostDirectoryEntryStream::drop(&mut self.others, stream)
    }
}
