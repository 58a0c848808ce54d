//! The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first request.
//!
//! It is read before hyper gets the connection, in the connection's own task, so that a proxy that
//! is silent keeps nobody waiting. Whoever sends the header is believed, so it is read from trusted
//! proxies alone, and where it is asked for it has to be there: a reader that guesses whether it is
//! lets clients send one. Not here: what fields of a request say (`wasm_gw_protocol`), and who is
//! trusted.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::time::sleep_until;
use wasm_gw_protocol::{ConnInfo, Endpoint, Scheme};

use crate::config::HttpConfig;
use crate::origin::Origin;
use crate::shutdown::{LATELY, Stage, Stages};
use crate::stream::Socket;
use crate::times::from_now;

/// The longest header of version 1, its line end included.
const MAX_V1: usize = 107;
/// The longest header of version 2 that is taken. Proxies send some dozen bytes; certificates and
/// the like, which nobody here reads, can make it longer.
const MAX_V2: usize = 4096;

/// Reads the header, and perhaps more: that is the second thing returned. None if the connection is
/// to be closed; if that is anybody's fault, it has been logged.
pub(crate) async fn receive(
    socket: &Socket,
    info: ConnInfo,
    config: &HttpConfig,
    stages: &mut Stages,
) -> Option<(Origin, Vec<u8>)> {
    let peer = match &info.remote {
        Endpoint::Tcp(address) => address.to_string(),
        other => other.to_string(),
    };
    if !config.trusted_proxies.trusts(&info.remote) {
        tracing::info!(
            peer,
            "connection refused: it is to begin with a PROXY header, and its peer is no trusted proxy"
        );
        return None;
    }
    let closed = |why: &str| {
        tracing::warn!(
            peer,
            "connection closed: {why}. Each connection from a trusted proxy is to begin with a PROXY \
             header: let the proxy send it, or do without proxy-protocol"
        );
        None
    };
    let mut buffer = vec![0; MAX_V2];
    let mut filled = 0;
    let mut deadline = from_now(config.header_timeout);
    loop {
        let read = tokio::select! {
            biased;
            read = socket.read(&mut buffer[filled..]) => read,
            stage = stages.next() => match stage {
                Stage::Serving | Stage::HandingOver => continue,
                // As a connection that has just come; see `Connection::drain`.
                Stage::Draining => {
                    deadline = deadline.min(from_now(LATELY));
                    continue;
                }
                Stage::Cut => return None,
            },
            () = sleep_until(deadline) => Err(io::ErrorKind::TimedOut.into()),
        };
        match read {
            // A proxy that only looks whether somebody listens.
            Ok(0) | Err(_) if filled == 0 => return None,
            Ok(0) => return closed("it ended within its PROXY header"),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return closed("its PROXY header took too long");
            }
            Err(error) => {
                tracing::debug!(%error, "connection lost");
                return None;
            }
            Ok(count) => filled += count,
        }
        match parse(&buffer[..filled]) {
            Parsed::Whole(header, length) => {
                let ahead = buffer[length..filled].to_vec();
                return Some((origin(info, header, config), ahead));
            }
            Parsed::Broken(why) => return closed(why),
            // Whatever is longer is broken, so there is room.
            Parsed::Partial => {}
        }
    }
}

