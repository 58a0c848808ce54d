//! wrk: as many requests as a server answers, on so many connections that are kept, by one thread.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::run::{Run, Size};
use crate::kit::http::Request;
use crate::kit::process::work_folder;

const SCRIPT: &str = include_str!("wrk.lua");

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
    p90: f64,
    p99: f64,
    max: f64,
}

/// Asks for all of the paths in turn, or for that of the request if there are none.
pub(crate) fn wrk(
    address: SocketAddr,
    request: &Request,
    paths: &[String],
    size: Size,
    connections: u64,
    time: Duration,
) -> Result<Run> {
    let script = work_folder()?.join("wrk.lua");
    fs::write(&script, script_for(request))?;
    let seconds = time.as_secs().max(1);
    let mut command = Command::new("wrk");
    command
        .args(["-t1", "--latency", "--timeout", "60s"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .arg("-s")
        .arg(&script)
        .arg(format!("http://{address}{}", request.path))
        .arg("--")
        .args(paths);
    let Some(text) = bounded_output(&mut command, time + Duration::from_secs(5))? else {
        // It waits for a first connection before it measures anything.
        return Ok(Run::none("no connection"));
    };
    let line = text.lines().find_map(|line| line.strip_prefix("MEASURED "));
    let line = line.with_context(|| format!("wrk said something else:\n{text}"))?;
    let measured: Measured = serde_json::from_str(line)?;
    Ok(judged(&measured, size, connections))
}

/// The script, told what to send. wrk makes the bytes of it once.
fn script_for(request: &Request) -> String {
    let mut script = format!("wrk.method = \"{}\"\n", request.method);
    for (name, value) in &request.headers {
        script.push_str(&format!("wrk.headers[\"{name}\"] = \"{value}\"\n"));
    }
    if request.body > 0 {
        script.push_str(&format!("wrk.body = string.rep(\"x\", {})\n", request.body));
    }
    script + SCRIPT
}

/// Refuses what has an error in it. Besides what wrk counts, the bytes of all answers must be those
/// of right ones, but for the last on each connection, which may be cut by the end of the run.
fn judged(measured: &Measured, size: Size, connections: u64) -> Run {
    let failed =
        measured.connect + measured.read + measured.write + measured.status + measured.timeout;
    let is_right_size = match size {
        Size::Wire(size) => {
            let least = measured.requests * size;
            (least..=least + connections * size).contains(&measured.bytes)
        }
        Size::Body(size) => measured.bytes >= measured.requests * size,
    };
    let problem = if failed > 0 {
        Some(format!(
            "connect {}, read {}, write {}, status {}, timeout {}",
            measured.connect, measured.read, measured.write, measured.status, measured.timeout
        ))
    } else if measured.requests == 0 {
        Some("no answer".to_owned())
    } else if !is_right_size {
        Some(format!(
            "{} answers had {} bytes, and a right one has {size:?}",
            measured.requests, measured.bytes
        ))
    } else {
        None
    };
    Run {
        rate: measured.requests as f64 / (measured.micros / 1e6),
        p50_ms: measured.p50 / 1e3,
        p90_ms: measured.p90 / 1e3,
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
            p90: 1500.0,
            p99: 2000.0,
            max: 3000.0,
        }
    }

    #[test]
    fn a_run_whose_answers_are_all_right_is_quoted() {
        let run = judged(&measured(), Size::Wire(150), 8);
        assert_eq!(run.problem, None);
        assert!((run.rate - 100.0).abs() < 1e-9 && (run.p99_ms - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_with_one_wrong_answer_is_not_quoted() {
        let with = |change: fn(&mut Measured)| {
            let mut measured = measured();
            change(&mut measured);
            judged(&measured, Size::Wire(150), 8).problem
        };
        assert!(with(|measured| measured.status = 1).is_some());
        assert!(with(|measured| measured.timeout = 1).is_some());
        assert!(with(|measured| measured.bytes -= 71).is_some());
        assert!(with(|measured| measured.bytes += 150 * 8).is_some());
        assert!(with(|measured| measured.requests = 0).is_some());
    }

    #[test]
    fn of_an_answer_in_chunks_the_body_is_known_to_be_there() {
        assert_eq!(judged(&measured(), Size::Body(140), 8).problem, None);
        assert!(judged(&measured(), Size::Body(151), 8).problem.is_some());
    }

    #[test]
    fn the_script_sends_what_the_request_has() {
        let request = Request {
            method: "POST",
            path: "/in".to_owned(),
            headers: vec![("x-bench-01".to_owned(), "one".to_owned())],
            body: 5,
        };
        let script = script_for(&request);
        assert!(script.starts_with("wrk.method = \"POST\"\n"));
        assert!(script.contains("wrk.headers[\"x-bench-01\"] = \"one\"\n"));
        assert!(script.contains("wrk.body = string.rep(\"x\", 5)\n"));
        assert!(!script_for(&Request::get("/")).contains("wrk.body"));
    }
}
