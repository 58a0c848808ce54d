//! Attacks by the bytes of one request: what two readers would take for different things, what is larger than
//! anybody needs, and what is no HTTP.

use std::time::Duration;

use anyhow::Result;

use super::case::{Case, Found, Needs, Proof};
use super::setting::Setting;
use super::wire::{Heard, say};

/// A server that has said nothing for so long has nothing to say.
const SILENCE: Duration = Duration::from_secs(2);

pub(super) const CASES: &[Case] = &[
    Case {
        name: "smuggling",
        shows: "requests whose end two readers would see in different places, with another request behind them: \
                Content-Length beside Transfer-Encoding, codings that are not only `chunked`, lengths that are no \
                number or two",
        expected: "refused, or answered once and closed; nothing behind it is answered",
        needs: Needs::Http,
        proof: Proof::Off(&["framing"]),
        waits: false,
        run: smuggling,
    },
    Case {
        name: "broken-lines",
        shows: "NUL, bare CR, folded lines, blanks before colons, names that are no tokens, other versions, TLS, \
                HTTP/2 and noise",
        expected: "400, or closed without an answer; nothing behind it is answered",
        needs: Needs::Http,
        proof: Proof::Judge("torture::raw::tests::an_answer_behind_a_broken_request_is_a_fault"),
        waits: false,
        run: broken_lines,
    },
    Case {
        name: "large-heads",
        shows: "a target of 1 MiB, a field of 1 MiB, 90 fields of 8,000 bytes, a method of 64 KiB",
        expected: "414, 431, 431, 501 (or 400 to 499 of another server), in a second each",
        needs: Needs::Http,
        proof: Proof::Off(&["head-limits"]),
        waits: false,
        run: large_heads,
    },
    Case {
        name: "tiny-lines",
        shows: "5,000 and 100,000 tiny header lines",
        expected: "431 (or 400 to 499 of another server), in a second each",
        needs: Needs::Http,
        proof: Proof::Off(&["head-limits"]),
        waits: false,
        run: tiny_lines,
    },
    Case {
        name: "large-bodies",
        shows: "a body announced as 1 TiB, and 80 MiB in chunks to a guest that reads them",
        expected: "413 for both (max-body is 64 MiB)",
        needs: Needs::Gateway("others have no bound on a body, and leave it to the guest"),
        proof: Proof::Off(&["body-size"]),
        waits: false,
        run: large_bodies,
    },
    Case {
        name: "endless-chunks",
        shows: "a chunk's extension, a chunk's size and a trailer section that do not end (64 MiB each; 16 in a hurry)",
        expected: "400 or 408 and closed, at the body timeout at the latest; memory stays",
        needs: Needs::Guest,
        proof: Proof::Off(&["body-timeout"]),
        waits: false,
        run: endless_chunks,
    },
];

/// What stands behind a request, and must not be answered.
const TAIL: &str = "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n";

