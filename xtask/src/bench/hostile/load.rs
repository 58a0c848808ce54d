//! Load on the victim: `wrk` for throughput, and a slow steady rate of requests for what a visitor
//! sees. Neither quotes a run in which an answer was wrong.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::run::{Run, Size};
use crate::bench::wrk::wrk;
use crate::kit::http::{Kept, Request};

/// What the victim says.
const BODY: &[u8] = b"hello, world\n";

/// The bytes of a right answer on each of the paths, which must be the same for all of them.
pub(crate) fn size_of_answer(address: SocketAddr, paths: &[String]) -> Result<u64> {
    let mut client = Kept::new(address, Duration::from_secs(30));
    let mut size = 0;
    for path in paths {
        let (bytes, body) = client.get(path)?;
        ensure!(body == BODY, "{path} is not the victim that was expected");
        ensure!(size == 0 || size == bytes, "the victims differ in size");
        size = bytes;
    }
    Ok(size as u64)
}

/// As many requests as the server answers, on so many connections that are kept.
pub(crate) fn full(
    address: SocketAddr,
    paths: &[String],
    size: u64,
    connections: u64,
    time: Duration,
) -> Result<Run> {
    let more = if paths.len() > 1 { paths } else { &[] };
    let request = Request::get(&paths[0]);
    wrk(address, &request, more, Size::Wire(size), connections, time)
}

/// How many clients share the steady rate. One that waits does not hold up the others.
const CLIENTS: u32 = 32;

/// How long a steady client waits for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many requests a second, whatever the server does: each is due at a time of its own, and its
/// latency counts from then.
pub(crate) fn steady(
    address: SocketAddr,
    paths: &[String],
    rate: u32,
    time: Duration,
    stop: &AtomicBool,
) -> Run {
    let begin = Instant::now() + Duration::from_millis(10);
    let ask = |client: u32| {
        let mut connection = Kept::new(address, PATIENCE);
        let mut latencies = Vec::new();
        let mut failed = 0;
        for turn in 0.. {
            let number = turn * CLIENTS + client;
            let due = Duration::from_secs(1) * number / rate;
            if due >= time || stop.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep((begin + due).saturating_duration_since(Instant::now()));
            let path = &paths[number as usize % paths.len()];
            // What is that much overdue would have no answer either, and not find out any sooner.
            let is_hopeless = begin.elapsed() > time + PATIENCE;
            if is_hopeless || !connection.get(path).is_ok_and(|(_, body)| body == BODY) {
                failed += 1;
            }
            latencies.push(begin.elapsed().saturating_sub(due));
        }
        (latencies, failed)
    };
    let results: Vec<(Vec<Duration>, u64)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || ask(client)))
            .collect();
        clients
            .into_iter()
            .filter_map(|client| client.join().ok())
            .collect()
    });
    let failed: u64 = results.iter().map(|(_, failed)| failed).sum();
    let mut latencies: Vec<Duration> = results.into_iter().flat_map(|(all, _)| all).collect();
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = (latencies.len() as f64 * share).ceil() as usize;
        latencies
            .get(place.saturating_sub(1))
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    Run {
        rate: latencies.len() as f64 / time.as_secs_f64(),
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        max_ms: at(1.0),
        requests: latencies.len() as u64,
        failed,
        problem: (failed > 0).then(|| format!("{failed} of {} failed", latencies.len())),
    }
}
