//! Who asks for what, again and again, and what must come. Each kind has threads of its own; all of them stop in
//! between when they are told to.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::server::{PATIENCE, TIMEOUT};
use crate::kit::http::{Kept, Request};

/// A kind of request: its name, its threads, the pause between two, and what is done.
const KINDS: [(&str, usize, u64, Ask); 13] = [
    ("hello", 2, 2, hello),
    ("echo, up to 256 KiB", 1, 10, echo),
    ("stream, up to 256 KiB", 1, 10, stream),
    ("blocks, slowly", 1, 5, blocks),
    ("random", 1, 10, random),
    ("traps", 1, 100, traps),
    ("answers after traps", 1, 20, after_traps),
    ("timeouts", 2, 50, timeouts),
    ("clients that leave", 2, 20, leave),
    ("processor time", 1, 50, cpu),
    ("memory", 1, 100, memory),
    ("broken heads", 1, 20, broken),
    ("clients that stall", 1, 50, stall),
];

type Ask = fn(&mut Asker) -> Result<()>;

/// One thread's.
struct Asker {
    address: SocketAddr,
    kept: Kept,
    count: usize,
    /// What `random` has said.
    seen: HashSet<Vec<u8>>,
}

/// How often each kind was answered well, and what was wrong.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) right: BTreeMap<&'static str, usize>,
    pub(super) wrong: Vec<String>,
}

pub(super) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    right: AtomicUsize,
    wrong: AtomicUsize,
    is_over: AtomicBool,
    answers: Mutex<Answers>,
}

struct State {
    runs: bool,
    /// Threads that are in the middle of something.
    busy: usize,
}

impl Load {
    /// Its threads wait for [`Load::resume`].
    pub(super) fn new(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                runs: false,
                busy: 0,
            }),
            changed: Condvar::new(),
            right: AtomicUsize::new(0),
            wrong: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            answers: Mutex::default(),
        });
        let kinds = KINDS
            .into_iter()
            .flat_map(|kind| std::iter::repeat_n(kind, kind.1));
        let threads = kinds
            .map(|(name, _, pause, ask)| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.ask_on(address, name, pause, ask))
            })
            .collect();
        Self { shared, threads }
    }

    pub(super) fn resume(&self) {
        self.shared.lock().runs = true;
        self.shared.changed.notify_all();
    }

    /// Returns when nobody asks any more, and no connection is open.
    pub(super) fn pause(&self) -> Result<()> {
        let mut state = self.shared.lock();
        state.runs = false;
        let begin = Instant::now();
        while state.busy > 0 {
            ensure!(
                begin.elapsed() < 2 * PATIENCE,
                "{} requests do not end",
                state.busy
            );
            let waited = self
                .shared
                .changed
                .wait_timeout(state, Duration::from_secs(1));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    pub(super) fn answers(&self) -> usize {
        self.shared.right.load(Ordering::Relaxed)
    }

    pub(super) fn wrong(&self) -> usize {
        self.shared.wrong.load(Ordering::Relaxed)
    }

    pub(super) fn end(self) -> Answers {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.resume();
        for thread in self.threads {
            let _ = thread.join();
        }
        let mut answers = self
            .shared
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut answers)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask_on(&self, address: SocketAddr, name: &'static str, pause: u64, ask: Ask) {
        let new = || Kept::new(address, PATIENCE);
        let mut asker = Asker {
            address,
            kept: new(),
            count: 0,
            seen: HashSet::new(),
        };
        while !self.is_over.load(Ordering::SeqCst) {
            {
                let mut state = self.lock();
                if !state.runs {
                    // A connection that rests is a descriptor.
                    asker.kept = new();
                    while !state.runs {
                        let woken = self.changed.wait(state);
                        state = woken.unwrap_or_else(PoisonError::into_inner);
                    }
                    continue;
                }
                state.busy += 1;
            }
            asker.count += 1;
            let outcome = ask(&mut asker);
            if !self.lock().runs {
                asker.kept = new();
            }
            self.note(name, outcome);
            self.lock().busy -= 1;
            self.changed.notify_all();
            thread::sleep(Duration::from_millis(pause));
        }
    }

    fn note(&self, name: &'static str, outcome: Result<()>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                *answers.right.entry(name).or_default() += 1;
                self.right.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.wrong.fetch_add(1, Ordering::Relaxed);
                if answers.wrong.len() < 20 {
                    answers.wrong.push(format!("{name}: {error:#}"));
                }
            }
        }
    }
}