/// The fields that say where the body ends, and the body.
const FRAMINGS: &[(&str, &str)] = &[
    (
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
    ),
    (
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "0\r\n\r\n",
    ),
    (
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "3\r\nabc\r\n0\r\n\r\n",
    ),
    ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
    (
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
    ),
    ("Transfer-Encoding: x-custom, chunked", "0\r\n\r\n"),
    ("Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
    ),
    ("Transfer-Encoding: , chunked", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked, gzip", "0\r\n\r\n"),
    ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
    ("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked;q=1", "0\r\n\r\n"),
    ("Transfer-Encoding : chunked", "0\r\n\r\n"),
    ("Transfer-Encoding:\u{b}chunked", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n , gzip", "0\r\n\r\n"),
    ("Content-Length: 5\r\nContent-Length: 6", "abcdef"),
    ("Content-Length: 5, 6", "abcdef"),
    ("Content-Length: +5", "abcde"),
    ("Content-Length: -5", "abcde"),
    ("Content-Length: 0x5", "abcde"),
    ("Content-Length: 5 5", "abcde"),
    ("Content-Length:", "abcde"),
    ("Content-Length: 99999999999999999999999", "abcde"),
    ("Content-Length : 5", "abcde"),
    ("Content-Length: 5\r\n Content-Length: 6", "abcde"),
    ("Transfer-Encoding: chunked", "+0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "0x0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "g\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "3\r\nabcd\r\n0\r\n\r\n"),
    (
        "Transfer-Encoding: chunked",
        "10000000000000000\r\nabc\r\n0\r\n\r\n",
    ),
    ("Transfer-Encoding: chunked", "3\nabc\r\n0\r\n\r\n"),
];

/// Heads that are none.
const BROKEN: &[&[u8]] = &[
    b"GET /\0 HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nX\0Y: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nX: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nX: a\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: t\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : t\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nX Y: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\n: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nno colon\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: t\r\n\r\n",
    b"GET / HTTP/1.2\r\nHost: t\r\n\r\n",
    b"GET / HTTP/1.1 x\r\nHost: t\r\n\r\n",
    b"GET\t/ HTTP/1.1\r\nHost: t\r\n\r\n",
    b"G@T / HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET / XTTP/1.1\r\nHost: t\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"\xff\xfe\xfd\xfc\r\n\r\n",
    b"\0\0\0\0\r\n\r\n",
];

fn smuggling(setting: &Setting) -> Result<Found> {
    let server = setting.server(&[])?;
    let mut found = Found::default();
    let path = setting.target.hostile("/read");
    let mut refused = 0;
    let mut all = 0;
    for version in ["1.1", "1.0"] {
        for (lines, body) in FRAMINGS {
            // In HTTP/1.0 only a coding at all is of interest.
            if version == "1.0" && !lines.starts_with("Transfer-Encoding: c") {
                continue;
            }
            let head = format!("POST {path} HTTP/{version}\r\nHost: t\r\n{lines}\r\n\r\n{body}");
            let heard = say(server.address, (head.clone() + TAIL).as_bytes(), SILENCE);
            all += 1;
            refused += usize::from(heard.statuses().first().is_none_or(|&status| status >= 400));
            let is_old = version == "1.0" && setting.target.is_gateway();
            let what = format!("HTTP/{version}, {lines}");
            judge(&mut found, &what, &heard, is_old);
        }
    }
    found.say(format!("{refused} of {all} refused, the others closed"));
    Ok(found)
}

/// One answer at most, and the end. `must_refuse`: and that a refusal.
fn judge(found: &mut Found, request: &str, heard: &Heard, must_refuse: bool) {
    let statuses = heard.statuses();
    let is_refused = statuses.first().is_none_or(|&status| status >= 400);
    found.demand(
        statuses.len() <= 1 && heard.closed && (is_refused || !must_refuse),
        format!("{}: {}", request.escape_debug(), heard.text()),
    );
}

fn broken_lines(setting: &Setting) -> Result<Found> {
    let server = setting.server(&[])?;
    let mut found = Found::default();
    for head in BROKEN {
        let bytes = [head, TAIL.as_bytes()].concat();
        let heard = say(server.address, &bytes, SILENCE);
        let shown = String::from_utf8_lossy(head).into_owned();
        judge(&mut found, &shown, &heard, true);
    }
    found.say(format!("{} tried", BROKEN.len()));
    still_serves(setting, &mut found, &server);
    Ok(found)
}

/// One good request after the attack.
pub(super) fn still_serves(setting: &Setting, found: &mut Found, server: &super::server::Server) {
    let heard = say(
        server.address,
        b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
        SILENCE,
    );
    let right = if setting.target.has_guests() {
        200..=200
    } else {
        200..=499
    };
    found.demand(
        heard
            .statuses()
            .first()
            .is_some_and(|status| right.contains(status)),
        format!("afterwards a good client got {}", heard.text()),
    );
}

/// A head that is too large: refused, quickly, and with the status that says how.
fn is_refused(
    setting: &Setting,
    found: &mut Found,
    server: &super::server::Server,
    what: &str,
    head: &str,
    status: u16,
) {
    let heard = say(server.address, head.as_bytes(), SILENCE);
    let first = heard.statuses().first().copied();
    let is_right = if setting.target.is_gateway() {
        first == Some(status)
    } else {
        first.is_none_or(|status| status >= 400)
    };
    found.demand(
        is_right && heard.closed,
        format!("{what}: {}, not {status}", heard.text()),
    );
    found.demand(
        heard.after < Duration::from_secs(1),
        format!("{what}: after {:.1?}", heard.after),
    );
}

fn large_heads(setting: &Setting) -> Result<Found> {
    let server = setting.server(&[])?;
    let before = server.resident();
    let mut found = Found::default();
    let mib = "a".repeat(1 << 20);
    let rest = "Host: t\r\nConnection: close\r\n";
    let fields: String = (0..90)
        .map(|number| format!("X-{number}: {}\r\n", &mib[..8000]))
        .collect();
    for (what, head, status) in [
        ("target", format!("GET /{mib} HTTP/1.1\r\n{rest}\r\n"), 414),
        (
            "field",
            format!("GET / HTTP/1.1\r\n{rest}X: {mib}\r\n\r\n"),
            431,
        ),
        (
            "fields",
            format!("GET / HTTP/1.1\r\n{rest}{fields}\r\n"),
            431,
        ),
        (
            "method",
            format!("{} / HTTP/1.1\r\n{rest}\r\n", &mib[..64 << 10]),
            501,
        ),
    ] {
        is_refused(setting, &mut found, &server, what, &head, status);
    }
    memory_stays(&mut found, before, &server, 64);
    still_serves(setting, &mut found, &server);
    Ok(found)
}

fn tiny_lines(setting: &Setting) -> Result<Found> {
    let server = setting.server(&[])?;
    let before = server.resident();
    let mut found = Found::default();
    for count in [5_000, 100_000] {
        let lines = "a:b\r\n".repeat(count);
        let head = format!("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{lines}\r\n");
        let what = format!("{count} lines");
        is_refused(setting, &mut found, &server, &what, &head, 431);
    }
    memory_stays(&mut found, before, &server, 64);
    still_serves(setting, &mut found, &server);
    Ok(found)
}

fn large_bodies(setting: &Setting) -> Result<Found> {
    let server = setting.server(&[])?;
    let mut found = Found::default();
    let path = setting.target.hostile("/read");
    let announced =
        format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 1099511627776\r\n\r\nabc");
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(80)
    );
    for (what, request) in [
        ("1 TiB announced", announced),
        ("80 MiB in chunks", chunked),
    ] {
        let heard = say(server.address, request.as_bytes(), Duration::from_secs(4));
        found.demand(
            heard.statuses() == [413] && heard.closed,
            format!("{what}: {}, not 413", heard.text()),
        );
        found.say(format!(
            "{what}: {} after {:.1?}",
            heard.text(),
            heard.after
        ));
    }
    still_serves(setting, &mut found, &server);
    Ok(found)
}

fn endless_chunks(setting: &Setting) -> Result<Found> {
    let (timeout, options) = setting.time("--body-timeout", 1, 30);
    let server = setting.server(&options)?;
    let before = server.resident();
    let mut found = Found::default();
    let path = setting.target.hostile("/read");
    let head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    let many = setting.pick(16, 64) << 20;
    for (what, body) in [
        ("extension", format!("3;{}", "e".repeat(many))),
        ("size", "0".repeat(many)),
        (
            "trailers",
            format!("0\r\n{}", "X-T: v\r\n".repeat(many / 8)),
        ),
    ] {
        let bytes = head.clone() + &body;
        // What came before its end is read before anything is answered.
        let patience = timeout + Duration::from_secs(5);
        let heard = say(server.address, bytes.as_bytes(), patience);
        found.say(format!(
            "{what}: {} after {:.1?}",
            heard.text(),
            heard.after
        ));
        judge_endless(&mut found, what, &heard);
    }
    memory_stays(&mut found, before, &server, 64);
    still_serves(setting, &mut found, &server);
    Ok(found)
}

/// It is refused, though the request never comes to its end.
fn judge_endless(found: &mut Found, what: &str, heard: &Heard) {
    let is_refused = heard.statuses().iter().all(|&status| status >= 400);
    found.demand(
        heard.closed && is_refused,
        format!("{what}: {}", heard.text()),
    );
}

/// What is resident has grown by so many MiB at most.
pub(super) fn memory_stays(
    found: &mut Found,
    before: u64,
    server: &super::server::Server,
    mib: u64,
) {
    let grown = server.resident().saturating_sub(before) >> 20;
    let text = format!("memory +{grown} MiB");
    if grown > mib {
        found.demand(false, format!("{text}, over {mib}"));
    } else {
        found.say(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &[u8], closed: bool) -> Heard {
        Heard {
            bytes: bytes.to_vec(),
            closed,
            after: Duration::ZERO,
        }
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn an_answer_behind_a_broken_request_is_a_fault() {
        let passes = |bytes: &[u8], closed, must_refuse| {
            let mut found = Found::default();
            judge(&mut found, "x", &heard(bytes, closed), must_refuse);
            found.passed()
        };
        assert!(passes(BAD, true, true));
        assert!(passes(b"", true, true));
        assert!(passes(OK, true, false));
        assert!(!passes(OK, true, true));
        assert!(!passes(BAD, false, true));
        assert!(!passes(&[BAD, OK].concat(), true, true));
        assert!(!passes(&[OK, OK].concat(), true, false));
    }

    #[test]
    fn a_body_that_is_taken_to_its_end_is_a_fault() {
        let passes = |bytes: &[u8], closed| {
            let mut found = Found::default();
            judge_endless(&mut found, "x", &heard(bytes, closed));
            found.passed()
        };
        assert!(passes(BAD, true));
        assert!(passes(b"", true));
        assert!(!passes(b"", false));
        assert!(!passes(OK, true));
        assert!(!passes(BAD, false));
    }
}
