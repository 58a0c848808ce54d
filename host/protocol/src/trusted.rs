//! Whose word about a client counts: the proxies that a deployer has named (protocol 2.6).
//!
//! Nobody is among them by default, the loopback neither. What they say, and what is believed
//! of it, is in `forwarded`.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::connection::Endpoint;

/// One thing that a deployer trusts: a network, an address, or the peers of unix sockets.
///
/// As text: `10.0.0.0/8`, `fd00::/8`, `10.0.0.7`, `unix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxy(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Network(IpNet),
    Unix,
}

impl TrustedProxy {
    /// Whether this is about unix sockets.
    pub fn is_unix(&self) -> bool {
        self.0 == Kind::Unix
    }
}

/// The proxies that a deployer trusts; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

impl TrustedProxies {
    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether whoever is at this end of a connection is one of them.
    pub fn trusts(&self, end: &Endpoint) -> bool {
        match end.ip() {
            Some(address) => self.networks.iter().any(|net| net.contains(&address)),
            None => self.unix && *end == Endpoint::Unix,
        }
    }
}

impl FromIterator<TrustedProxy> for TrustedProxies {
    fn from_iter<T: IntoIterator<Item = TrustedProxy>>(proxies: T) -> Self {
        let mut all = Self::default();
        for TrustedProxy(kind) in proxies {
            match kind {
                Kind::Network(network) => all.networks.push(network),
                Kind::Unix => all.unix = true,
            }
        }
        all
    }
}

/// Why a text names no proxy, and how to write one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxyError(String);

impl fmt::Display for TrustedProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for TrustedProxyError {}

impl FromStr for TrustedProxy {
    type Err = TrustedProxyError;

    fn from_str(text: &str) -> Result<Self, TrustedProxyError> {
        let wrong = |why: String| Err(TrustedProxyError(format!("`{text}` {why}")));
        let names_none = || {
            wrong(
                "names no proxy: write an address (10.0.0.7), a network (10.0.0.0/8, fd00::/8), or \
                 unix for the peers of unix sockets; names of hosts are not looked up"
                    .to_owned(),
            )
        };
        if text == "unix" {
            return Ok(Self(Kind::Unix));
        }
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return names_none();
        };
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length = match prefix {
            None => most,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().unwrap_or(u8::MAX)
            }
            Some(_) => return names_none(),
        };
        let Ok(network) = IpNet::new(address, length) else {
            let version = if most == 32 { "IPv4" } else { "IPv6" };
            return wrong(format!(
                "has a prefix that is too long: for {version} it is 1 to {most}"
            ));
        };
        if length == 0 {
            return wrong(
                "would believe everybody, and then any client could claim any address: name the \
                 network of the proxies"
                    .to_owned(),
            );
        }
        if network.addr() != network.network() {
            let whole = network.trunc();
            return wrong(format!(
                "has bits set behind its prefix: write {whole} for the network, or {address} for \
                 this address alone"
            ));
        }
        Ok(Self(Kind::Network(canonical(network))))
    }
}

/// IPv4 that is written as IPv6 is IPv4, as it is in the addresses that are held against it.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    match (network.addr().to_canonical(), network.prefix_len()) {
        (address @ IpAddr::V4(_), length @ MAPPED..) if network.addr().is_ipv6() => {
            IpNet::new(address, length - MAPPED).unwrap_or(network)
        }
        _ => network,
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Unix => f.write_str("unix"),
            Kind::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().fmt(f)
            }
            Kind::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(proxies: &[&str]) -> TrustedProxies {
        let parse = |text: &&str| text.parse::<TrustedProxy>().expect(text);
        proxies.iter().map(parse).collect()
    }

    #[test]
    fn r2_6_nobody_is_trusted_by_default() {
        let nobody = TrustedProxies::default();
        assert!(nobody.is_empty());
        for end in [
            Endpoint::Tcp(([127, 0, 0, 1], 1).into()),
            Endpoint::Ip([10, 0, 0, 1].into()),
            Endpoint::Unix,
            Endpoint::Unknown,
        ] {
            assert!(!nobody.trusts(&end), "{end}");
        }
    }

    #[test]
    fn r2_6_a_proxy_is_trusted_by_its_address_or_as_the_peer_of_a_unix_socket() {
        let check = |proxies: &[&str], address: &str, expected: bool| {
            let end = Endpoint::Ip(address.parse().expect(address));
            let found = trusted(proxies).trusts(&end);
            assert_eq!(found, expected, "{proxies:?} {address}");
        };
        check(&["10.0.0.0/8"], "10.255.0.1", true);
        check(&["10.0.0.0/8"], "11.0.0.1", false);
        check(&["10.0.0.0/8"], "::ffff:10.1.2.3", true);
        check(&["::ffff:10.0.0.0/104"], "10.1.2.3", true);
        check(&["::ffff:10.0.0.0/104"], "11.1.2.3", false);
        check(&["10.0.0.7"], "10.0.0.7", true);
        check(&["10.0.0.7"], "10.0.0.8", false);
        check(&["fd00::/8", "10.0.0.7"], "fd12::1", true);
        check(&["fd00::/8", "10.0.0.7"], "10.0.0.7", true);
        check(&["fd00::/8"], "fe80::1", false);
        check(&["unix"], "127.0.0.1", false);
        // A prefix of IPv6 that is shorter than the mapping covers no IPv4.
        check(&["::/1"], "10.0.0.1", false);

        assert!(trusted(&["unix"]).trusts(&Endpoint::Unix));
        assert!(!trusted(&["10.0.0.0/8"]).trusts(&Endpoint::Unix));
        // What is not known is nobody.
        let all = trusted(&["unix", "0.0.0.0/1", "128.0.0.0/1"]);
        assert!(!all.trusts(&Endpoint::Unknown));
    }

    #[test]
    fn a_proxy_is_shown_as_it_is_written() {
        for text in ["10.0.0.0/8", "fd00::/8", "10.0.0.7", "::1", "unix"] {
            assert_eq!(text.parse::<TrustedProxy>().expect(text).to_string(), text);
        }
        let short = "10.0.0.7/32".parse::<TrustedProxy>().expect("a network");
        assert_eq!(short.to_string(), "10.0.0.7");
    }

    #[test]
    fn what_names_no_proxy_is_told_how_to() {
        for (text, part) in [
            ("", "write an address"),
            ("proxy.example", "not looked up"),
            ("localhost", "not looked up"),
            ("10.0.0.7:80", "write an address"),
            ("[::1]", "write an address"),
            ("10.0.0/8", "write an address"),
            ("10.0.0.0/", "write an address"),
            ("10.0.0.0/+8", "write an address"),
            ("10.0.0.0/8 ", "write an address"),
            ("unix:/run/a.sock", "unix for the peers of unix sockets"),
            ("*", "write an address"),
            ("10.0.0.0/33", "for IPv4 it is 1 to 32"),
            ("fd00::/129", "for IPv6 it is 1 to 128"),
            ("10.0.0.0/99999999", "for IPv4 it is 1 to 32"),
            (
                "10.0.0.7/8",
                "write 10.0.0.0/8 for the network, or 10.0.0.7",
            ),
            ("fd12::1/8", "write fd00::/8 for the network, or fd12::1"),
            ("0.0.0.0/0", "would believe everybody"),
            ("::/0", "would believe everybody"),
        ] {
            let error = text.parse::<TrustedProxy>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
