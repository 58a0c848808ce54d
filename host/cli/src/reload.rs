//! New versions of components while the server runs: when a file has changed (`--watch`), or by SIGHUP.
//!
//! A new version is compiled beside the old one, which answers meanwhile, and goes on if the new one cannot be
//! served. Options are those of the start.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::signal::unix::Signal;
use tokio::sync::Mutex;
use wasm_gw_runtime::{App, Site};

use crate::log_file::Reopen;
use crate::notify;
use crate::status::Status;
use crate::values::AppFile;

/// How often files are looked at. Events of the system would come sooner, and on shared and mounted folders
/// not at all.
const LOOK: Duration = Duration::from_millis(200);

/// The components that are served, and where they come from.
pub(crate) struct Reload {
    files: Vec<AppFile>,
    site: Site,
    /// One at a time is replaced.
    apps: Mutex<Vec<App>>,
}

impl Reload {
    /// `apps` are those of the files, in their order, and are served by the site.
    pub(crate) fn new(files: Vec<AppFile>, apps: Vec<App>, site: Site) -> Arc<Self> {
        Arc::new(Self {
            files,
            site,
            apps: Mutex::new(apps),
        })
    }

    /// Reloads all components, and opens a log anew, at each SIGHUP, for ever.
    pub(crate) async fn at_signals(
        self: Arc<Self>,
        mut hangup: Signal,
        log: Reopen,
        status: Status,
    ) {
        while hangup.recv().await.is_some() {
            log.ask();
            // Whoever waits for the start, or for the end, is not told of anything between.
            if status.is_serving() {
                notify::reloading();
            }
            tracing::info!("loading all components again");
            for index in 0..self.files.len() {
                self.one(index).await;
            }
            if status.is_serving() {
                notify::ready();
            }
        }
    }

    /// Reloads a component when its file has changed and then stayed as it is for a moment, for ever. `seen` is
    /// what was there before the first was loaded.
    pub(crate) async fn at_changes(self: Arc<Self>, mut seen: Vec<Seen>) {
        loop {
            tokio::time::sleep(LOOK).await;
            for (index, seen) in seen.iter_mut().enumerate() {
                let file = self.files[index].file.clone();
                let look = tokio::task::spawn_blocking(move || Print::of(&file));
                // One that is not there now is about to be put there.
                if let Ok(Some(now)) = look.await
                    && seen.is_new(now)
                {
                    self.one(index).await;
                }
            }
        }
    }

    async fn one(self: &Arc<Self>, index: usize) {
        let mut apps = self.apps.lock().await;
        let begun = Instant::now();
        let (old, file) = (apps[index].clone(), self.files[index].file.clone());
        let loading = tokio::task::spawn_blocking(move || old.new_version(&file));
        let loaded = match loading.await {
            Ok(loaded) => loaded.map_err(anyhow::Error::from),
            Err(error) => Err(error.into()),
        };
        let replaced = loaded.and_then(|app| {
            let mut next = apps.clone();
            next[index] = app;
            self.site.replace(next.clone())?;
            *apps = next;
            Ok(())
        });
        let file = self.files[index].file.display();
        let took = begun.elapsed().as_millis();
        match replaced {
            Ok(()) => {
                let app = &apps[index].config().name;
                tracing::info!(%app, "a new version of {app} is served, after {took} ms");
            }
            Err(error) => {
                tracing::error!(
                    "{file} cannot be served, and the version before it still is: {error:#}"
                );
            }
        }
    }
}

/// What a file is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Print {
    /// None where there is no file.
    fn of(file: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            inode: metadata.ino(),
        })
    }
}

/// What was seen of a file.
pub(crate) struct Seen {
    /// When it was loaded, or was tried to be.
    loaded: Option<Print>,
    latest: Option<Print>,
}

impl Seen {
    /// What is there now, about to be loaded.
    pub(crate) fn of(file: &AppFile) -> Self {
        Self::new(Print::of(&file.file))
    }

    fn new(loaded: Option<Print>) -> Self {
        Self {
            loaded,
            latest: loaded,
        }
    }

    /// Whether this is to be loaded: it is another than what was, and as it was at the last look.
    fn is_new(&mut self, now: Print) -> bool {
        let is_settled = self.latest == Some(now);
        self.latest = Some(now);
        if !is_settled || self.loaded == Some(now) {
            return false;
        }
        self.loaded = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_loaded_once_it_has_settled() {
        let print = |length| Print {
            length,
            modified: None,
            inode: 1,
        };
        let mut seen = Seen::new(Some(print(1)));
        let news: Vec<bool> = [1, 2, 3, 3, 3, 1, 1]
            .map(|length| seen.is_new(print(length)))
            .into();
        assert_eq!(news, [false, false, false, true, false, false, true]);
    }
}
