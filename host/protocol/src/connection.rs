//! Facts about a request that are not in its head: the connection it came over,
//! the id it was given, the processor time it has cost, and what can go wrong while
//! its body arrives.
//!
//! The HTTP server puts [`ConnInfo`], [`RequestId`] and [`CpuTime`] into the
//! request's extensions; nothing here opens a socket or measures time.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

/// The connection a request came over, as its client made it. Lives in the request's extensions.
///
/// Behind a proxy that is trusted it is not the connection that we see:
/// [`TrustedProxies::believe`](crate::TrustedProxies::believe) makes the one from the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnInfo {
    /// `https` with TLS (protocol 2.1), or where a trusted proxy says so.
    pub scheme: Scheme,
    /// Our end.
    pub local: Endpoint,
    /// The client's end.
    pub remote: Endpoint,
    /// What a trusted proxy says of the URL that its client asked for; none if it says nothing.
    pub public: Option<PublicUrl>,
}

impl ConnInfo {
    /// A plain TCP connection: our end, and the client's.
    pub fn tcp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            scheme: Scheme::Http,
            local: Endpoint::Tcp(local),
            remote: Endpoint::Tcp(remote),
            public: None,
        }
    }

    /// A plain connection over a unix socket, whose ends have no addresses.
    pub fn unix() -> Self {
        Self {
            scheme: Scheme::Http,
            local: Endpoint::Unix,
            remote: Endpoint::Unix,
            public: None,
        }
    }
}

/// How the outside names us, where a trusted proxy has told its scheme or its host. Our own port
/// is then not the one that clients know (protocol 2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicUrl {
    /// In place of Host: an [`Authority`](crate::Authority). None if Host is the public one.
    pub host: Option<Arc<str>>,
}

/// The scheme of a request's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// Secured by TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`, as `wsgi.url_scheme` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port a URL of this scheme means when it names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and a port.
    Tcp(SocketAddr),
    /// An address alone, as proxies tell it.
    Ip(IpAddr),
    /// A unix socket, which has neither.
    Unix,
    /// A client whose proxy does not say who it is.
    Unknown,
}

impl Endpoint {
    /// Its address, if it has one that is known: IPv4 where it was mapped into IPv6.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Endpoint::Tcp(address) => Some(address.ip().to_canonical()),
            Endpoint::Ip(address) => Some(address.to_canonical()),
            Endpoint::Unix | Endpoint::Unknown => None,
        }
    }

    /// Its port, if that is known.
    pub fn port(&self) -> Option<u16> {
        match self {
            Endpoint::Tcp(address) => Some(address.port()),
            Endpoint::Ip(_) | Endpoint::Unix | Endpoint::Unknown => None,
        }
    }
}

/// The address without its port, `unix:`, or `-`: as the access log has it.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.ip()) {
            (_, Some(address)) => address.fmt(f),
            (Endpoint::Unix, None) => f.write_str("unix:"),
            (_, None) => f.write_str("-"),
        }
    }
}

/// What ties a request's log lines, its error page and its application together.
///
/// Usually 32 lower-case hexadecimal digits. Cloning it copies a pointer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest id that [`RequestId::parse`] takes over from elsewhere.
    pub const MAX_LEN: usize = 128;

    /// Renders 128 bits as 32 lower-case hexadecimal digits.
    pub fn from_bits(bits: u128) -> Self {
        let mut text = [b'0'; 32];
        for (index, digit) in text.iter_mut().enumerate() {
            let nibble = (bits >> (124 - 4 * index)) as usize & 0xF;
            *digit = b"0123456789abcdef"[nibble];
        }
        RequestId(Arc::from(String::from_utf8_lossy(&text).as_ref()))
    }

    /// Takes over an id made elsewhere: 1 to 128 of `A-Za-z0-9`, `-`, `_`, `.`.
    ///
    /// Nothing else, since ids go into headers, JSON and log lines unescaped.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (fits && text.bytes().all(plain)).then(|| RequestId(Arc::from(text)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The processor time that one request's guest has used so far. Clones share it.
///
/// The HTTP server puts a fresh one into each request's extensions and reads it when it writes
/// the request's log line. Whoever runs the guest adds to it.
#[derive(Clone, Debug, Default)]
pub struct CpuTime(Arc<AtomicU64>); // In nanoseconds, of which 584 years fit.

impl CpuTime {
    /// Adds what was used since the last call.
    pub fn add(&self, used: Duration) {
        let nanos = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        // A count that orders nothing else.
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was used so far.
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// What went wrong while a request body arrived (protocol 2.2).
///
/// It is the error type of the HTTP server's request body; who reads the body
/// finds it by downcasting the chain of sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The client went away before the body was complete.
    Disconnected,
    /// The client sent nothing for too long.
    TimedOut,
    /// The body is larger than allowed.
    TooLarge,
    /// The transfer coding is broken.
    Malformed,
    /// Anything else, in words for the log.
    Other(String),
}

impl BodyError {
    /// The status to answer with while the response head is not out.
    ///
    /// None where no answer is due: the client has gone, or the fault is not its own.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            BodyError::Malformed => Some(StatusCode::BAD_REQUEST),
            BodyError::TimedOut => Some(StatusCode::REQUEST_TIMEOUT),
            BodyError::TooLarge => Some(StatusCode::PAYLOAD_TOO_LARGE),
            BodyError::Disconnected | BodyError::Other(_) => None,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Disconnected => f.write_str("the client went away"),
            BodyError::TimedOut => f.write_str("the client sent nothing for too long"),
            BodyError::TooLarge => f.write_str("the request body is too large"),
            BodyError::Malformed => f.write_str("the request body's transfer coding is broken"),
            BodyError::Other(what) => f.write_str(what),
        }
    }
}

impl Error for BodyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_32_lower_case_hex_digits() {
        let check = |bits: u128, text: &str| assert_eq!(RequestId::from_bits(bits).as_str(), text);
        check(0, "00000000000000000000000000000000");
        check(0xABC, "00000000000000000000000000000abc");
        check(u128::MAX, "ffffffffffffffffffffffffffffffff");
        check(1 << 124, "10000000000000000000000000000000");
    }

    #[test]
    fn a_foreign_request_id_cannot_break_out_of_json_or_a_log_line() {
        for good in ["a", "3f-1_b.2", &"x".repeat(128)] {
            assert_eq!(
                RequestId::parse(good).as_ref().map(RequestId::as_str),
                Some(good)
            );
        }
        for bad in ["", "a b", "a\"", "a\n", "é", &"x".repeat(129)] {
            assert_eq!(RequestId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn clones_of_a_cpu_time_count_together() {
        let cpu = CpuTime::default();
        assert_eq!(cpu.get(), Duration::ZERO);
        cpu.add(Duration::from_nanos(1));
        cpu.clone().add(Duration::from_secs(2));
        assert_eq!(cpu.get(), Duration::new(2, 1));
    }

    #[test]
    fn r2_2_each_body_error_has_its_status() {
        let check = |error: BodyError, status: Option<u16>| {
            assert_eq!(error.status().map(|s| s.as_u16()), status, "{error}");
        };
        check(BodyError::Malformed, Some(400));
        check(BodyError::TimedOut, Some(408));
        check(BodyError::TooLarge, Some(413));
        check(BodyError::Disconnected, None);
        check(BodyError::Other("disk".into()), None);
    }
}
