//! One line a request: formatted where the exchange ended, written by a thread of its own.
//!
//! What a client sent cannot forge a line: everything but printable ASCII is escaped, and long
//! fields are cut. Not here: what the application logs, and where the lines go (a `Write` given
//! by the caller).
//!
//! A slow sink does not stop the server. Up to 1 MiB of lines wait for it; when that is full a
//! worker waits 100 ms once, and from then on lines are dropped and counted until the sink takes
//! something again. An error of the sink is reported once and the server goes on.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{StatusCode, Uri, Version};
use httpdate::HttpDate;
use tokio::sync::oneshot;
use wasm_gw_protocol::Endpoint;

/// Where the access log goes, and in which format.
pub struct AccessLog {
    format: AccessLogFormat,
    /// Never locked: the lock only makes the configuration shareable between threads.
    sink: Mutex<Box<dyn io::Write + Send>>,
}

/// The shape of a line of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// The combined log format, then the request id, the wall time and the guest's processor time
    /// in milliseconds, then `aborted` where the answer did not reach its end:
    /// `192.0.2.1 - - [24/Nov/2026:08:54:50 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" 5d…e0 0.412 0.063`
    Combined,
    /// A JSON object a line: `time`, `remote`, `method`, `target`, `protocol`, `status`, `bytes`,
    /// `referer`, `user_agent`, `request_id`, `wall_ms`, `cpu_ms`, `aborted`; `null` for what is
    /// not known. Where a trusted proxy has told who the client is, `remote` is the client, and
    /// `peer` behind it the proxy.
    /// Bytes beyond ASCII appear as the code point of the same number.
    Json,
}

impl AccessLog {
    /// An access log of this format into this sink, which gets several lines in one `write`, is
    /// used from a thread of its own and may block.
    pub fn new(format: AccessLogFormat, sink: impl io::Write + Send + 'static) -> Self {
        AccessLog {
            format,
            sink: Mutex::new(Box::new(sink)),
        }
    }

    /// Starts the writing thread. It ends when the returned writer is finished.
    pub(crate) fn start(self) -> io::Result<LogWriter> {
        let queue = Arc::new(Queue {
            format: self.format,
            waiting: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
        });
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn({
                let queue = Arc::clone(&queue);
                let sink = self
                    .sink
                    .into_inner()
                    .unwrap_or_else(PoisonError::into_inner);
                move || {
                    queue.run(sink);
                    let _ = ended.send(());
                }
            })?;
        Ok(LogWriter {
            log: Log(queue),
            end,
        })
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// One request, as a line tells it.
pub(crate) struct Line<'a> {
    pub(crate) remote: &'a Endpoint,
    /// The proxy that has told so.
    pub(crate) peer: Option<&'a Endpoint>,
    /// `None` where the head was refused before it was understood.
    pub(crate) method: Option<&'a [u8]>,
    pub(crate) target: Target<'a>,
    pub(crate) version: Option<Version>,
    /// The status sent; 499 where the client left before any.
    pub(crate) status: StatusCode,
    /// Bytes of the body handed to the connection, without its framing.
    pub(crate) bytes: u64,
    pub(crate) referer: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) request_id: &'a str,
    /// From the complete head to the last byte flushed.
    pub(crate) wall: Duration,
    /// What the guest has used of a processor until now; zero where none ran.
    pub(crate) cpu: Duration,
    /// The answer did not reach its end.
    pub(crate) aborted: bool,
}

/// A request target, parsed or as far as it could be made out.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    Unknown,
    Uri(&'a Uri),
    Raw(&'a [u8]),
}

/// Longest text of a target in a line, in bytes of the request; the rest is cut off.
const TARGET_CAP: usize = 2048;
/// The same for every other field a client chooses.
const FIELD_CAP: usize = 512;
/// Lines waiting for the sink, in bytes.
const QUEUE_CAP: usize = 1024 * 1024;
/// How long a worker waits for room before lines are dropped.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the writer gathers lines before it writes them: one system call for many requests.
const GATHER: Duration = Duration::from_millis(2);

/// The end of the log that lives as long as the server serves.
pub(crate) struct LogWriter {
    pub(crate) log: Log,
    end: oneshot::Receiver<()>,
}

impl LogWriter {
    /// Writes what is waiting and ends the thread; a sink that blocks is left after `patience`.
    pub(crate) async fn finish(mut self, patience: Duration) {
        self.close();
        if tokio::time::timeout(patience, &mut self.end).await.is_err() {
            tracing::warn!("the access log does not take its last lines");
        }
    }

    fn close(&self) {
        self.log.0.lock().closed = true;
        self.log.0.filled.notify_one();
    }
}

/// A server that is dropped does not leave a thread.
impl Drop for LogWriter {
    fn drop(&mut self) {
        self.close();
    }
}

/// The end of the log that connections write to.
#[derive(Clone)]
pub(crate) struct Log(Arc<Queue>);

impl Log {
    pub(crate) fn write(&self, line: &Line<'_>) {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            scratch.at(now.as_secs());
            scratch.text.clear();
            match self.0.format {
                AccessLogFormat::Combined => combined(&mut scratch.text, &scratch.date, line),
                AccessLogFormat::Json => {
                    json(&mut scratch.text, &scratch.date, now.subsec_millis(), line);
                }
            }
            self.0.push(scratch.text.as_bytes());
        });
    }
}

