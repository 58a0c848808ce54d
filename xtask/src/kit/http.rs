//! One request, by hand: what the attackers send, and what is known of an answer before a run is
//! trusted. No client library: each byte and each moment is ours to see.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
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

/// A connection, from an address of the loopback if it matters from which.
pub(crate) fn connect(
    to: SocketAddr,
    from: Option<Ipv4Addr>,
    patience: Duration,
) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(to),
        socket2::Type::STREAM,
        None,
    )?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    socket.connect_timeout(&to.into(), patience)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    Ok(socket.into())
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
    let (version, status) = text.split_once(' ')?;
    let is_known = ["HTTP/1.1", "HTTP/1.0"].contains(&version);
    is_known.then(|| status.parse().ok())?
}

/// What is asked for, other than `GET path` alone.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// The size of its body, which is the letter x again and again.
    pub(crate) body: usize,
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            headers: Vec::new(),
            body: 0,
        }
    }

    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {address}\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if self.body > 0 {
            let _ = write!(text, "Content-Length: {}\r\n", self.body);
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.resize(bytes.len() + self.body, b'x');
        bytes
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names are in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Its size on the wire.
    pub(crate) size: usize,
    /// Whether it is of HTTP/1.0.
    pub(crate) is_old: bool,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        let found = all.find(|(one, _)| one == name)?;
        Some(&found.1)
    }

    /// Whether its body came in chunks, whose number is the server's affair.
    pub(crate) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some()
    }

    /// Whether the server closes the connection after it.
    pub(crate) fn closes(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default();
        if self.is_old {
            !connection.eq_ignore_ascii_case("keep-alive")
        } else {
            connection.eq_ignore_ascii_case("close")
        }
    }

    /// The first answer in the bytes, if all of it is there.
    pub(crate) fn parse(got: &[u8]) -> Result<Option<Self>> {
        let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(&got[..end]);
        let headers = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut response = Self {
            status: status(got).with_context(|| format!("not an answer: {head}"))?,
            headers,
            body: Vec::new(),
            size: 0,
            is_old: got.starts_with(b"HTTP/1.0"),
        };
        let rest = &got[end + 4..];
        let size = if response.is_chunked() {
            let Some((body, size)) = unchunked(rest)? else {
                return Ok(None);
            };
            response.body = body;
            size
        } else {
            let length = response
                .header("content-length")
                .with_context(|| format!("an answer without a length: {head}"))?
                .parse()?;
            let Some(body) = rest.get(..length) else {
                return Ok(None);
            };
            response.body = body.to_owned();
            length
        };
        response.size = end + 4 + size;
        Ok(Some(response))
    }
}

/// A body out of its chunks and what these take on the wire, if the last is there.
fn unchunked(mut got: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let all = got.len();
    let mut body = Vec::new();
    loop {
        let Some(end) = got.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let line = std::str::from_utf8(&got[..end])?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16)
            .with_context(|| format!("`{line}` is not the length of a chunk"))?;
        let Some(chunk) = got.get(end + 2..end + 2 + length + 2) else {
            return Ok(None);
        };
        body.extend_from_slice(&chunk[..length]);
        got = &got[end + 2 + length + 2..];
        if length == 0 {
            return Ok(Some((body, all - got.len())));
        }
    }
}

/// A connection that is kept, as a client has it that asks now and then.
pub(crate) struct Kept {
    address: SocketAddr,
    stream: Option<TcpStream>,
    patience: Duration,
    from: Option<Ipv4Addr>,
}

impl Kept {
    pub(crate) fn new(address: SocketAddr, patience: Duration) -> Self {
        Self {
            address,
            stream: None,
            patience,
            from: None,
        }
    }

    /// From this address of the loopback.
    pub(crate) fn from(mut self, from: Ipv4Addr) -> Self {
        self.from = Some(from);
        self
    }

    /// The next request is on a new connection.
    pub(crate) fn forget(&mut self) {
        self.stream = None;
    }

    /// Whether the next request is on a connection that there is.
    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Connects, unless it is connected.
    pub(crate) fn connect(&mut self) -> std::io::Result<&mut TcpStream> {
        match &mut self.stream {
            Some(stream) => Ok(stream),
            none => Ok(none.insert(connect(self.address, self.from, self.patience)?)),
        }
    }

    /// Asks once, and gives the answer's size on the wire and its body if the status was 200.
    pub(crate) fn get(&mut self, path: &str) -> Result<(usize, Vec<u8>)> {
        let response = self.ask(&Request::get(path))?;
        ensure!(
            response.status == 200,
            "{path}: {}: {}",
            response.status,
            String::from_utf8_lossy(&response.body)
        );
        Ok((response.size, response.body))
    }

    /// Asks once, on a new connection if the last one ended.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Response> {
        let asked = self.exchange(request);
        let closes = asked.as_ref().is_ok_and(Response::closes);
        if asked.is_err() || closes {
            self.stream = None;
        }
        asked
    }

    fn exchange(&mut self, request: &Request) -> Result<Response> {
        let bytes = request.bytes(self.address);
        let stream = self.connect()?;
        stream.write_all(&bytes)?;
        let mut got = Vec::new();
        let mut buffer = [0; 64 << 10];
        loop {
            let count = match stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                count => count?,
            };
            ensure!(count > 0, "closed in mid-answer");
            got.extend_from_slice(&buffer[..count]);
            if let Some(response) = Response::parse(&got)? {
                ensure!(got.len() == response.size, "more came than was announced");
                return Ok(response);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there() {
        let got = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Seen: 20\r\n\r\nhi";
        for end in 0..got.len() {
            assert_eq!(Response::parse(&got[..end]).unwrap(), None);
        }
        let response = Response::parse(got).unwrap().unwrap();
        assert_eq!((response.status, response.size), (200, got.len()));
        assert_eq!(response.header("x-seen"), Some("20"));
        assert_eq!(response.body, b"hi");
    }

    #[test]
    fn it_is_known_whether_a_connection_is_kept() {
        let closes = |head: &str| {
            let got = format!("{head}\r\nContent-Length: 0\r\n\r\n");
            Response::parse(got.as_bytes()).unwrap().unwrap().closes()
        };
        assert!(!closes("HTTP/1.1 200 OK"));
        assert!(closes("HTTP/1.1 200 OK\r\nConnection: Close"));
        assert!(closes("HTTP/1.0 200 OK"));
        assert!(!closes("HTTP/1.0 200 OK\r\nConnection: keep-alive"));
        assert!(Response::parse(b"HTTP/2.0 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_are_put_together() {
        let got = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;a\r\n!\r\n0\r\n\r\n";
        for end in 0..got.len() {
            assert_eq!(Response::parse(&got[..end]).unwrap(), None);
        }
        let response = Response::parse(got).unwrap().unwrap();
        assert_eq!(
            (response.body.as_slice(), response.size),
            (&b"hi!"[..], got.len())
        );
    }

    #[test]
    fn a_request_has_what_it_was_given() {
        let request = Request {
            method: "POST",
            path: "/in".to_owned(),
            headers: vec![("x-bench-01".to_owned(), "one".to_owned())],
            body: 3,
        };
        let bytes = request.bytes("127.0.0.1:80".parse().unwrap());
        let text = "POST /in HTTP/1.1\r\nHost: 127.0.0.1:80\r\nx-bench-01: one\r\nContent-Length: 3\r\n\r\nxxx";
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }
}
