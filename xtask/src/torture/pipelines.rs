//! Requests without a pause: a million on one connection, and those of a client that never reads an answer.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::case::{Case, Found, Needs, Proof};
use super::probe::Probe;
use super::raw::memory_stays;
use super::server::eventually;
use super::setting::Setting;
use super::wire::PATIENCE;
use crate::kit::http::connect;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "pipeline",
        shows: "a million requests on one connection, none of them waiting for an answer (20,000 in a hurry)",
        expected: "each is answered, memory stays, a good client does not notice",
        needs: Needs::Http,
        proof: Proof::Judge("torture::pipelines::tests::an_answer_that_is_missing_is_missed"),
        waits: false,
        run: pipeline,
    },
    Case {
        name: "unread-pipeline",
        shows: "the same from a client that reads no answer",
        expected: "the server stops reading before 64 MiB, and cuts it within twice the write timeout",
        needs: Needs::Http,
        proof: Proof::Off(&["write-timeout"]),
        waits: true,
        run: unread_pipeline,
    },
];

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
/// So many are written at once.
const BATCH: usize = 1000;

fn pipeline(setting: &Setting) -> Result<Found> {
    let count = setting.pick(20_000, 1_000_000);
    let server = setting.server(&[])?;
    let mut found = Found::default();
    let probe = Probe::start(&server)?;
    let before = server.resident();
    let stream = connect(server.address, None, Duration::from_secs(30))?;
    let begin = Instant::now();
    let answers = thread::scope(|scope| {
        scope.spawn(|| {
            let batch = REQUEST.repeat(BATCH);
            for _ in 0..count / BATCH {
                if (&stream).write_all(batch.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let mut answers = Answers::default();
        let mut buffer = vec![0; 256 << 10];
        while answers.count < count {
            match (&stream).read(&mut buffer) {
                Ok(read) if read > 0 => answers.more(&buffer[..read]),
                _ => break,
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
        answers
    });
    let took = begin.elapsed();
    let pulse = probe.finish();
    answers.judge(&mut found, count);
    let rate = answers.count as f64 / took.as_secs_f64();
    found.say(format!("{} answers, {rate:.0} a second", answers.count));
    memory_stays(&mut found, before, &server, 64);
    pulse.judge(&mut found, setting);
    Ok(found)
}

/// Answers that follow one another, counted by how each begins. No body here has that in it.
#[derive(Default)]
struct Answers {
    count: usize,
    good: usize,
    /// The end of what came, where a beginning may be cut.
    rest: Vec<u8>,
}

impl Answers {
    fn more(&mut self, bytes: &[u8]) {
        const BEGINS: &[u8] = b"HTTP/1.";
        const LENGTH: usize = b"HTTP/1.1 200".len();
        self.rest.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(at) = self.rest[from..]
            .windows(BEGINS.len())
            .position(|seven| seven == BEGINS)
        {
            let at = from + at;
            let Some(head) = self.rest.get(at..at + LENGTH) else {
                self.rest.drain(..at);
                return;
            };
            self.count += 1;
            self.good += usize::from(head[9] == b'2');
            from = at + LENGTH;
        }
        let keep = self.rest.len().saturating_sub(BEGINS.len() - 1).max(from);
        self.rest.drain(..keep);
    }

    fn judge(&self, found: &mut Found, wanted: usize) {
        let Self { count, good, .. } = self;
        found.demand(
            *count == wanted,
            format!("{count} of {wanted} were answered"),
        );
        found.demand(good == count, format!("only {good} of {count} by 2xx"));
    }
}

fn unread_pipeline(setting: &Setting) -> Result<Found> {
    const MOST: usize = 64 << 20;
    let (timeout, options) = setting.time("--write-timeout", 1, 30);
    let server = setting.server(&options)?;
    let before = server.resident();
    let mut found = Found::default();
    let stream = connect(server.address, None, PATIENCE)?;
    stream.set_nonblocking(true)?;
    let batch = REQUEST.repeat(BATCH);
    let begin = Instant::now();
    let patience = timeout * 2 + Duration::from_secs(5);
    let mut sent = 0;
    let mut at = 0;
    let end = eventually(patience, || {
        loop {
            match (&stream).write(&batch.as_bytes()[at..]) {
                Ok(count) => {
                    sent += count;
                    at = (at + count) % batch.len();
                    if sent > MOST {
                        return Some("it read on and on");
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some("cut"),
            }
        }
    });
    found.demand(
        end == Some("cut"),
        format!("{} after {:.0?}", end.unwrap_or("not cut"), begin.elapsed()),
    );
    found.say(format!(
        "{} KiB taken, {} after {:.1?}",
        sent >> 10,
        end.unwrap_or("open"),
        begin.elapsed()
    ));
    memory_stays(&mut found, before, &server, 64);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_missing_is_missed() {
        let recorded = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\nHTTP/1.1 503 No\r\n\r\n";
        let judged = |bytes: &[u8], piece: usize, wanted| {
            let mut answers = Answers::default();
            for piece in bytes.chunks(piece) {
                answers.more(piece);
            }
            let mut found = Found::default();
            answers.judge(&mut found, wanted);
            found.passed()
        };
        let good = &recorded[..recorded.len() - b"HTTP/1.1 503 No\r\n\r\n".len()];
        for piece in 1..recorded.len() {
            assert!(judged(good, piece, 2), "{piece}");
            assert!(!judged(good, piece, 3));
            assert!(!judged(good, piece, 1));
            assert!(!judged(recorded, piece, 3));
        }
    }
}
