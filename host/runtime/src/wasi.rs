//! What WASI shows a guest: its name, its log as stdout and stderr, and what it was granted.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use crate::grants::{GrantError, Grants};
use crate::guest_log::{GuestLog, GuestStream, Stream};
use crate::testing::Clocks;

/// One instance's WASI. Most guests never ask for it, so it is made when the first call does; but folders
/// are opened before the guest begins, since they may not be there any more.
pub(crate) struct Wasi {
    made: Option<WasiCtx>,
}

/// What it is made from.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) app: &'a str,
    pub(crate) log: &'a GuestLog,
    pub(crate) grants: &'a Grants,
    /// The most random bytes that one call may ask for.
    pub(crate) random_bytes: u64,
    /// Others than the machine's, for whoever watches the request.
    pub(crate) clocks: Option<Clocks>,
}

impl Wasi {
    /// # Errors
    ///
    /// A granted folder cannot be opened.
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, GrantError> {
        if parts.grants.dirs.is_empty() {
            return Ok(Self { made: None });
        }
        let mut wasi = builder(parts);
        parts.grants.open_dirs(&mut wasi)?;
        let made = Some(wasi.build());
        Ok(Self { made })
    }

    /// The context, made now if it is not there yet, from the same parts as before.
    pub(crate) fn context(&mut self, parts: Parts<'_>) -> &mut WasiCtx {
        self.made.get_or_insert_with(|| builder(parts).build())
    }
}

/// Everything but folders. No network: nothing is allowed to connect.
fn builder(parts: Parts<'_>) -> WasiCtxBuilder {
    let mut wasi = WasiCtx::builder();
    let stream = |stream| GuestStream {
        log: parts.log.clone(),
        stream,
    };
    wasi.arg(parts.app)
        .stdout(stream(Stream::Stdout))
        .stderr(stream(Stream::Stderr))
        .max_random_size(parts.random_bytes)
        .allow_tcp(false)
        .allow_udp(false);
    for (name, value) in &parts.grants.env {
        wasi.env(name, value);
    }
    if let Some(clocks) = parts.clocks {
        wasi.wall_clock(Shifted::new(clocks))
            .monotonic_clock(Shifted::new(clocks));
    }
    wasi
}

/// A clock that somebody has set.
struct Shifted {
    clocks: Clocks,
    begin: Instant,
    readings: AtomicU32,
}

impl Shifted {
    fn new(clocks: Clocks) -> Self {
        Self {
            clocks,
            begin: Instant::now(),
            readings: AtomicU32::new(0),
        }
    }

    /// Since it was made, as it has it.
    fn elapsed(&self) -> Duration {
        let readings = self.readings.fetch_add(1, Ordering::Relaxed);
        self.begin.elapsed() + self.clocks.step * readings
    }
}

impl HostWallClock for Shifted {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let begin = self.clocks.begin.duration_since(SystemTime::UNIX_EPOCH);
        begin.unwrap_or_default() + self.elapsed()
    }
}

impl HostMonotonicClock for Shifted {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
