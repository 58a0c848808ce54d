//! The attackers: so many requests at once, each on a connection of its own and asked again as soon
//! as it is answered. What each got, and when, is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::kit::http::{Answer, ask};

/// An attacker reads a socket and little else.
const STACK: usize = 256 << 10;

/// An attack that goes on until it is finished.
pub(crate) struct Attack {
    workers: Vec<JoinHandle<Vec<Answer>>>,
    shared: Arc<Shared>,
}

struct Shared {
    stop: AtomicBool,
    sent: AtomicUsize,
    /// When those that still wait give up.
    end: Mutex<Option<Instant>>,
}

impl Shared {
    /// Whether a request that began then may wait on.
    fn patient(&self, limit: Option<Duration>, begin: Instant) -> bool {
        let end = *self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = end.is_some_and(|end| Instant::now() > end);
        !is_over && limit.is_none_or(|limit| begin.elapsed() < limit)
    }
}

impl Attack {
    /// Begins. A request without an answer is given up after `limit`, if there is one.
    pub(crate) fn start(
        address: SocketAddr,
        path: &str,
        count: usize,
        limit: Option<Duration>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            sent: AtomicUsize::new(0),
            end: Mutex::new(None),
        });
        let mut workers = Vec::new();
        for _ in 0..count {
            let shared = Arc::clone(&shared);
            let path = path.to_owned();
            let thread = thread::Builder::new().stack_size(STACK);
            workers.push(thread.spawn(move || work(&shared, address, &path, limit))?);
        }
        Ok(Self { workers, shared })
    }

    /// Waits until every attacker has a request out, or for so long.
    pub(crate) fn wait_until_all_ask(&self, limit: Duration) {
        let end = Instant::now() + limit;
        while self.shared.sent.load(Ordering::Relaxed) < self.workers.len() && Instant::now() < end
        {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks nothing more, waits for the answers that are due, for `grace` at most, and says what
    /// all of them were.
    pub(crate) fn finish(self, grace: Duration) -> Vec<Answer> {
        *self
            .shared
            .end
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + grace);
        self.shared.stop.store(true, Ordering::Relaxed);
        self.workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .flatten()
            .collect()
    }
}

fn work(shared: &Shared, address: SocketAddr, path: &str, limit: Option<Duration>) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut is_first = true;
    while !shared.stop.load(Ordering::Relaxed) {
        let sent = || {
            if is_first {
                shared.sent.fetch_add(1, Ordering::Relaxed);
            }
        };
        let answer = ask(address, path, sent, |begin| shared.patient(limit, begin));
        is_first = false;
        if answer.refused {
            thread::sleep(Duration::from_millis(50));
        }
        answers.push(answer);
    }
    answers
}

/// How many got what: "504", "200 unfinished", "no answer", "cut".
pub(crate) fn tally(answers: &[Answer]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(name(answer)).or_insert(0) += 1;
    }
    counts
}

fn name(answer: &Answer) -> String {
    match answer.status {
        Some(status) if answer.ended => status.to_string(),
        Some(status) => format!("{status} unfinished"),
        None if answer.refused => "cut".to_owned(),
        None => "no answer".to_owned(),
    }
}
