//! What a deployer may set about the server: sizes, times, the access log.
//!
//! Plain fields with a `Default` fit for production. Not here: addresses (they are given to
//! [`Server::bind`](crate::Server::bind)) and whatever the application behind the server wants.

use std::time::Duration;

use wasm_gw_protocol::{HeadLimits, TrustedProxies, weak};

use crate::access_log::AccessLog;

/// The bounds a client is held to, and what is written about it.
///
/// ```
/// use wasm_gw_http::HttpConfig;
///
/// let config = HttpConfig { max_body: 1024 * 1024, ..HttpConfig::default() };
/// assert_eq!(config.header_timeout.as_secs(), 10);
/// ```
#[derive(Debug)]
pub struct HttpConfig {
    /// Bounds of a request head: 414, 431 and 501 end there.
    pub head: HeadLimits,
    /// The longest request body accepted, in bytes after decoding (protocol 2.2). A longer
    /// `Content-Length` is answered with 413; a chunked body fails with
    /// [`BodyError::TooLarge`](wasm_gw_protocol::BodyError::TooLarge) while it is read.
    pub max_body: u64,
    /// From the first byte of a head to its last; 408 follows. Also the longest a connection may
    /// stay without having sent anything at all; it is then closed without an answer.
    pub header_timeout: Duration,
    /// How long a connection may rest between two requests before it is closed. Less where all
    /// connections are in use and others wait.
    pub keep_alive_timeout: Duration,
    /// The longest pause between two pieces of a request body while somebody waits for it.
    pub body_timeout: Duration,
    /// The longest time an answer may wait for the client to take any of it. The connection is
    /// then reset.
    pub write_timeout: Duration,
    /// How much of a body a client must send, or of an answer take, while the server waits for it, in
    /// bytes a second; 0 asks for nothing. Who is slower is as one who pauses: each byte buys its share
    /// of a second, and no more than the timeout is ever in hand.
    pub min_rate: u64,
    /// After the server has closed its side: how long it goes on reading, so that what is still
    /// under way does not reset the connection and destroy the answer (RFC 9112 9.6).
    pub linger_timeout: Duration,
    /// The same in bytes: what is read and thrown away before the connection is closed.
    pub linger_bytes: u64,
    /// How long a drain waits for exchanges in flight before it cuts them.
    pub graceful_timeout: Duration,
    /// Connections served at once; further ones wait in the kernel's queue. `None` derives it
    /// from the process's limit of open files, or takes 10,000 where there is none.
    pub max_connections: Option<usize>,
    /// Connections from one address at once, or from one IPv6 network of 64 bits; further ones are closed
    /// as soon as they are accepted. Unix sockets have no address. `None` is a quarter of all.
    pub max_connections_per_address: Option<usize>,
    /// Whom to believe what Forwarded, X-Forwarded-* and X-Request-ID say (protocol 2.6). Nobody by
    /// default.
    pub trusted_proxies: TrustedProxies,
    /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2. It is
    /// believed of trusted proxies, and required of them; connections of others are closed.
    pub proxy_protocol: bool,
    /// Where one line a request goes, if anywhere.
    pub access_log: Option<AccessLog>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            head: HeadLimits::default(),
            max_body: 64 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            min_rate: 256,
            linger_timeout: Duration::from_secs(2),
            linger_bytes: 1024 * 1024,
            graceful_timeout: Duration::from_secs(30),
            max_connections: None,
            max_connections_per_address: None,
            trusted_proxies: TrustedProxies::default(),
            proxy_protocol: false,
            access_log: None,
        }
    }
}

impl HttpConfig {
    /// Without the bounds that a test of them has switched off; all of them as a rule.
    pub(crate) fn weakened(mut self) -> Self {
        const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let times = [
            ("header-timeout", &mut self.header_timeout),
            ("keep-alive-timeout", &mut self.keep_alive_timeout),
            ("body-timeout", &mut self.body_timeout),
            ("write-timeout", &mut self.write_timeout),
        ];
        for (defence, time) in times {
            if weak(defence) {
                *time = FOREVER;
            }
        }
        if weak("body-size") {
            self.max_body = u64::MAX;
        }
        if weak("per-address") {
            self.max_connections_per_address = Some(usize::MAX);
        }
        if weak("head-limits") {
            self.head = HeadLimits {
                target: 1 << 24,
                fields: 1 << 24,
                field: 1 << 24,
                header_section: 1 << 24,
                method: 1 << 24,
            };
        }
        self
    }
}
