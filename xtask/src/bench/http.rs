//! One request on a connection of its own, by hand: what the attackers send, and what is known of an
//! answer before a run is trusted. No client library: each byte and each moment is ours to see.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How often a reader that waits looks whether it should go on.
const LOOK: Duration = Duration::from_millis(100);

/// How one request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// The status, if one came.
    pub(crate) status: Option<u16>,
    /// From before the connection was made to the status, or to the end of patience.
    pub(crate) after: Duration,
    /// Whether the server ended the answer itself.
    pub(crate) ended: bool,
    /// Whether the connection could not be made or was cut before a status.
    pub(crate) refused: bool,
}

/// Sends `GET path` and reads until the server closes, for as long as `patient` says. `sent` is
/// called when the request is out.
pub(crate) fn ask(
    address: SocketAddr,
    path: &str,
    sent: impl FnOnce(),
    patient: impl Fn(Instant) -> bool,
) -> Answer {
    let begin = Instant::now();
    let mut answer = Answer {
        status: None,
        after: Duration::ZERO,
        ended: false,
        refused: false,
    };
    let mut stream = match open(address, path) {
        Ok(stream) => stream,
        Err(_) => {
            answer.refused = true;
            answer.after = begin.elapsed();
            return answer;
        }
    };
    sent();
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => {
                answer.ended = true;
                break;
            }
            Ok(count) => {
                // Only the status matters; the rest is read to know that it ends.
                if answer.status.is_none() {
                    head.extend_from_slice(&buffer[..count]);
                    answer.status = status(&head);
                    answer.after = begin.elapsed();
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if !patient(begin) {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => {
                answer.refused = answer.status.is_none();
                break;
            }
        }
    }
    if answer.status.is_none() {
        answer.refused |= answer.ended;
        answer.after = begin.elapsed();
    }
    let _ = stream.shutdown(Shutdown::Both);
    answer
}

fn open(address: SocketAddr, path: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn status(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head.get(..12)?).ok()?;
    text.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

/// A connection that is kept, as a client has it that asks now and then.
pub(crate) struct Kept {
    address: SocketAddr,
    stream: Option<TcpStream>,
    patience: Duration,
}

impl Kept {
    pub(crate) fn new(address: SocketAddr, patience: Duration) -> Self {
        Self {
            address,
            stream: None,
            patience,
        }
    }

    /// Asks once, and gives the answer's size on the wire and its body if the status was 200.
    pub(crate) fn get(&mut self, path: &str) -> Result<(usize, Vec<u8>)> {
        let asked = self.exchange(path);
        if asked.is_err() {
            self.stream = None;
        }
        asked
    }

    fn exchange(&mut self, path: &str) -> Result<(usize, Vec<u8>)> {
        let stream = if let Some(stream) = &mut self.stream {
            stream
        } else {
            let stream = TcpStream::connect_timeout(&self.address, self.patience)?;
            stream.set_read_timeout(Some(self.patience))?;
            stream.set_nodelay(true)?;
            self.stream.insert(stream)
        };
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n",
            self.address
        )?;
        let mut got = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some((head, length)) = head_of(&got)?
                && got.len() >= head + length
            {
                ensure!(got.len() == head + length, "more came than was announced");
                ensure!(
                    status(&got) == Some(200),
                    "{path}: {}",
                    String::from_utf8_lossy(&got)
                );
                return Ok((got.len(), got.split_off(head)));
            }
            let count = stream.read(&mut buffer)?;
            ensure!(count > 0, "closed in mid-answer");
            got.extend_from_slice(&buffer[..count]);
        }
    }
}

/// The lengths of a head that is complete and of the body it announces.
fn head_of(got: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .with_context(|| format!("an answer without a length: {head}"))?;
    Ok(Some((end + 4, length.trim().parse()?)))
}
