//! Many clients at once. Unlike [`Client`](crate::Client) none of them panics: what became of each is
//! told, and a test looks at all of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long one of many may wait: each waits for all the others.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much of an answer is kept.
const KEPT: usize = 64 << 10;

/// What became of one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 0 if there was none.
    pub status: u16,
    /// The beginning of what came, head and all.
    pub text: String,
    /// Whether its framing came to an end.
    pub whole: bool,
    pub took: Duration,
}

impl Answer {
    /// The body, without framing.
    pub fn body(&self) -> String {
        unframed(&self.text).0
    }

    /// Whether the head has this field.
    pub fn has(&self, name: &str) -> bool {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .any(|(found, _)| found.eq_ignore_ascii_case(name))
    }
}

/// One GET on a connection of its own.
pub async fn get(address: SocketAddr, target: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    send(address, request.into()).await
}

/// These bytes on a connection of their own, and what comes until the server closes it.
pub async fn send(address: SocketAddr, request: Bytes) -> Answer {
    let begin = Instant::now();
    let mut bytes = Vec::new();
    let ended = timeout(PATIENCE, exchange(address, &request, &mut bytes)).await;
    let ended = ended.is_ok_and(|outcome| outcome.is_ok());
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or(0);
    Answer {
        status,
        whole: ended && unframed(&text).1,
        text,
        took: begin.elapsed(),
    }
}

async fn exchange(address: SocketAddr, request: &[u8], kept: &mut Vec<u8>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut from, mut to) = stream.split();
    // A server may answer before it has read all, and waits for its answer to be taken.
    let sending = async {
        let _ = to.write_all(request).await;
    };
    let reading = async {
        let mut room = vec![0; 16 << 10];
        loop {
            let count = from.read(&mut room).await?;
            if count == 0 {
                return Ok(());
            }
            let keeps = KEPT.saturating_sub(kept.len()).min(count);
            kept.extend_from_slice(&room[..keeps]);
        }
    };
    tokio::join!(sending, reading).1
}

/// What a text says of an answer: its body without framing, and whether that is all of it. Only for
/// answers that were kept whole.
fn unframed(text: &str) -> (String, bool) {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return (String::new(), false);
    };
    let field = |name: &str| {
        let of_name = |line: &&str| {
            line.split_once(':')
                .is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
        };
        let line = head.lines().find(of_name)?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    if let Some(length) = field("content-length") {
        let length: usize = length.parse().unwrap_or(usize::MAX);
        return (body.to_owned(), body.len() >= length);
    }
    if field("transfer-encoding").is_none() {
        return (body.to_owned(), true);
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        match usize::from_str_radix(size, 16) {
            Ok(0) => return (whole, true),
            Ok(size) if after.len() >= size + 2 => {
                whole.push_str(after.get(..size).unwrap_or_default());
                rest = after.get(size + 2..).unwrap_or_default();
            }
            _ => break,
        }
    }
    (whole, false)
}

/// So many requests for this target at once, in the background: a test watches others meanwhile.
pub struct Crowd(JoinSet<Answer>);

impl Crowd {
    /// Of requests for one target.
    pub fn get(address: SocketAddr, target: &str, count: usize) -> Self {
        Self::of((0..count).map(|_| {
            let target = target.to_owned();
            async move { get(address, &target).await }
        }))
    }

    /// Of requests for several.
    pub fn get_all<'t>(address: SocketAddr, targets: impl IntoIterator<Item = &'t str>) -> Self {
        Self::of(targets.into_iter().map(|target| {
            let target = target.to_owned();
            async move { get(address, &target).await }
        }))
    }

    /// Of requests with these bytes.
    pub fn send(address: SocketAddr, request: &Bytes, count: usize) -> Self {
        Self::of((0..count).map(|_| send(address, request.clone())))
    }

    fn of<F>(clients: impl IntoIterator<Item = F>) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut set = JoinSet::new();
        for client in clients {
            set.spawn(client);
        }
        Self(set)
    }

    /// Whether some are still waiting for their answer.
    pub fn is_busy(&mut self, answers: &mut Vec<Answer>) -> bool {
        while let Some(answer) = self.0.try_join_next() {
            answers.push(answer.unwrap());
        }
        !self.0.is_empty()
    }

    /// All answers, in the order in which they ended.
    pub async fn answers(mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.0.join_next().await {
            answers.push(answer.unwrap());
        }
        answers
    }

    /// All answers; until they are there another target is asked again and again, and its answers
    /// are the second list.
    pub async fn answers_beside(
        mut self,
        address: SocketAddr,
        target: &str,
    ) -> (Vec<Answer>, Vec<Answer>) {
        let (mut answers, mut beside) = (Vec::new(), Vec::new());
        while self.is_busy(&mut answers) {
            beside.push(get(address, target).await);
            // A client, not another attack.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (answers, beside)
    }
}

/// How many there were of each status.
pub fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

/// Each has one of these statuses.
#[track_caller]
pub fn assert_statuses(what: &str, answers: &[Answer], allowed: &[u16]) {
    let counts = statuses(answers);
    let odd = answers
        .iter()
        .find(|answer| !allowed.contains(&answer.status));
    assert!(
        odd.is_none(),
        "{what}: {counts:?}, such as {odd:?}; only {allowed:?} should be there"
    );
}

/// Runs as many clients as `jobs` gives, at most so many of them at once, to their end.
pub async fn in_turns<F>(jobs: impl IntoIterator<Item = F>, at_once: usize)
where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(at_once));
    let mut set = JoinSet::new();
    for job in jobs {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        set.spawn(async move {
            job.await;
            drop(place);
        });
        // What has ended is taken, so that a panic ends the test here.
        while let Some(done) = set.try_join_next() {
            done.unwrap();
        }
    }
    while let Some(done) = set.join_next().await {
        done.unwrap();
    }
}