impl Asker {
    #[track_caller]
    fn expect(&mut self, request: &Request, status: u16, body: Option<&[u8]>) -> Result<Vec<u8>> {
        let response = self.kept.ask(request)?;
        let text =
            String::from_utf8_lossy(&response.body[..response.body.len().min(200)]).into_owned();
        ensure!(
            response.status == status,
            "{}: {}: {text}",
            request.path,
            response.status
        );
        if let Some(body) = body {
            ensure!(
                response.body == body,
                "{}: {} bytes: {text}",
                request.path,
                response.body.len()
            );
        }
        Ok(response.body)
    }

    fn get(&mut self, path: &str, status: u16, body: Option<&str>) -> Result<Vec<u8>> {
        self.expect(&Request::get(path), status, body.map(str::as_bytes))
    }

    /// Sizes that come again in another order.
    fn size(&self) -> usize {
        self.count * 7919 % (256 << 10)
    }

    fn post(&mut self, path: &str) -> Result<()> {
        let request = Request {
            method: "POST",
            body: self.size(),
            ..Request::get(path)
        };
        self.expect(&request, 200, Some(&vec![b'x'; request.body]))
            .map(drop)
    }

    fn raw(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

fn hello(asker: &mut Asker) -> Result<()> {
    asker.get("/", 200, Some("hello, world\n")).map(drop)
}

fn echo(asker: &mut Asker) -> Result<()> {
    asker.post("/echo")
}

fn stream(asker: &mut Asker) -> Result<()> {
    asker.post("/stream")
}

fn blocks(asker: &mut Asker) -> Result<()> {
    let expected = "block 1\nblock 2\nblock 3\nblock 4\n";
    asker
        .get("/blocks?n=4&ms=20", 200, Some(expected))
        .map(drop)
}

fn random(asker: &mut Asker) -> Result<()> {
    let digits = asker.get("/random", 200, None)?;
    ensure!(digits.len() >= 32, "{digits:?}");
    ensure!(
        asker.seen.insert(digits),
        "two instances drew the same numbers"
    );
    Ok(())
}

fn traps(asker: &mut Asker) -> Result<()> {
    asker.get("/trap/trap", 502, None).map(drop)
}

fn after_traps(asker: &mut Asker) -> Result<()> {
    asker.get("/trap/fine", 200, Some("fine\n")).map(drop)
}

fn timeouts(asker: &mut Asker) -> Result<()> {
    let begin = Instant::now();
    asker.get("/sleep", 504, None)?;
    ensure!(begin.elapsed() >= TIMEOUT, "after {:?}", begin.elapsed());
    Ok(())
}

/// At any moment: before an answer, in the middle of one, with a body that is never sent whole.
fn leave(asker: &mut Asker) -> Result<()> {
    let by = [
        "write",
        "next",
        "read",
        "line",
        "host",
        "sleep",
        "empty",
        "burn-next",
    ];
    let by = by[asker.count % by.len()];
    let mut stream = asker.raw()?;
    let head = format!(
        "POST /gone?by={by}&ms=50 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nsome of it\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.set_read_timeout(Some(Duration::from_millis(asker.count as u64 % 40 + 1)))?;
    let mut some = [0; 4096];
    // What there is of an answer, or nothing.
    let _ = stream.read(&mut some);
    Ok(())
}

fn cpu(asker: &mut Asker) -> Result<()> {
    asker.get("/cpu?ms=30", 200, Some("done\n")).map(drop)
}

fn memory(asker: &mut Asker) -> Result<()> {
    let said = asker.get("/hold?mib=32&ms=20", 200, None)?;
    ensure!(
        said.starts_with(b"holds "),
        "{}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

fn broken(asker: &mut Asker) -> Result<()> {
    let heads = [
        "G\u{0}T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
    ];
    let head = heads[asker.count % heads.len()];
    let mut stream = asker.raw()?;
    stream.write_all(head.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    ensure!(
        &answer == b"HTTP/1.1 400",
        "{head:?}: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

/// A head that never ends: 408, when its time is over.
fn stall(asker: &mut Asker) -> Result<()> {
    let mut stream = asker.raw()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 408 ") {
        bail!("a head without an end: {answer:?}");
    }
    Ok(())
}
