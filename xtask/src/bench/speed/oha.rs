//! `--load oha`: the other load generator, for whoever does not believe the first.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::bench::run::Run;
use crate::kit::http::Request;
use crate::kit::process::work_folder;
use crate::shell::{cargo, output, root, run};

const VERSION: &str = "1.16";

/// What it counts for the requests that were open when its time was over.
const CUT: &str = "aborted due to deadline";

/// Makes sure that it is there, and says which.
pub(crate) fn version() -> Result<String> {
    let version = || output(Command::new(binary()).arg("--version"));
    let is_ours = |version: &String| version.starts_with(&format!("oha {VERSION}"));
    if let Some(version) = version().ok().filter(is_ours) {
        return Ok(version.trim().to_owned());
    }
    eprintln!("\n== building oha {VERSION}, once");
    let mut install = cargo(".", &["install", "oha", "--locked", "--quiet"]);
    install.args(["--version", &format!("~{VERSION}")]);
    run(install.arg("--root").arg(root().join("target/tools")))?;
    Ok(version()?.trim().to_owned())
}

fn binary() -> PathBuf {
    root().join("target/tools/bin/oha")
}

/// What it prints, as far as it matters. Times are in seconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    summary: Summary,
    latency_percentiles: BTreeMap<String, Option<f64>>,
    status_code_distribution: BTreeMap<String, u64>,
    error_distribution: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    total: f64,
    slowest: Option<f64>,
    /// Bytes of bodies.
    total_data: u64,
}

/// As many requests as the server answers, on so many connections that are kept.
pub(crate) fn oha(
    address: SocketAddr,
    request: &Request,
    body: u64,
    connections: u64,
    time: Duration,
) -> Result<Run> {
    let mut command = Command::new(binary());
    command
        .args(["--no-tui", "--output-format", "json"])
        .args(["-z", &format!("{}ms", time.as_millis())])
        .args(["-c", &connections.to_string()])
        .args(["-m", request.method]);
    for (name, value) in &request.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    if request.body > 0 {
        let file = work_folder()?.join("oha.body");
        fs::write(&file, "x".repeat(request.body))?;
        command.arg("-D").arg(file);
    }
    command.arg(format!("http://{address}{}", request.path));
    let text = output(&mut command)?;
    let printed = serde_json::from_str(&text);
    let printed = printed.with_context(|| format!("oha said something else:\n{text}"))?;
    Ok(judged(&printed, body))
}

/// Refuses what has an error in it, or an answer of another status or size.
fn judged(printed: &Printed, body: u64) -> Run {
    let statuses = &printed.status_code_distribution;
    let right = statuses.get("200").copied().unwrap_or(0);
    let wrong: u64 = statuses.values().sum::<u64>() - right;
    let errors = || {
        let all = printed.error_distribution.iter();
        all.filter(|(name, _)| name.as_str() != CUT)
    };
    let failed = wrong + errors().map(|(_, count)| count).sum::<u64>();
    let bytes = printed.summary.total_data;
    let problem = if failed > 0 {
        let others = statuses.iter().filter(|(status, _)| *status != "200");
        let each: Vec<String> = others
            .chain(errors())
            .map(|(name, count)| format!("{name} x {count}"))
            .collect();
        Some(each.join(", "))
    } else if right == 0 {
        Some("no answer".to_owned())
    } else if bytes != right * body {
        Some(format!(
            "{right} answers had {bytes} bytes of body, and a right one has {body}"
        ))
    } else {
        None
    };
    let at = |name: &str| {
        let seconds = printed.latency_percentiles.get(name).copied().flatten();
        seconds.unwrap_or(0.0) * 1e3
    };
    Run {
        rate: right as f64 / printed.summary.total,
        p50_ms: at("p50"),
        p90_ms: at("p90"),
        p99_ms: at("p99"),
        max_ms: printed.summary.slowest.unwrap_or(0.0) * 1e3,
        requests: right,
        failed,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(statuses: &str, errors: &str, bytes: u64) -> Run {
        let text = format!(
            r#"{{"summary": {{"total": 2.0, "slowest": 0.03, "totalData": {bytes}, "successRate": 1.0}},
                "latencyPercentiles": {{"p50": 0.001, "p90": 0.0015, "p99": 0.002, "p99.99": null}},
                "statusCodeDistribution": {statuses}, "errorDistribution": {errors}}}"#
        );
        judged(&serde_json::from_str(&text).unwrap(), 14)
    }

    #[test]
    fn a_run_whose_answers_are_all_right_is_quoted() {
        let run = printed(
            r#"{"200": 100}"#,
            r#"{"aborted due to deadline": 64}"#,
            1400,
        );
        assert_eq!(run.problem, None);
        let near = |got: f64, wanted: f64| (got - wanted).abs() < 1e-9;
        assert!(near(run.rate, 50.0) && near(run.p90_ms, 1.5) && near(run.max_ms, 30.0));
    }

    #[test]
    fn a_run_with_one_wrong_answer_is_not_quoted() {
        let problem = |statuses, errors, bytes| printed(statuses, errors, bytes).problem.unwrap();
        assert!(problem(r#"{"200": 99, "503": 1}"#, "{}", 1400).contains("503 x 1"));
        assert!(problem(r#"{"200": 100}"#, r#"{"connection error": 1}"#, 1400).contains("x 1"));
        assert!(problem(r#"{"200": 100}"#, "{}", 1399).contains("1399"));
        assert!(problem("{}", "{}", 0).contains("no answer"));
    }
}
