//! A client that sends bytes as they are and reads what comes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use http::StatusCode;

use super::*;

/// A client that sends bytes and reads what comes.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
    Reset,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) status_line: String,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = None;
        for line in self.head.lines().skip(1) {
            if let Some((field, value)) = line.split_once(':')
                && field == name
            {
                assert!(found.is_none(), "{name} twice in {}", self.head);
                found = Some(value.trim());
            }
        }
        found
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Asserts that this is an error page of ours, complete and last on its connection.
    #[track_caller]
    pub(crate) fn assert_page(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        let reason = StatusCode::from_u16(status).unwrap();
        let id = self.field("x-request-id").unwrap();
        let expected = format!(
            "{status} {}\nrequest id: {id}\n",
            reason.canonical_reason().unwrap()
        );
        assert_eq!(self.text(), expected);
        assert_eq!(id.len(), 32);
        assert_eq!(self.field("cache-control"), Some("no-store"));
        assert!(self.field("date").is_some(), "{self:?}");
        assert_eq!(self.field("transfer-encoding"), None);
    }
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client::over(stream)
    }

    /// Ends the sending side.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes so that the server gets a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Client {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// A GET of HTTP/1.1, and its answer.
    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .answer()
    }

    /// Reads one answer, framed as its head says; not one to HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.status < 200 || matches!(answer.status, 204 | 304) {
            return answer;
        }
        if answer.field("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.take_line();
                let size = usize::from_str_radix(line.trim(), 16).unwrap();
                let chunk = self.take(size + 2);
                assert_eq!(&chunk[size..], b"\r\n");
                answer.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    return answer;
                }
            }
        }
        match answer.field("content-length") {
            Some(length) => answer.body = self.take(length.parse().unwrap()),
            None => answer.body = self.rest().0,
        }
        answer
    }

    /// Reads the head of an answer.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        let mut head = String::new();
        loop {
            let line = self.take_line();
            if line == "\r\n" {
                break;
            }
            assert!(line.ends_with("\r\n"), "{line:?}");
            head.push_str(&line);
        }
        let status_line = head.lines().next().unwrap().to_owned();
        Answer {
            status: status_line.split(' ').nth(1).unwrap().parse().unwrap(),
            status_line,
            head: head.to_lowercase(),
            body: Vec::new(),
        }
    }

    /// Reads exactly this many bytes.
    #[track_caller]
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            if let Err(ended) = self.fill() {
                panic!("{ended:?} after {}", self.buffered());
            }
        }
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    #[track_caller]
    fn take_line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return String::from_utf8(self.take(end + 1)).unwrap();
            }
            if let Err(ended) = self.fill() {
                panic!("{ended:?} after {}", self.buffered());
            }
        }
    }

    /// Reads to the end, and says which end it was.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, Ended) {
        loop {
            if let Err(ended) = self.fill() {
                return (std::mem::take(&mut self.buffer), ended);
            }
        }
    }

    /// Asserts that nothing more comes but the end.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let (rest, ended) = self.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "");
        assert_eq!(ended, Ended::Closed);
    }

    fn buffered(&self) -> String {
        let begin = &self.buffer[..self.buffer.len().min(200)];
        let text = String::from_utf8_lossy(begin);
        format!("{} bytes: {text:?}", self.buffer.len())
    }

    fn fill(&mut self) -> Result<(), Ended> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Ended::Closed),
            Ok(count) => {
                self.buffer.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Ended::Reset),
            Err(error) => panic!("{error} after {}", self.buffered()),
        }
    }
}
