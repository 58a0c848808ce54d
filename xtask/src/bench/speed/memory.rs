//! The resident memory of wasm-gw with hello: idle, under load, afterwards, and after very many
//! requests.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::contender::{Contender, WASM_GW};
use super::load::{Agreed, Right};
use super::server::Server;
use super::work::{App, Work};
use crate::bench::options::Load;

const CONNECTIONS: u64 = 64;
/// From the last answer to a look: what is given back late is given back by then.
const REST: Duration = Duration::from_secs(1);

/// In bytes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) contender: String,
    /// After the first answer.
    pub(crate) idle: u64,
    /// The most, while 64 ask.
    pub(crate) peak: u64,
    /// When they are gone.
    pub(crate) after: u64,
    /// After a tenth of all requests, by when all has its place.
    pub(crate) tenth: u64,
    pub(crate) last: u64,
    /// How many there were in all.
    pub(crate) requests: u64,
}

/// Asks each wasm-gw so many times.
pub(crate) fn run(
    contenders: &[Contender],
    works: &[Work],
    load: Load,
    requests: u64,
) -> Result<Vec<Memory>> {
    let Some(work) = works.iter().find(|work| work.app == App::Hello) else {
        return Ok(Vec::new());
    };
    let ours = contenders
        .iter()
        .filter(|contender| contender.kind.name == WASM_GW && contender.has(work));
    let one = |contender: &Contender| {
        eprintln!("== memory: {}, {requests} requests", contender.name);
        of_one(contender, work, load, requests)
            .with_context(|| format!("{}: memory", contender.name))
    };
    ours.map(one).collect()
}

fn of_one(contender: &Contender, work: &Work, load: Load, requests: u64) -> Result<Memory> {
    let server = Server::start(contender, &work.app, &contender.request(work))?;
    thread::sleep(REST);
    let idle = server.resident();
    let right = Right::find(contender, &server, work, &mut Agreed::default())?;
    let ask = || -> Result<u64> {
        let time = Duration::from_secs(1);
        let run = right.load(load, contender, &server, work, CONNECTIONS, time)?;
        server.empty_logs();
        ensure!(run.problem.is_none(), "{:?}", run.problem);
        Ok(run.requests)
    };
    server.forget_peak();
    let mut asked = ask()?;
    let peak = server.peak();
    thread::sleep(REST);
    let after = server.resident();
    let mut ask_until = |wanted: u64| -> Result<u64> {
        while asked < wanted {
            asked += ask()?;
        }
        thread::sleep(REST);
        Ok(server.resident())
    };
    let tenth = ask_until(requests / 10)?;
    let last = ask_until(requests)?;
    Ok(Memory {
        contender: contender.name.clone(),
        idle,
        peak,
        after,
        tenth,
        last,
        requests: asked,
    })
}