struct Queue {
    format: AccessLogFormat,
    waiting: Mutex<Waiting>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines lost since the sink last took anything.
    dropped: u64,
    /// A worker has waited in vain; the next ones do not wait.
    stuck: bool,
    closed: bool,
}

impl Queue {
    /// Nothing in here panics with the lock held, so a poisoned lock is only a lock.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        let full = |waiting: &mut Waiting| waiting.lines.len() + line.len() > QUEUE_CAP;
        if full(&mut waiting) && !waiting.stuck {
            waiting = self
                .drained
                .wait_timeout_while(waiting, PATIENCE, full)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if full(&mut waiting) {
            waiting.stuck = true;
            waiting.dropped += 1;
            return;
        }
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// The writing thread.
    fn run(&self, mut sink: Box<dyn io::Write + Send>) {
        let mut batch = Vec::new();
        let mut failed = false;
        loop {
            let mut waiting = self
                .filled
                .wait_while(self.lock(), |w| w.lines.is_empty() && !w.closed)
                .unwrap_or_else(PoisonError::into_inner);
            if !waiting.closed {
                drop(waiting);
                std::thread::sleep(GATHER);
                waiting = self.lock();
            }
            if waiting.lines.is_empty() {
                return;
            }
            std::mem::swap(&mut waiting.lines, &mut batch);
            let dropped = std::mem::take(&mut waiting.dropped);
            waiting.stuck = false;
            drop(waiting);
            self.drained.notify_all();

            match sink.write_all(&batch).and_then(|()| sink.flush()) {
                Ok(()) => failed = false,
                Err(error) if !failed => {
                    failed = true;
                    tracing::error!(%error, "cannot write the access log; its lines are lost");
                }
                Err(_) => {}
            }
            if dropped > 0 {
                tracing::warn!(
                    lines = dropped,
                    "the access log was too slow; lines were lost"
                );
            }
            batch.clear();
        }
    }
}

/// What a thread reuses from line to line.
struct Scratch {
    text: String,
    second: u64,
    /// The date of `second`, as HTTP writes it.
    date: String,
}

impl Scratch {
    const fn new() -> Self {
        Scratch {
            text: String::new(),
            second: u64::MAX,
            date: String::new(),
        }
    }

