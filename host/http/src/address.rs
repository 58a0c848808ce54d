//! Where a server listens: a TCP address or the path of a unix socket, as a value and as text.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// An address to listen on.
///
/// As text: `127.0.0.1:8080`, `[::1]:0`, `localhost:8080`, `unix:/run/app.sock`. A host name is
/// looked up when the text is parsed and its first address taken; `localhost` is always
/// 127.0.0.1, so that it means the same on every machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a unix stream socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |reason: &str| AddressError {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(error("the path of the unix socket is missing"));
            }
            return Ok(Address::Unix(path.into()));
        }
        if let Ok(address) = text.parse() {
            return Ok(Address::Tcp(address));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(error("expected HOST:PORT or unix:PATH"));
        };
        let Ok(port) = port.parse::<u16>() else {
            return Err(error("the port is not a number from 0 to 65535"));
        };
        if host.is_empty() {
            return Err(error("the host is missing; 0.0.0.0 means every interface"));
        }
        if host.contains(':') {
            return Err(error("an IPv6 address is written in brackets: [::1]:8080"));
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(Address::Tcp((Ipv4Addr::LOCALHOST, port).into()));
        }
        match (host, port).to_socket_addrs() {
            Ok(mut found) => found
                .next()
                .map(Address::Tcp)
                .ok_or_else(|| error("the host has no address")),
            Err(cause) => Err(error(&cause.to_string())),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Text that is no [`Address`], and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    text: String,
    reason: String,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {:?}: {}", self.text, self.reason)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_an_address_and_text_again() {
        for (text, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:0", "[::1]:0"),
            ("localhost:80", "127.0.0.1:80"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:relative.sock", "unix:relative.sock"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "HOST:PORT"),
            ("8080", "HOST:PORT"),
            (":8080", "host is missing"),
            ("::1:8080", "brackets"),
            ("a:b", "port"),
            ("a:70000", "port"),
            ("unix:", "path"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
