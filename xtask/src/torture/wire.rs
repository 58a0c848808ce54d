//! Bytes as an attacker sends them, and what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::http::{Response, connect};

/// How long an attacker waits for a connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The most that is kept of what comes.
const KEPT: usize = 1 << 20;

/// What came back.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) bytes: Vec<u8>,
    /// Whether the server ended the connection, in whatever way.
    pub(crate) closed: bool,
    /// From the first byte sent to the end.
    pub(crate) after: Duration,
}

impl Heard {
    /// The statuses of the answers, one after the other.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        statuses(&self.bytes)
    }

    /// "400 and closed".
    pub(crate) fn text(&self) -> String {
        let statuses = self.statuses();
        let answers = if statuses.is_empty() {
            "no answer".to_owned()
        } else {
            let each: Vec<String> = statuses.iter().map(u16::to_string).collect();
            each.join(", ")
        };
        let end = if self.closed { "closed" } else { "open" };
        format!("{answers} and {end}")
    }
}

/// The statuses of answers that follow one another. One whose length cannot be told is the last.
pub(crate) fn statuses(mut bytes: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !bytes.is_empty() {
        match Response::parse(bytes) {
            Ok(Some(response)) => {
                statuses.push(response.status);
                bytes = &bytes[response.size..];
            }
            Ok(None) | Err(_) => {
                let digits = bytes
                    .starts_with(b"HTTP/1.")
                    .then(|| std::str::from_utf8(bytes.get(9..12)?).ok())
                    .flatten();
                statuses.extend(digits.and_then(|digits| digits.parse::<u16>().ok()));
                break;
            }
        }
    }
    statuses
}

/// Sends these bytes, and reads until the server closes or is silent for so long.
pub(crate) fn say(to: SocketAddr, bytes: &[u8], silence: Duration) -> Heard {
    let Ok(stream) = connect(to, None, PATIENCE) else {
        return Heard {
            bytes: Vec::new(),
            closed: true,
            after: Duration::ZERO,
        };
    };
    let begin = Instant::now();
    thread::scope(|scope| {
        // A server may answer, and close, before it has read all.
        if let Ok(mut writer) = stream.try_clone() {
            scope.spawn(move || {
                let _ = writer.write_all(bytes);
            });
        }
        let heard = listen(&stream, begin, silence);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        heard
    })
}

/// Reads until the server closes or is silent for so long.
pub(crate) fn listen(mut stream: &TcpStream, begin: Instant, silence: Duration) -> Heard {
    let _ = stream.set_read_timeout(Some(silence));
    let mut heard = Heard {
        bytes: Vec::new(),
        closed: false,
        after: Duration::ZERO,
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => {
                heard.closed = true;
                break;
            }
            Ok(count) => {
                let room = KEPT.saturating_sub(heard.bytes.len()).min(count);
                heard.bytes.extend_from_slice(&buffer[..room]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                heard.closed = !waits.contains(&error.kind());
                break;
            }
        }
    }
    heard.after = begin.elapsed();
    heard
}

/// Whether the server has closed or reset a connection, without waiting. What came is thrown away.
pub(crate) fn is_closed(mut stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let mut buffer = [0; 4096];
    let closed = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break error.kind() != ErrorKind::WouldBlock,
        }
    };
    let _ = stream.set_nonblocking(false);
    closed
}

/// Ends a connection by a reset.
pub(crate) fn reset(stream: TcpStream) {
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

/// One address of the loopback for each number.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    let [.., a, b] = (number as u32 % 0xffff).to_be_bytes();
    let block = 100 + (number / 0xffff) as u8 % 64;
    Ipv4Addr::new(127, block, a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let check = |bytes: &[u8], expected: &[u16]| assert_eq!(statuses(bytes), expected);
        check(b"", &[]);
        check(b"nonsense", &[]);
        check(b"HTTP/1.1 400 Bad Request\r\n\r\n", &[400]);
        let one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        check(one, &[200]);
        check(&[&one[..], one].concat(), &[200, 200]);
        check(&[&one[..], b"HTTP/1.1 408 "].concat(), &[200, 408]);
    }

    #[test]
    fn numbers_are_addresses_of_their_own() {
        let all: std::collections::HashSet<_> = (0..100_000).map(address).collect();
        assert_eq!(all.len(), 100_000);
        assert!(all.iter().all(|address| address.is_loopback()));
    }
}
