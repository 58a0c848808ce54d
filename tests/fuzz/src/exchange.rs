//! Any row of calls that an application could make, against `Exchange`, with a count of what is sent beside it.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Version};
use wasm_gw_protocol::{
    Broken, Exchange, Head, Length, RequestKind, ResponseLimits, Send, StartError, WriteError,
};

use crate::process::see;
use crate::source::Source;

const STATUSES: [&str; 14] = [
    "200 OK",
    "200 ",
    "204 No Content",
    "304 Not Modified",
    "404 Not Found",
    "500 x",
    "999 Far",
    "100 Continue",
    "101 Switching Protocols",
    "200",
    "2000 OK",
    "200 OK\r\nX: y",
    "",
    "205 Reset Content",
];

const NAMES: [&str; 14] = [
    "Content-Type",
    "content-length",
    "Content-Length",
    "Transfer-Encoding",
    "connection",
    "Trailer",
    "Server",
    "Date",
    "X-A",
    "Set-Cookie",
    "a b",
    "",
    "X\r\nY",
    "Upgrade",
];

const VALUES: [&str; 12] = [
    "text/plain",
    "0",
    "1",
    "5",
    "17",
    " 5 ",
    "+5",
    "18446744073709551616",
    "chunked",
    "a\r\nX: y",
    "\u{e9}",
    "",
];

/// What may never be among the fields of a head.
const ABOUT_THE_CONNECTION: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// What was sent so far.
struct Sent {
    kind: RequestKind,
    limits: ResponseLimits,
    head: Option<(http::StatusCode, Length)>,
    body: u64,
    /// `abort`, `disconnect`, or `headers-sent`: nothing may follow.
    is_over: bool,
    is_whole: bool,
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let kind = RequestKind {
        head: source.once_in(4),
        version: source.one_of(&[Version::HTTP_11, Version::HTTP_10, Version::HTTP_2]),
    };
    let limits = ResponseLimits {
        fields: source.one_of(&[128, 4]),
        header_section: source.one_of(&[65_536, 64]),
    };
    let server = source
        .once_in(2)
        .then(|| HeaderValue::from_static("wasm-gw"));
    let mut exchange = Exchange::new(kind, limits.clone(), server);
    let mut sent = Sent {
        kind,
        limits,
        head: None,
        body: 0,
        is_over: false,
        is_whole: false,
    };
    for _ in 0..64 {
        if source.is_empty() {
            break;
        }
        step(&mut source, &mut exchange, &mut sent);
        assert_eq!(exchange.head_sent(), sent.head.is_some());
        assert_eq!(exchange.body_sent(), sent.body);
        if let Some((_, Length::Known(length))) = sent.head {
            assert!(sent.body <= length, "{} of {length} bytes", sent.body);
            assert!(exchange.wants_more() <= (sent.body < length));
        }
        let _ = exchange.take_notices();
    }
}

fn step(source: &mut Source<'_>, exchange: &mut Exchange, sent: &mut Sent) {
    match source.below(12) {
        0..=2 => start(source, exchange, sent),
        3..=4 => {
            let given = block(source);
            let length = given.len() as u64;
            match exchange.write(given) {
                Ok(send) => {
                    // A block is written whole or refused, but where there is no body at all.
                    let before = sent.body;
                    sent.take(send);
                    let added = sent.body - before;
                    assert!(added == length || added == 0 && !sent.has_body());
                    assert!(sent.head.is_some(), "a write without a head");
                }
                Err(WriteError::Disconnected | WriteError::Aborted | WriteError::BodyStarted) => {}
                Err(WriteError::ContentLengthExceeded) => assert!(length > 0),
            }
        }
        5 => exchange.returned(),
        6 => exchange.iteration_began(),
        7..=8 => {
            let result = exchange.block(block(source));
            sent.take_or(result);
        }
        9 => {
            let result = match source.below(3) {
                0 => exchange.finish(),
                1 => exchange.empty(),
                _ => exchange.whole(block(source)),
            };
            let is_ok = result.is_ok();
            sent.take_or(result);
            if is_ok && !sent.is_whole {
                sent.end();
            }
        }
        10 => {
            exchange.abort();
            sent.is_over = true;
        }
        _ => {
            exchange.disconnect();
            sent.is_over = true;
        }
    }
}

