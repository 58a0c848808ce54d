//! What WASI shows a guest: its name, its log as stdout and stderr, and what it was granted.

use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use crate::grants::{GrantError, Grants};
use crate::guest_log::{GuestLog, GuestStream, Stream};

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
    wasi
}