    fn at(&mut self, second: u64) {
        if self.second != second {
            self.second = second;
            self.date.clear();
            let time = UNIX_EPOCH + Duration::from_secs(second);
            // A String takes everything.
            let _ = write!(self.date, "{}", HttpDate::from(time));
        }
    }
}

/// The parts of an HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`), which are of fixed width: day,
/// month, year, time of day.
fn parts(date: &str) -> (&str, &str, &str, &str) {
    (&date[5..7], &date[8..11], &date[12..16], &date[17..25])
}

fn combined(out: &mut String, date: &str, line: &Line<'_>) {
    let (day, month, year, time) = parts(date);
    let version = version(line.version);
    // Writing to a String cannot fail, here and below.
    let _ = write!(out, "{}", line.remote);
    let _ = write!(out, " - - [{day}/{month}/{year}:{time} +0000] \"");
    let mut escape = Escape::new(out, Style::Hex);
    escape.bytes(line.method.unwrap_or(b"-"), FIELD_CAP);
    escape.out.push(' ');
    escape.target(line.target);
    let _ = write!(
        out,
        " {version}\" {} {} \"",
        line.status.as_u16(),
        line.bytes
    );
    Escape::new(out, Style::Hex).bytes(line.referer.unwrap_or(b"-"), FIELD_CAP);
    out.push_str("\" \"");
    Escape::new(out, Style::Hex).bytes(line.user_agent.unwrap_or(b"-"), FIELD_CAP);
    let _ = write!(
        out,
        "\" {} {} {}",
        line.request_id,
        Millis(line.wall),
        Millis(line.cpu)
    );
    if line.aborted {
        out.push_str(" aborted");
    }
    out.push('\n');
}

fn json(out: &mut String, date: &str, millis: u32, line: &Line<'_>) {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (day, month, year, time) = parts(date);
    let month = MONTHS.find(month).map_or(0, |at| at / 3 + 1);
    let _ = write!(
        out,
        "{{\"time\":\"{year}-{month:02}-{day}T{time}.{millis:03}Z\""
    );
    let end = |out: &mut String, name: &str, end: &Endpoint| {
        let _ = match end {
            Endpoint::Unknown => write!(out, ",\"{name}\":null"),
            known => write!(out, ",\"{name}\":\"{known}\""),
        };
    };
    end(out, "remote", line.remote);
    if let Some(peer) = line.peer {
        end(out, "peer", peer);
    }
    let field = |out: &mut String, name: &str, value: Option<&[u8]>| {
        let _ = write!(out, ",\"{name}\":");
        match value {
            None => out.push_str("null"),
            Some(value) => {
                out.push('"');
                Escape::new(out, Style::Json).bytes(value, FIELD_CAP);
                out.push('"');
            }
        }
    };
    field(out, "method", line.method);
    if let Target::Unknown = line.target {
        out.push_str(",\"target\":null");
    } else {
        out.push_str(",\"target\":\"");
        Escape::new(out, Style::Json).target(line.target);
        out.push('"');
    }
    let protocol = line.version.map(|known| version(Some(known)).as_bytes());
    field(out, "protocol", protocol);
    let _ = write!(
        out,
        ",\"status\":{},\"bytes\":{}",
        line.status.as_u16(),
        line.bytes
    );
    field(out, "referer", line.referer);
    field(out, "user_agent", line.user_agent);
    field(out, "request_id", Some(line.request_id.as_bytes()));
    let _ = writeln!(
        out,
        ",\"wall_ms\":{},\"cpu_ms\":{},\"aborted\":{}}}",
        Millis(line.wall),
        Millis(line.cpu),
        line.aborted
    );
}

fn version(version: Option<Version>) -> &'static str {
    match version {
        Some(Version::HTTP_10) => "HTTP/1.0",
        Some(Version::HTTP_11) => "HTTP/1.1",
        Some(Version::HTTP_2) => "HTTP/2.0",
        _ => "-",
    }
}

/// A duration in milliseconds with three decimals.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 128 bits take several times as long, and this would last half a million years.
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[derive(Clone, Copy)]
enum Style {
    /// `\xNN`
    Hex,
    /// `\u00NN`, the only escape by number JSON has.
    Json,
}

/// Writes what a client chose so that it stays inside its quotes and its line.
struct Escape<'a> {
    out: &'a mut String,
    style: Style,
    /// Bytes that still fit.
    room: usize,
    cut: bool,
}

impl<'a> Escape<'a> {
    fn new(out: &'a mut String, style: Style) -> Self {
        Escape {
            out,
            style,
            room: 0,
            cut: false,
        }
    }

    fn bytes(&mut self, bytes: &[u8], cap: usize) {
        self.room = cap;
        self.append(bytes);
    }

    fn target(&mut self, target: Target<'_>) {
        match target {
            Target::Unknown => self.out.push('-'),
            Target::Raw(bytes) => self.bytes(bytes, TARGET_CAP),
            Target::Uri(uri) => {
                self.room = TARGET_CAP;
                // `append` takes everything.
                let _ = write!(self, "{uri}");
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let (mut rest, beyond) = bytes.split_at(bytes.len().min(self.room));
        self.room -= rest.len();
        while let Some(byte) = rest.first() {
            let run = rest.iter().take_while(|byte| plain(byte)).count();
            if run == 0 {
                let _ = match self.style {
                    Style::Hex => write!(self.out, "\\x{byte:02x}"),
                    Style::Json => write!(self.out, "\\u{byte:04x}"),
                };
                rest = &rest[1..];
            } else {
                let (text, after) = rest.split_at(run);
                self.out
                    .push_str(std::str::from_utf8(text).unwrap_or_default());
                rest = after;
            }
        }
        if !beyond.is_empty() && !self.cut {
            self.cut = true;
            self.out.push_str("...");
        }
    }
}

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text.as_bytes());
        Ok(())
    }
}
