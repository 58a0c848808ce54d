//! What one request costs a server that has nothing else to do: page faults, and time. A fresh sandbox is paid for in
//! pages that the kernel has to copy or to fill, and threads wait for each other while it does.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::bench::speed::contender::{Contender, WASM_GW};
use crate::bench::speed::server::Server;
use crate::bench::speed::work::Work;
use crate::kit::figures::median;
use crate::kit::http::Kept;

/// How many requests come before, until each place that an instance may have was used.
const BEFORE: usize = 200;
/// From these to the first that counts: what is given back late is given back by then.
const REST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// Of one work, asked for one after the other on one connection.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AtRest {
    pub(crate) work: &'static str,
    pub(crate) contender: String,
    pub(crate) requests: usize,
    /// Minor ones of the whole process, per request.
    pub(crate) faults: f64,
    /// From a request to the end of its answer, the median, in milliseconds.
    pub(crate) time_ms: f64,
}

/// Asks each wasm-gw that has a fresh instance for each request.
pub(super) fn run(
    contenders: &[Contender],
    works: &[Work],
    requests: usize,
    missing: &mut Vec<String>,
) -> Vec<AtRest> {
    let mut all = Vec::new();
    let fresh = contenders.iter().filter(|it| it.kind.name == WASM_GW);
    for contender in fresh {
        for works in works.chunk_by(|one, next| one.app == next.app) {
            if !contender.has(&works[0]) {
                continue;
            }
            match of_app(contender, works, requests) {
                Ok(measured) => all.extend(measured),
                Err(error) => missing.push(format!("{}: at rest: {error:#}", contender.name)),
            }
        }
    }
    all
}

/// All works of one application, by one server.
fn of_app(contender: &Contender, works: &[Work], requests: usize) -> Result<Vec<AtRest>> {
    let app = &works[0].app;
    eprintln!("== at rest: {}, {}", contender.name, app.name());
    let server = Server::start(contender, app, &contender.request(&works[0]))?;
    let of_one =
        |work: &Work| one(contender, &server, work, requests).with_context(|| work.name.to_owned());
    works.iter().map(of_one).collect()
}

fn one(contender: &Contender, server: &Server, work: &Work, requests: usize) -> Result<AtRest> {
    let request = contender.request(work);
    let mut client = Kept::new(server.address, PATIENCE);
    let mut ask = || -> Result<f64> {
        let begin = Instant::now();
        let response = client.ask(&request)?;
        let time = begin.elapsed();
        work.answer.check(&response)?;
        Ok(time.as_secs_f64() * 1e3)
    };
    for _ in 0..BEFORE {
        ask()?;
    }
    thread::sleep(REST);
    let before = server.minor_faults();
    let times = (0..requests).map(|_| ask()).collect::<Result<Vec<_>>>()?;
    let after = server.minor_faults();
    let (Some(before), Some(after)) = (before, after) else {
        anyhow::bail!("the system does not say how many page faults it had");
    };
    ensure!(requests > 0, "nothing was asked");
    Ok(AtRest {
        work: work.name,
        contender: contender.name.clone(),
        requests,
        faults: after.saturating_sub(before) as f64 / requests as f64,
        time_ms: median(times),
    })
}
