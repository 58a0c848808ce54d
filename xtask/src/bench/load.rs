//! Load on the victim: `wrk` for throughput, and a slow steady rate of requests for what a visitor
//! sees. Neither quotes a run in which an answer was wrong.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::http::Kept;
use super::servers::work_folder;

/// What the victim says.
const BODY: &[u8] = b"hello, world\n";
const SCRIPT: &str = include_str!("wrk.lua");

/// What was measured of the victim in one run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Run {
    /// Requests a second that were answered.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) requests: u64,
    /// Requests that failed, or that had no answer when patience ended.
    pub(crate) failed: u64,
    /// Why the run must not be quoted.
    pub(crate) problem: Option<String>,
}

/// What `wrk.lua` prints.
#[derive(Deserialize)]
struct Measured {
    micros: f64,
    requests: u64,
    bytes: u64,
    connect: u64,
    read: u64,
    write: u64,
    status: u64,
    timeout: u64,
    p50: f64,
    p99: f64,
    max: f64,
}

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
pub(crate) fn wrk(
    address: SocketAddr,
    paths: &[String],
    size: u64,
    connections: u64,
    time: Duration,
) -> Result<Run> {
    let script = work_folder()?.join("wrk.lua");
    fs::write(&script, SCRIPT)?;
    let seconds = time.as_secs().max(1);
    let mut command = Command::new("wrk");
    command
        .args(["-t1", "--latency", "--timeout", "60s"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .arg("-s")
        .arg(&script)
        .arg(format!("http://{address}{}", paths[0]))
        .arg("--");
    if paths.len() > 1 {
        command.args(paths);
    }
    let Some(text) = bounded_output(&mut command, time + Duration::from_secs(5))? else {
        // It waits for a first connection before it measures anything.
        return Ok(Run {
            problem: Some("no connection".to_owned()),
            ..Run::default()
        });
    };
    let line = text.lines().find_map(|line| line.strip_prefix("MEASURED "));
    let line = line.with_context(|| format!("wrk said something else:\n{text}"))?;
    let measured: Measured = serde_json::from_str(line)?;
    Ok(judged(&measured, size, connections))
}

/// Refuses what has an error in it. Besides what wrk counts, the bytes of all answers must be those
/// of right ones, but for the last on each connection, which may be cut by the end of the run.
fn judged(measured: &Measured, size: u64, connections: u64) -> Run {
    let failed =
        measured.connect + measured.read + measured.write + measured.status + measured.timeout;
    let least = measured.requests * size;
    let right_size = (least..=least + connections * size).contains(&measured.bytes);
    let problem = if failed > 0 {
        Some(format!(
            "connect {}, read {}, write {}, status {}, timeout {}",
            measured.connect, measured.read, measured.write, measured.status, measured.timeout
        ))
    } else if measured.requests == 0 {
        Some("no answer".to_owned())
    } else if !right_size {
        Some(format!(
            "{} answers had {} bytes, and a right one has {size}",
            measured.requests, measured.bytes
        ))
    } else {
        None
    };
    Run {
        rate: measured.requests as f64 / (measured.micros / 1e6),
        p50_ms: measured.p50 / 1e3,
        p99_ms: measured.p99 / 1e3,
        max_ms: measured.max / 1e3,
        requests: measured.requests,
        failed,
        problem,
    }
}

/// What a program prints, or nothing if it does not end in time.
fn bounded_output(command: &mut Command, limit: Duration) -> Result<Option<String>> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let end = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
    // A page of text at most, so it fits the pipe.
    let output = child.wait_with_output()?;
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
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
        p99_ms: at(0.99),
        max_ms: at(1.0),
        requests: latencies.len() as u64,
        failed,
        problem: (failed > 0).then(|| format!("{failed} of {} failed", latencies.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        Measured {
            micros: 1e6,
            requests: 100,
            bytes: 100 * 150 + 70,
            connect: 0,
            read: 0,
            write: 0,
            status: 0,
            timeout: 0,
            p50: 1000.0,
            p99: 2000.0,
            max: 3000.0,
        }
    }

    #[test]
    fn a_run_whose_answers_are_all_right_is_quoted() {
        let run = judged(&measured(), 150, 8);
        assert_eq!(run.problem, None);
        assert!((run.rate - 100.0).abs() < 1e-9 && (run.p99_ms - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_with_one_wrong_answer_is_not_quoted() {
        let with = |change: fn(&mut Measured)| {
            let mut measured = measured();
            change(&mut measured);
            judged(&measured, 150, 8).problem
        };
        assert!(with(|measured| measured.status = 1).is_some());
        assert!(with(|measured| measured.timeout = 1).is_some());
        assert!(with(|measured| measured.bytes -= 71).is_some());
        assert!(with(|measured| measured.bytes += 150 * 8).is_some());
        assert!(with(|measured| measured.requests = 0).is_some());
    }
}
