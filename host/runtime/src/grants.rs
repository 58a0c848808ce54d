//! What a guest may touch beyond its own request. The default names nothing of the host, and nothing of it
//! is what it then gets: no variables, no files, no network. A `/tmp` in memory is its own.

use std::path::PathBuf;

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// The grants of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Environment variables that the guest sees.
    pub env: Vec<(String, String)>,
    /// Folders that the guest sees.
    pub dirs: Vec<DirGrant>,
    /// Whether each instance has an empty `/tmp` of its own: in memory, out of
    /// [`InstanceLimits::memory`](crate::InstanceLimits::memory), and gone with the instance. A folder that
    /// is granted as `/tmp` takes its place.
    pub tmp: bool,
}

impl Default for Grants {
    /// Nothing of the host.
    fn default() -> Self {
        Self {
            env: Vec::new(),
            dirs: Vec::new(),
            tmp: true,
        }
    }
}

/// Where temporary files are, for whoever looks for a place for them.
pub(crate) const TMP: &str = "/tmp";

/// One folder of the host, shown to the guest under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirGrant {
    /// The folder on the host.
    pub host: PathBuf,
    /// The path under which the guest sees it.
    pub guest: String,
    /// Whether the guest may only read.
    pub read_only: bool,
}

/// A `host::guest[:ro]` that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no folder grant: write HOST::GUEST or HOST::GUEST:ro, as in ./data::/data:ro")]
pub struct DirGrantError(String);

impl std::str::FromStr for DirGrant {
    type Err = DirGrantError;

    fn from_str(text: &str) -> Result<Self, DirGrantError> {
        let wrong = || DirGrantError(text.to_owned());
        let (host, guest) = text.split_once("::").ok_or_else(wrong)?;
        let (guest, read_only) = match guest.strip_suffix(":ro") {
            Some(guest) => (guest, true),
            None => (guest, false),
        };
        if host.is_empty() || guest.is_empty() || guest.contains(':') {
            return Err(wrong());
        }
        Ok(Self {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            read_only,
        })
    }
}

/// A granted folder that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the granted folder {} cannot be opened: {cause}", .host.display())]
pub struct GrantError {
    host: PathBuf,
    cause: String,
}

impl Grants {
    /// Refuses what would fail at each request, once, at load.
    pub(crate) fn check(&self) -> Result<(), GrantError> {
        for dir in &self.dirs {
            let cause = match std::fs::metadata(&dir.host) {
                Ok(found) if found.is_dir() => continue,
                Ok(_) => "it is not a folder".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(GrantError {
                host: dir.host.clone(),
                cause,
            });
        }
        Ok(())
    }

    /// Whether there is a `/tmp` in memory.
    pub fn has_tmp(&self) -> bool {
        self.tmp && !self.has_folder(TMP)
    }

    /// Whether a folder is granted under this name.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        self.dirs
            .iter()
            .any(|dir| dir.guest.trim_end_matches('/') == name)
    }

    /// Opens the folders for WASI. Whatever is not named here the guest does not get.
    pub(crate) fn open_dirs(&self, wasi: &mut WasiCtxBuilder) -> Result<(), GrantError> {
        for dir in &self.dirs {
            let permissions = if dir.read_only {
                FsPerms::ReadOnly
            } else {
                FsPerms::ReadWrite
            };
            wasi.preopened_dir(&dir.host, &dir.guest, permissions)
                .map_err(|error| GrantError {
                    host: dir.host.clone(),
                    cause: error.to_string(),
                })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_granted_as_tmp_takes_its_place() {
        let check = |dir: &str, has_tmp| {
            let grants = Grants {
                dirs: vec![dir.parse().unwrap()],
                ..Grants::default()
            };
            assert_eq!(grants.has_tmp(), has_tmp, "{dir}");
        };
        check("/a::/tmp", false);
        check("/a::/tmp/:ro", false);
        check("/a::/tmp/b", true);
        check("/a::/", true);
        assert!(Grants::default().has_tmp());
    }

    #[test]
    fn a_folder_grant_is_host_guest_and_perhaps_ro() {
        let grant = |text: &str| text.parse::<DirGrant>();
        assert_eq!(
            grant("./data::/data:ro"),
            Ok(DirGrant {
                host: "./data".into(),
                guest: "/data".into(),
                read_only: true
            })
        );
        assert!(!grant("/a::/b").unwrap().read_only);
        for wrong in ["", "data", "::", "a::", "::b", "a::b:rw", "a:b"] {
            assert!(grant(wrong).is_err(), "{wrong}");
        }
    }
}
