//! What a client sends: requests that are nearly right, a last one that asks the server to close, and where the
//! bytes are cut into packets.

use crate::source::Source;

const METHODS: [&str; 9] = [
    "GET", "POST", "HEAD", "PUT", "OPTIONS", "TRACE", "CONNECT", "", "G T",
];

const TARGETS: [&str; 10] = [
    "/",
    "/a?b=c",
    "*",
    "http://x/a",
    "/%41",
    "/a b",
    "",
    "//",
    "/\u{e9}",
    "/next",
];

const VERSIONS: [&str; 7] = [
    "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1",
];

const FIELDS: [&str; 34] = [
    "Connection: keep-alive",
    "Connection: close",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer_Encoding: chunked",
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: 05",
    "Content-Length: 0x5",
    "Content-Length: -1",
    "Content-Length: 18446744073709551615",
    "Content-Length: 18446744073709551616",
    "Content-Length:",
    " Content-Length: 5",
    "Content-Length: 5\r\n 6",
    "Expect: 100-continue",
    "Expect: other",
    "Upgrade: h2c",
    "X: a\u{b}b",
    "X: \u{0}",
    "X:a",
    ": a",
    "no colon",
    "Accept: application/json",
];

const LINE_ENDS: [&str; 6] = ["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n"];

/// The end of a line, in an odd script perhaps an odd one.
fn line_end(source: &mut Source<'_>, odd: bool) -> &'static str {
    match odd {
        true => source.one_of(&LINE_ENDS),
        false => "\r\n",
    }
}

/// What is sent.
pub(super) struct Script {
    pub(super) bytes: Vec<u8>,
    /// Where they are cut.
    cuts: Vec<usize>,
    pub(super) is_slow: bool,
    /// The client goes without waiting for an answer.
    pub(super) leaves: bool,
}

impl Script {
    pub(super) fn of(source: &mut Source<'_>) -> Self {
        let mut bytes = Vec::new();
        let leaves = source.once_in(16);
        let is_slow = source.once_in(8);
        for _ in 0..source.below(5) {
            request(source, &mut bytes);
        }
        let cuts = (0..source.below(6))
            .map(|_| usize::from(source.byte()))
            .collect();
        if source.once_in(4) {
            bytes.extend_from_slice(source.rest());
        }
        bytes.extend_from_slice(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        Self {
            bytes,
            cuts,
            is_slow,
            leaves,
        }
    }

    /// The packets: each cut is so many bytes after the former.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        let mut cuts = self.cuts.iter();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let next = cuts
                .next()
                .map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
            let (piece, after) = rest.split_at(next);
            rest = after;
            Some(piece)
        })
    }
}

fn request(source: &mut Source<'_>, out: &mut Vec<u8>) {
    if source.once_in(16) {
        out.extend_from_slice(source.bytes(100));
        return;
    }
    let odd = source.once_in(4);
    let end = |source: &mut Source<'_>| line_end(source, odd);
    let method = match source.once_in(3) {
        true => source.one_of(&METHODS),
        false => source.one_of(&["GET", "POST"]),
    };
    let target = match source.once_in(3) {
        true => source.one_of(&TARGETS),
        false => "/a",
    };
    let version = match source.once_in(4) {
        true => source.one_of(&VERSIONS),
        false => "HTTP/1.1",
    };
    out.extend_from_slice(format!("{method} {target} {version}{}", end(source)).as_bytes());
    if !source.once_in(8) {
        out.extend_from_slice(format!("Host: x{}", end(source)).as_bytes());
    }
    for _ in 0..source.below(5) {
        let field = source.one_of(&FIELDS);
        out.extend_from_slice(format!("{field}{}", end(source)).as_bytes());
    }
    let body = body(source, odd);
    // As a rule the body is announced as it is.
    if !body.is_chunked && !body.bytes.is_empty() && !source.once_in(4) {
        let length = body.bytes.len();
        out.extend_from_slice(format!("Content-Length: {length}{}", end(source)).as_bytes());
    }
    if body.is_chunked && !source.once_in(8) {
        out.extend_from_slice(format!("Transfer-Encoding: chunked{}", end(source)).as_bytes());
    }
    out.extend_from_slice(end(source).as_bytes());
    out.extend_from_slice(&body.bytes);
}

struct Body {
    bytes: Vec<u8>,
    is_chunked: bool,
}

fn body(source: &mut Source<'_>, odd: bool) -> Body {
    if source.once_in(2) {
        return Body {
            bytes: Vec::new(),
            is_chunked: false,
        };
    }
    let data = match source.once_in(3) {
        // A request in a body: what a smuggler would have read as one.
        true => &b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        false => source.bytes(40),
    };
    if source.once_in(2) {
        return Body {
            bytes: data.to_vec(),
            is_chunked: false,
        };
    }
    let mut bytes = Vec::new();
    for chunk in data.chunks(1 + source.below(32)) {
        let size = chunk.len();
        let line = match odd && source.once_in(3) {
            true => source
                .one_of(&[
                    format!("0{size:X}").as_str(),
                    &format!("{size:x} "),
                    &format!("{size:x};a=b"),
                    &format!("{size:x};a=\"\r\n\""),
                    &format!("+{size:x}"),
                    &format!("0x{size:x}"),
                    &format!("{size:x}\t"),
                    "ffffffffffffffffff",
                    "",
                    &format!("{:x}", size + 1),
                ])
                .to_owned(),
            false => format!("{size:x}"),
        };
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(line_end(source, odd).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(line_end(source, odd).as_bytes());
    }
    if !(odd && source.once_in(3)) {
        bytes.extend_from_slice(b"0\r\n");
        if source.once_in(6) {
            bytes.extend_from_slice(b"X-Trailer: a\r\nContent-Length: 5\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
    }
    Body {
        bytes,
        is_chunked: true,
    }
}
