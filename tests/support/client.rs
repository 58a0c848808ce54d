//! A client that sends bytes as they are, and reads responses by the rules of HTTP/1.1. No library
//! sends broken requests, or tells a body that ended from one that was cut off.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::PATIENCE;

/// How a response's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As its framing says.
    Whole,
    /// The connection was closed, and the framing says so: HTTP/1.0.
    Closed,
    /// The connection was closed before the end that the framing promised.
    CutOff,
    /// The connection was reset.
    Reset,
}

/// A response as it came.
#[derive(Clone, Debug)]
pub struct Response {
    pub version: String,
    pub status: u16,
    pub reason: String,
    /// In order, names as sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub end: End,
}

impl Response {
    /// The value of the only field of this name; none if there is none.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.all(name).into_iter();
        let first = found.next();
        assert!(found.next().is_none(), "several {name} in {self:?}");
        first
    }

    /// All values of this name, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let of_name = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(of_name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn id(&self) -> &str {
        self.header("x-request-id")
            .expect("each response has an id")
    }

    /// The status, for a test that reads as a sentence; the response is shown if it differs.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?}: {}", self.text());
        self
    }

    /// Whether the server said that it closes the connection.
    pub fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// One connection: over TCP, if nothing else is said.
pub struct Client<S = TcpStream> {
    pub stream: S,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Closes by a reset.
    pub fn reset(self) {
        #[allow(deprecated, reason = "blocking in drop only for a linger above zero")]
        self.stream.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl Client<UnixStream> {
    pub async fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).await.unwrap();
        Self::over(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Any stream.
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).await.unwrap();
    }

    /// For a server that may close before all is sent.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Closes the write side (FIN).
    pub async fn finish(&mut self) {
        self.try_finish().await.unwrap();
    }

    /// For a server that may have closed already.
    pub async fn try_finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// The next response, to a request of this method (HEAD has no body).
    pub async fn response(&mut self, method: &str) -> Response {
        timeout(PATIENCE, self.read_response(method))
            .await
            .expect("a response in time")
    }

    /// The response to the request in these bytes.
    pub async fn response_to(&mut self, request: &[u8]) -> Response {
        let method = request
            .split(|&byte| byte == b' ')
            .next()
            .unwrap_or_default();
        self.response(&String::from_utf8_lossy(method)).await
    }

    async fn read_response(&mut self, method: &str) -> Response {
        loop {
            let response = self.read_one(method).await;
            // Informational ones are seen by `read_head`.
            if response.status >= 200 || response.status == 101 {
                return response;
            }
        }
    }

    /// The next head, informational or final; the body is not read.
    pub async fn head(&mut self) -> Response {
        timeout(PATIENCE, self.read_head())
            .await
            .expect("a head in time")
    }

    async fn read_head(&mut self) -> Response {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            match self.more().await {
                Ok(0) => panic!(
                    "the connection closed instead of a response: {:?}",
                    String::from_utf8_lossy(&self.buffer)
                ),
                Ok(_) => {}
                Err(error) => panic!("no response: {error}"),
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        parse_head(&head[..end])
    }

    async fn read_one(&mut self, method: &str) -> Response {
        let mut response = self.read_head().await;
        let status = response.status;
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return response;
        }
        let chunked = response.header("transfer-encoding").is_some();
        let length = response
            .header("content-length")
            .map(|text| text.parse::<usize>().unwrap());
        let (body, end) = match (chunked, length) {
            (true, None) => self.chunked().await,
            (false, Some(length)) => self.exactly(length).await,
            (false, None) => self.until_closed().await,
            (true, Some(_)) => panic!("both lengths in {response:?}"),
        };
        response.body = body;
        response.end = end;
        response
    }

    async fn exactly(&mut self, length: usize) -> (Vec<u8>, End) {
        while self.buffer.len() < length {
            match self.more().await {
                Ok(0) => return (std::mem::take(&mut self.buffer), End::CutOff),
                Ok(_) => {}
                Err(_) => return (std::mem::take(&mut self.buffer), End::Reset),
            }
        }
        (self.buffer.drain(..length).collect(), End::Whole)
    }

    async fn until_closed(&mut self) -> (Vec<u8>, End) {
        loop {
            match self.more().await {
                Ok(0) => return (std::mem::take(&mut self.buffer), End::Closed),
                Ok(_) => {}
                Err(_) => return (std::mem::take(&mut self.buffer), End::Reset),
            }
        }
    }

    async fn chunked(&mut self) -> (Vec<u8>, End) {
        let mut body = Vec::new();
        loop {
            match self.chunk().await {
                Ok(Some(chunk)) if chunk.is_empty() => return (body, End::Whole),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return (body, End::CutOff),
                Err(_) => return (body, End::Reset),
            }
        }
    }

    /// The next chunk of a chunked body: an empty one is its end, none a connection that closed.
    pub async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(line) = self.until(b"\r\n").await? else {
            return Ok(None);
        };
        let size = String::from_utf8(line).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let Some(_) = self.at_least(size + 2).await? else {
            return Ok(None);
        };
        let chunk: Vec<u8> = self.buffer.drain(..size).collect();
        assert_eq!(self.buffer.drain(..2).collect::<Vec<u8>>(), b"\r\n");
        Ok(Some(chunk))
    }

    async fn until(&mut self, mark: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = find(&self.buffer, mark) {
                let taken: Vec<u8> = self.buffer.drain(..at).collect();
                self.buffer.drain(..mark.len());
                return Ok(Some(taken));
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn at_least(&mut self, length: usize) -> io::Result<Option<()>> {
        while self.buffer.len() < length {
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    async fn more(&mut self) -> io::Result<usize> {
        timeout(PATIENCE, self.stream.read_buf(&mut self.buffer))
            .await
            .expect("the server sends or closes in time")
    }

    /// Everything until the server closes; an error if it resets.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more().await? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads so many bytes of a body and keeps none of them.
    pub async fn skip(&mut self, length: u64) {
        let mut left = usize::try_from(length).unwrap();
        let taken = self.buffer.len().min(left);
        self.buffer.drain(..taken);
        left -= taken;
        let mut room = vec![0; left.min(256 << 10)];
        while left > 0 {
            let now = left.min(room.len());
            let read = timeout(PATIENCE, self.stream.read(&mut room[..now])).await;
            let count = read.expect("the server sends in time").unwrap();
            assert_ne!(count, 0, "{left} bytes are missing");
            left -= count;
        }
    }

    /// Whether the server closes the connection without sending anything more.
    pub async fn is_closed(&mut self) -> bool {
        self.rest().await.is_ok_and(|rest| rest.is_empty())
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

/// latin-1, as WSGI has it.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn parse_head(head: &[u8]) -> Response {
    let head = text(head);
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap();
    let mut parts = status_line.splitn(3, ' ');
    let version = parts.next().unwrap().to_owned();
    let status = parts.next().unwrap().parse().unwrap();
    let reason = parts.next().unwrap_or_default().to_owned();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        })
        .collect();
    Response {
        version,
        status,
        reason,
        headers,
        body: Vec::new(),
        end: End::Whole,
    }
}
