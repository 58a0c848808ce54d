//! `wasi:filesystem` for a guest that has a `/tmp` in memory beside folders of the host. Descriptors of either
//! kind stand in one table, where they can be told apart by what is behind them; what is not ours is left to
//! wasmtime's own implementation, as it is.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::stream::{Listing, MOST, Reader, Writer};
use super::volume::Metadata;
use super::{Open, Result, Tmp};
use crate::grants::TMP;
use crate::memory::Purse;

/// All that a guest sees of files.
pub(crate) struct Files<'a> {
    /// Folders of the host.
    pub(crate) wasi: WasiFilesystemCtxView<'a>,
    /// Ours, where the guest has asked for it.
    pub(crate) tmp: &'a mut Option<Tmp>,
    pub(crate) has_tmp: bool,
    /// Pays for it, up to so many bytes.
    pub(crate) purse: &'a Arc<Purse>,
    pub(crate) most: usize,
}

impl Files<'_> {
    /// What is behind a descriptor, if it is ours.
    fn ours(&self, descriptor: &Resource<Descriptor>) -> Option<&Open> {
        ours(self.wasi.table, descriptor)
    }
}

fn ours<'a>(table: &'a ResourceTable, descriptor: &Resource<Descriptor>) -> Option<&'a Open> {
    table.get(&Resource::new_borrow(descriptor.rep())).ok()
}

/// Two folders to do something with, if both are ours.
enum Pair<'a> {
    Ours(&'a Open, &'a Open),
    Mixed,
    Theirs,
}

impl Files<'_> {
    fn pair(&self, one: &Resource<Descriptor>, other: &Resource<Descriptor>) -> Pair<'_> {
        match (self.ours(one), self.ours(other)) {
            (Some(one), Some(other)) => Pair::Ours(one, other),
            (None, None) => Pair::Theirs,
            _ => Pair::Mixed,
        }
    }
}

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut folders = preopens::Host::get_directories(&mut self.wasi)?;
        if self.has_tmp {
            let tmp = self
                .tmp
                .get_or_insert_with(|| Tmp::new(Arc::clone(self.purse), self.most));
            let root = self.wasi.table.push(tmp.root())?;
            folders.push((Resource::new_own(root.rep()), TMP.to_owned()));
        }
        Ok(folders)
    }
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.wasi, error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        if let Some(code) = self.wasi.table.get(&error)?.downcast_ref::<ErrorCode>() {
            return Ok(Some(*code));
        }
        types::Host::filesystem_error_code(&mut self.wasi, error)
    }
}

