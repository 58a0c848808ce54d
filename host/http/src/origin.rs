//! Where a connection comes from: its client, who need not be whoever the socket belongs to.
//!
//! It is known before the first request. What a request's own fields say of its client comes on top, and
//! is the rules' business (`wasm_gw_protocol`).

use wasm_gw_protocol::{ConnInfo, Endpoint};

use crate::config::HttpConfig;

/// Where a connection comes from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The connection, as its client made it.
    pub(crate) info: ConnInfo,
    /// Who the socket belongs to, where that is not the client.
    pub(crate) peer: Option<Endpoint>,
    /// Whether the client is a trusted proxy itself, so that fields of its requests count.
    pub(crate) trusted: bool,
}

impl Origin {
    /// That of a connection of which nobody says anything.
    pub(crate) fn plain(info: ConnInfo, config: &HttpConfig) -> Self {
        Origin {
            trusted: config.trusted_proxies.trusts(&info.remote),
            info,
            peer: None,
        }
    }
}