/// Where a connection comes from that began with this header.
fn origin(info: ConnInfo, header: Header, config: &HttpConfig) -> Origin {
    match header {
        Header::Client {
            client,
            server,
            tls,
        } => {
            let remote = Endpoint::Tcp(client);
            Origin {
                trusted: config.trusted_proxies.trusts(&remote),
                info: ConnInfo {
                    scheme: if tls { Scheme::Https } else { info.scheme },
                    // Where the client has connected to: its port is the public one.
                    local: Endpoint::Tcp(server),
                    remote,
                    public: info.public,
                },
                peer: Some(info.remote),
            }
        }
        // The proxy itself, or a client that it cannot name: what that one's fields say is not the
        // proxy's word.
        Header::Nobody => Origin {
            trusted: false,
            info,
            peer: None,
        },
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// Whom the proxy speaks for, where it was connected to, and whether that was by TLS.
    Client {
        client: SocketAddr,
        server: SocketAddr,
        tls: bool,
    },
    /// Nobody who has an address.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parsed {
    /// The header, and its length.
    Whole(Header, usize),
    /// More bytes may make it whole.
    Partial,
    /// No header, and why.
    Broken(&'static str),
}

const NO_HEADER: Parsed = Parsed::Broken("it does not begin with a PROXY header");
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads a header of either version at the beginning of these bytes.
fn parse(bytes: &[u8]) -> Parsed {
    let begins = |with: &[u8]| {
        let common = bytes.len().min(with.len());
        bytes[..common] == with[..common]
    };
    if begins(SIGNATURE) {
        parse_v2(bytes)
    } else if begins(b"PROXY ") {
        parse_v1(bytes)
    } else {
        NO_HEADER
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.100 51000 443`, and a line end.
fn parse_v1(bytes: &[u8]) -> Parsed {
    const BROKEN: Parsed = Parsed::Broken("its PROXY header (version 1) is broken");
    let line = &bytes[..bytes.len().min(MAX_V1)];
    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() < MAX_V1 {
            Parsed::Partial
        } else {
            Parsed::Broken("its PROXY header (version 1) is longer than 107 bytes")
        };
    };
    let length = end + 1;
    let text = line[..end].strip_suffix(b"\r").unwrap_or_default();
    let Ok(text) = std::str::from_utf8(text) else {
        return BROKEN;
    };
    let words: Vec<&str> = text.split(' ').collect();
    let header = match words.as_slice() {
        // The rest of such a line means nothing.
        ["PROXY", "UNKNOWN", ..] => Some(Header::Nobody),
        ["PROXY", "TCP4", ends @ ..] => named::<Ipv4Addr>(ends),
        ["PROXY", "TCP6", ends @ ..] => named::<Ipv6Addr>(ends),
        _ => None,
    };
    header.map_or(BROKEN, |header| Parsed::Whole(header, length))
}

fn named<A: FromStr + Into<IpAddr>>(ends: &[&str]) -> Option<Header> {
    let &[client, server, client_port, server_port] = ends else {
        return None;
    };
    let address = |text: &str| text.parse::<A>().ok().map(Into::into);
    let port = |text: &str| {
        // `parse` alone would take `+80`.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    Some(Header::Client {
        client: SocketAddr::new(address(client)?, port(client_port)?),
        server: SocketAddr::new(address(server)?, port(server_port)?),
        tls: false,
    })
}

/// The signature, version and command, family and transport, a length; addresses; then TLVs.
fn parse_v2(bytes: &[u8]) -> Parsed {
    const BROKEN: Parsed = Parsed::Broken("its PROXY header (version 2) is broken");
    const FIXED: usize = SIGNATURE.len() + 4;
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Parsed::Partial;
    };
    let &[.., command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED + length > MAX_V2 {
        return Parsed::Broken("its PROXY header (version 2) is longer than 4096 bytes");
    }
    let Some(body) = rest.get(..length) else {
        return Parsed::Partial;
    };
    let header = match (command, family) {
        // LOCAL: the proxy's own connection, whatever else it says.
        (0x20, _) => Some(Header::Nobody),
        (0x21, 0x11) => addresses::<4>(body),
        (0x21, 0x21) => addresses::<16>(body),
        // No family, a transport that is not ours, or unix sockets: nobody who has an address.
        (0x21, 0x00 | 0x01 | 0x02 | 0x10 | 0x12 | 0x20 | 0x22 | 0x30 | 0x31 | 0x32) => {
            Some(Header::Nobody)
        }
        _ => None,
    };
    header.map_or(BROKEN, |header| Parsed::Whole(header, FIXED + length))
}

/// Two addresses, two ports, and what follows them.
fn addresses<const SIZE: usize>(body: &[u8]) -> Option<Header>
where
    IpAddr: From<[u8; SIZE]>,
{
    let (client, rest) = body.split_first_chunk::<SIZE>()?;
    let (server, rest) = rest.split_first_chunk::<SIZE>()?;
    let (ports, mut rest) = rest.split_first_chunk::<4>()?;
    let &[a, b, c, d] = ports;
    let end = |address: [u8; SIZE], port| SocketAddr::new(IpAddr::from(address), port);
    let mut tls = false;
    while !rest.is_empty() {
        let (&[kind, high, low], after) = rest.split_first_chunk::<3>()?;
        let (value, after) =
            after.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        if kind == SSL {
            // A set of flags, of which one says that the client came by TLS; whether its
            // certificate was verified; further TLVs.
            let (&[flags, ..], _) = value.split_first_chunk::<5>()?;
            tls |= flags & CLIENT_SSL != 0;
        }
        rest = after;
    }
    Some(Header::Client {
        client: end(*client, u16::from_be_bytes([a, b])),
        server: end(*server, u16::from_be_bytes([c, d])),
        tls,
    })
}

const SSL: u8 = 0x20;
const CLIENT_SSL: u8 = 0x01;

#[cfg(test)]
mod tests;
