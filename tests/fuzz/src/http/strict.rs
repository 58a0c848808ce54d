//! A second reader of requests, which knows RFC 9112 and forgives nothing: as far as it gets, there is one way to
//! read the bytes. What it does not like, it stops at, and says nothing about what follows.

/// What the bytes are, as far as there is no doubt.
pub(super) struct Reading {
    pub(super) requests: Vec<Seen>,
    /// The last of them has both Content-Length and Transfer-Encoding. It may be answered, and nothing after it.
    pub(super) must_close: bool,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Vec<u8>,
}

impl Reading {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut reading = Self {
            requests: Vec::new(),
            must_close: false,
        };
        let mut rest = bytes;
        while let Some((request, must_close, length)) = request(rest) {
            reading.requests.push(request);
            reading.must_close = must_close;
            rest = &rest[length..];
            if must_close {
                break;
            }
        }
        reading
    }
}

/// The first request, whether both kinds of framing are there, and its length with the body.
fn request(bytes: &[u8]) -> Option<(Seen, bool, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = &bytes[..end];
    // Every line ends in CR LF, and neither of the two is anywhere else.
    let lines: Vec<&[u8]> = split_lines(head)?;
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut fields);
    let status = parsed.parse(head).ok()?;
    if status != httparse::Status::Complete(end) || parsed.headers.len() + 2 != lines.len() {
        return None;
    }
    let (method, target) = (parsed.method?.to_owned(), parsed.path?.to_owned());
    let is_1_1 = parsed.version? == 1;
    let values = |name: &str| {
        let fields = parsed.headers.iter();
        fields
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
            .collect::<Vec<_>>()
    };
    let is_odd = parsed.headers.iter().any(|field| {
        let odd = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        field.value.iter().any(odd)
    });
    if is_odd || values("host").len() != 1 || values("expect").len() > 1 {
        return None;
    }
    let lengths = values("content-length");
    let codings = values("transfer-encoding");
    let rest = &bytes[end..];
    let (body, length) = match (&lengths[..], &codings[..]) {
        ([], []) => (Vec::new(), 0),
        ([one], []) => {
            let digits = std::str::from_utf8(one).ok()?;
            let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let length: usize = digits.parse().ok().filter(|_| is_plain)?;
            (rest.get(..length)?.to_vec(), length)
        }
        (_, [one]) if is_1_1 && one.eq_ignore_ascii_case(b"chunked") => chunked(rest)?,
        _ => return None,
    };
    let must_close = !lengths.is_empty() && !codings.is_empty();
    let seen = Seen {
        method,
        target,
        body,
    };
    Some((seen, must_close, end + length))
}

/// The lines without their ends; none if CR or LF stand alone. The last two are empty.
fn split_lines(head: &[u8]) -> Option<Vec<&[u8]>> {
    let text = head.strip_suffix(b"\r\n")?;
    let mut lines = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            lines.push(line);
            continue;
        }
        let line = line.strip_suffix(b"\r")?;
        if line.contains(&b'\r') {
            return None;
        }
        lines.push(line);
    }
    Some(lines)
}

/// The body in chunks, and how many bytes it took.
fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line_end = bytes[at..].windows(2).position(|two| two == b"\r\n")? + at;
        let line = &bytes[at..line_end];
        // Neither extensions nor blanks, and no more digits than are read alike everywhere.
        if line.is_empty() || line.len() > 8 || !line.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(line).ok()?, 16).ok()?;
        at = line_end + 2;
        if size == 0 {
            // Trailers are not for this reader.
            return (bytes.get(at..at + 2)? == b"\r\n").then_some((body, at + 2));
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_is_plain_and_stops_at_what_is_not() {
        let check = |bytes: &str, expected: &[(&str, &str)]| {
            let found = Reading::of(bytes.as_bytes()).requests;
            let found: Vec<_> = found
                .iter()
                .map(|seen| (seen.target.as_str(), String::from_utf8_lossy(&seen.body)))
                .collect();
            let found: Vec<_> = found
                .iter()
                .map(|(target, body)| (*target, &**body))
                .collect();
            assert_eq!(found, expected, "{bytes:?}");
        };
        let head = "GET /a HTTP/1.1\r\nHost: x\r\n";
        check(&format!("{head}\r\n{head}\r\n"), &[("/a", ""), ("/a", "")]);
        check(
            &format!("{head}Content-Length: 2\r\n\r\nab{head}\r\n"),
            &[("/a", "ab"), ("/a", "")],
        );
        check(
            &format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n{head}\r\n"),
            &[("/a", "ab"), ("/a", "")],
        );
        for broken in [
            "Content-Length: +2\r\n",
            "Content-Length: 2\r\nContent-Length: 2\r\n",
            "X: a\n",
        ] {
            check(&format!("{head}{broken}\r\nab"), &[]);
        }
        check(
            &format!("{head}Transfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n"),
            &[],
        );
    }
}