impl HostDescriptor for Files<'_> {
    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        match self.ours(&fd) {
            Some(ours) => match ours.metadata()?.kind {
                DescriptorType::RegularFile => Ok(()),
                _ => Err(ErrorCode::BadDescriptor.into()),
            },
            None => self.wasi.advise(fd, offset, length, advice).await,
        }
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        match self.ours(&fd) {
            Some(_) => Ok(()),
            None => self.wasi.sync_data(fd).await,
        }
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        match self.ours(&fd) {
            Some(ours) => Ok(ours.flags()?),
            None => self.wasi.get_flags(fd).await,
        }
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        match self.ours(&fd) {
            Some(ours) => Ok(ours.metadata()?.kind),
            None => self.wasi.get_type(fd).await,
        }
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        match self.ours(&fd) {
            Some(ours) => {
                // As `ftruncate` has it.
                let ours = ours.writable().map_err(|_| ErrorCode::Invalid)?;
                Ok(ours.volume().set_size(ours.id, size)?)
            }
            None => self.wasi.set_size(fd, size).await,
        }
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        match self.ours(&fd) {
            Some(ours) => {
                let (accessed, modified) = (time(accessed)?, time(modified)?);
                Ok(ours.volume().set_times(ours.id, accessed, modified)?)
            }
            None => self.wasi.set_times(fd, accessed, modified).await,
        }
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        match self.ours(&fd) {
            Some(ours) => {
                let most = usize::try_from(length).map_or(MOST, |length| length.min(MOST));
                let ours = ours.readable()?;
                let bytes = ours.volume().read(ours.id, offset, most)?;
                let is_end = bytes.is_empty();
                Ok((bytes, is_end))
            }
            None => self.wasi.read(fd, length, offset).await,
        }
    }

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        match self.ours(&fd) {
            Some(ours) => {
                let ours = ours.writable()?;
                ours.volume().write(ours.id, offset, &bytes)?;
                Ok(bytes.len() as Filesize)
            }
            None => self.wasi.write(fd, bytes, offset).await,
        }
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        match self.ours(&fd) {
            Some(ours) => {
                let listing = Listing::new(ours.again())?;
                let listing = self.wasi.table.push(listing)?;
                Ok(Resource::new_own(listing.rep()))
            }
            None => self.wasi.read_directory(fd).await,
        }
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        match self.ours(&fd) {
            Some(_) => Ok(()),
            None => self.wasi.sync(fd).await,
        }
    }

    async fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        match self.ours(&fd) {
            Some(ours) => Ok(ours.volume().make_dir(ours.id, &path)?),
            None => self.wasi.create_directory_at(fd, path).await,
        }
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        match self.ours(&fd) {
            Some(ours) => Ok(stat(&ours.metadata()?)),
            None => self.wasi.stat(fd).await,
        }
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        match self.ours(&fd) {
            Some(ours) => Ok(stat(&ours.metadata_at(&path)?)),
            None => self.wasi.stat_at(fd, flags, path).await,
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
        match self.ours(&fd) {
            Some(ours) => {
                let (accessed, modified) = (time(accessed)?, time(modified)?);
                let mut volume = ours.volume();
                let id = volume.find_at(ours.id, &path)?;
                Ok(volume.set_times(id, accessed, modified)?)
            }
            None => {
                let wasi = &mut self.wasi;
                wasi.set_times_at(fd, flags, path, accessed, modified).await
            }
        }
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        new_fd: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        match self.pair(&fd, &new_fd) {
            Pair::Ours(ours, to) => Ok(ours.volume().link(ours.id, &old, to.id, &new)?),
            Pair::Mixed => Err(ErrorCode::CrossDevice.into()),
            Pair::Theirs => self.wasi.link_at(fd, flags, old, new_fd, new).await,
        }
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        match self.ours(&fd) {
            Some(ours) => {
                let opened = ours.open_at(&path, how, flags)?;
                let opened = self.wasi.table.push(opened)?;
                Ok(Resource::new_own(opened.rep()))
            }
            None => self.wasi.open_at(fd, path_flags, path, how, flags).await,
        }
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        if self.ours(&fd).is_some() {
            let ours: Resource<Open> = Resource::new_own(fd.rep());
            self.wasi.table.delete(ours)?;
            return Ok(());
        }
        HostDescriptor::drop(&mut self.wasi, fd)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        match self.ours(&fd) {
            Some(ours) => {
                // What is there is no link.
                ours.metadata_at(&path)?;
                Err(ErrorCode::Invalid.into())
            }
            None => self.wasi.readlink_at(fd, path).await,
        }
    }

    async fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        match self.ours(&fd) {
            Some(ours) => Ok(ours.volume().remove_dir(ours.id, &path)?),
            None => self.wasi.remove_directory_at(fd, path).await,
        }
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        new_fd: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        match self.pair(&fd, &new_fd) {
            Pair::Ours(ours, to) => Ok(ours.volume().rename(ours.id, &old, to.id, &new)?),
            Pair::Mixed => Err(ErrorCode::CrossDevice.into()),
            Pair::Theirs => self.wasi.rename_at(fd, old, new_fd, new).await,
        }
    }

    async fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        old: String,
        new: String,
    ) -> FsResult<()> {
        match self.ours(&fd) {
            // As Linux says it of a file system that has none.
            Some(_) => Err(ErrorCode::NotPermitted.into()),
            None => self.wasi.symlink_at(fd, old, new).await,
        }
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        match self.ours(&fd) {
            Some(ours) => Ok(ours.volume().unlink(ours.id, &path)?),
            None => self.wasi.unlink_file_at(fd, path).await,
        }
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let Some(ours) = self.ours(&fd) else {
            return self.wasi.read_via_stream(fd, offset);
        };
        let reader: DynInputStream = Box::new(Reader {
            file: ours.a_file()?.readable()?.again(),
            position: offset,
        });
        Ok(self.wasi.table.push(reader)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let Some(ours) = self.ours(&fd) else {
            return self.wasi.write_via_stream(fd, offset);
        };
        let writer: DynOutputStream = Box::new(Writer {
            file: ours.a_file()?.writable()?.again(),
            position: Some(offset),
        });
        Ok(self.wasi.table.push(writer)?)
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let Some(ours) = self.ours(&fd) else {
            return self.wasi.append_via_stream(fd);
        };
        let writer: DynOutputStream = Box::new(Writer {
            file: ours.a_file()?.writable()?.again(),
            position: None,
        });
        Ok(self.wasi.table.push(writer)?)
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        match self.pair(&one, &other) {
            Pair::Ours(one, other) => Ok(one.is_same(other)),
            Pair::Mixed => Ok(false),
            Pair::Theirs => self.wasi.is_same_object(one, other).await,
        }
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        match self.ours(&fd) {
            Some(ours) => Ok(hash(&ours.metadata()?)),
            None => self.wasi.metadata_hash(fd).await,
        }
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        match self.ours(&fd) {
            Some(ours) => Ok(hash(&ours.metadata_at(&path)?)),
            None => self.wasi.metadata_hash_at(fd, flags, path).await,
        }
    }
}

impl HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let ours: Resource<Listing> = Resource::new_borrow(stream.rep());
        match self.wasi.table.get_mut(&ours) {
            Ok(listing) => Ok(listing.next()),
            Err(_) => self.wasi.read_directory_entry(stream).await,
        }
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        let ours: Resource<Listing> = Resource::new_own(stream.rep());
        if self.wasi.table.get(&ours).is_ok() {
            self.wasi.table.delete(ours)?;
            return Ok(());
        }
        HostDirectoryEntryStream::drop(&mut self.wasi, stream)
    }
}

fn stat(metadata: &Metadata) -> DescriptorStat {
    DescriptorStat {
        type_: metadata.kind,
        link_count: metadata.links.into(),
        size: metadata.size,
        data_access_timestamp: date(metadata.times.accessed),
        data_modification_timestamp: date(metadata.times.modified),
        status_change_timestamp: date(metadata.times.changed),
    }
}

/// What a guest takes for the number of an inode. It is a count, and those of the host's folders are hashes.
fn hash(metadata: &Metadata) -> MetadataHashValue {
    MetadataHashValue {
        lower: metadata.number,
        upper: !metadata.number,
    }
}

/// None leaves it as it is.
fn time(new: NewTimestamp) -> Result<Option<SystemTime>> {
    match new {
        NewTimestamp::NoChange => Ok(None),
        NewTimestamp::Now => Ok(Some(SystemTime::now())),
        NewTimestamp::Timestamp(date) => {
            let second = Duration::from_secs(date.seconds);
            let since = second.checked_add(Duration::from_nanos(date.nanoseconds.into()));
            let time = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            time.map(Some).ok_or(ErrorCode::Overflow)
        }
    }
}

pub(crate) fn date(time: SystemTime) -> Option<Datetime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Datetime {
        seconds: since.as_secs(),
        nanoseconds: since.subsec_nanos(),
    })
}