fn start(source: &mut Source<'_>, exchange: &mut Exchange, sent: &mut Sent) {
    let status = match source.once_in(8) {
        true => source.text(12),
        false => source.one_of(&STATUSES).to_owned(),
    };
    let fields: Vec<(String, String)> = (0..source.below(6))
        .map(|_| {
            let name = match source.once_in(8) {
                true => source.text(8),
                false => source.one_of(&NAMES).to_owned(),
            };
            let value = match source.once_in(8) {
                true => source.text(100),
                false => source.one_of(&VALUES).to_owned(),
            };
            (name, value)
        })
        .collect();
    let exc_info = source.once_in(3);
    let had_started = exchange.started().is_some();
    let fields = fields.iter().map(|(name, value)| (&**name, &**value));
    match exchange.start(&status, fields, exc_info) {
        Ok(()) => {
            assert!(exc_info || !had_started, "started twice");
            assert!(sent.head.is_none(), "a head after the head");
        }
        Err(StartError::HeadersSent) => {
            assert!(exc_info && sent.head.is_some());
            sent.is_over = true;
        }
        Err(_) => {}
    }
}

fn block(source: &mut Source<'_>) -> Bytes {
    static BYTES: [u8; 64] = [b'x'; 64];
    Bytes::from_static(&BYTES[..source.one_of(&[0, 1, 5, 6, 17, 64])])
}

impl Sent {
    fn has_body(&self) -> bool {
        self.head.is_some_and(|(status, _)| {
            !self.kind.head && status.as_u16() != 204 && status.as_u16() != 304
        })
    }

    fn take_or(&mut self, result: Result<Send, Broken>) {
        match result {
            Ok(send) => self.take(send),
            Err(Broken::TooShort { announced, sent }) => {
                see("too short");
                assert!(sent < announced);
                self.is_over = true;
            }
            Err(Broken::NotStarted | Broken::Aborted) => {}
        }
    }

    fn take(&mut self, send: Send) {
        let (head, block) = send.into_parts();
        if head.is_some() || block.is_some() {
            assert!(!self.is_over, "something is sent after the end");
            assert!(!self.is_whole, "something is sent after the last block");
        }
        if let Some(head) = head {
            see("head");
            assert!(self.head.is_none(), "two heads");
            self.check(&head);
            self.head = Some((head.parts.status, head.length));
        }
        if let Some(block) = block {
            assert!(self.has_body(), "a body where none may be");
            assert!(
                !block.is_empty(),
                "an empty block is a chunk that ends the body"
            );
            self.body += block.len() as u64;
        }
    }

    fn check(&self, head: &Head) {
        assert!(!head.parts.status.is_informational());
        // Content-Length and Server are ours.
        assert!(head.parts.headers.len() <= self.limits.fields + 2);
        for (name, value) in &head.parts.headers {
            assert!(
                !ABOUT_THE_CONNECTION.contains(&name.as_str()),
                "{name} is about the connection"
            );
            assert!(
                value
                    .as_bytes()
                    .iter()
                    .all(|byte| *byte == b'\t' || !byte.is_ascii_control()),
                "{name}: {value:?}"
            );
        }
        let lengths: Vec<_> = head.parts.headers.get_all(CONTENT_LENGTH).iter().collect();
        match head.length {
            Length::Known(length) => assert_eq!(lengths, [&HeaderValue::from(length)]),
            Length::Unknown => assert!(lengths.is_empty()),
            Length::None => assert!(lengths.len() <= 1),
        }
        if head.parts.status.as_u16() == 204 {
            assert!(lengths.is_empty(), "204 with a length");
        }
        assert!(!head.close_delimited || self.kind.version == Version::HTTP_10);
    }

    fn end(&mut self) {
        let Some((_, length)) = self.head else {
            return;
        };
        self.is_whole = true;
        see("whole");
        if let (Length::Known(length), true) = (length, self.has_body()) {
            assert_eq!(self.body, length, "an end that is too early");
        }
    }
}
