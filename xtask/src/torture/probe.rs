//! The good client: small requests every few milliseconds, on a connection that is kept and on new ones, from
//! addresses that no attacker has. It says how it was served while others attacked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::case::Found;
use super::server::Server;
use super::setting::Setting;
use crate::kit::http::{Kept, Request};

/// The pause between two requests.
const EVERY: Duration = Duration::from_millis(5);

/// How long an answer may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(3);

const KEEPS: Ipv4Addr = Ipv4Addr::new(127, 200, 0, 1);
const COMES_ANEW: Ipv4Addr = Ipv4Addr::new(127, 200, 0, 2);

/// A good client at work.
pub(crate) struct Probe {
    is_over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Sample>>>,
}

struct Sample {
    took: Duration,
    fault: Option<String>,
}

/// How it was served.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    pub(crate) asked: usize,
    pub(crate) failed: usize,
    first_fault: Option<String>,
    p50: Duration,
    p99: Duration,
    max: Duration,
}

impl Probe {
    pub(crate) fn start(server: &Server) -> Result<Self> {
        let address = server.address;
        let request = Request::get("/");
        let right = Kept::new(address, Duration::from_secs(10))
            .ask(&request)
            .context("the good client is not served before the attack")?;
        ensure!(
            right.status < 500,
            "the server answers / by {}",
            right.status
        );
        let is_over = Arc::new(AtomicBool::new(false));
        let clients = [(KEEPS, true), (COMES_ANEW, false)].map(|(from, keeps)| {
            let is_over = Arc::clone(&is_over);
            let right = (right.status, right.body.clone());
            thread::spawn(move || ask_on(address, from, keeps, &right, &is_over))
        });
        Ok(Self {
            is_over,
            clients: clients.into(),
        })
    }

    pub(crate) fn finish(self) -> Pulse {
        self.is_over.store(true, Ordering::Relaxed);
        let joined = self.clients.into_iter().filter_map(|one| one.join().ok());
        Pulse::of(joined.flatten().collect())
    }
}

fn ask_on(
    address: SocketAddr,
    from: Ipv4Addr,
    keeps: bool,
    right: &(u16, Vec<u8>),
    is_over: &AtomicBool,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut client = Kept::new(address, PATIENCE).from(from);
    let mut request = Request::get("/");
    if !keeps {
        let close = ("Connection".to_owned(), "close".to_owned());
        request.headers.push(close);
    }
    while !is_over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let fault = match client.ask(&request) {
            Ok(answer) if (answer.status, &answer.body) == (right.0, &right.1) => None,
            Ok(answer) => Some(format!("got {}", answer.status)),
            Err(error) => Some(format!("{error:#}")),
        };
        samples.push(Sample {
            took: begin.elapsed(),
            fault,
        });
        if !keeps {
            client.forget();
        }
        thread::sleep(EVERY);
    }
    samples
}

impl Pulse {
    fn of(samples: Vec<Sample>) -> Self {
        let mut times: Vec<Duration> = samples.iter().map(|sample| sample.took).collect();
        times.sort_unstable();
        let at = |share: f64| {
            let place = (times.len() as f64 * share).ceil() as usize;
            let found = times.get(place.saturating_sub(1));
            found.copied().unwrap_or_default()
        };
        Self {
            asked: samples.len(),
            failed: samples
                .iter()
                .filter(|sample| sample.fault.is_some())
                .count(),
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
            first_fault: samples.into_iter().find_map(|sample| sample.fault),
        }
    }

    /// What the good client may demand in every row.
    pub(crate) fn judge(&self, found: &mut Found, setting: &Setting) {
        let fault = self.first_fault.as_deref().unwrap_or_default();
        let (failed, asked) = (self.failed, self.asked);
        found.demand(
            failed == 0,
            format!("{failed} of {asked} good requests failed ({fault})"),
        );
        found.demand(asked > 0, "the good client could not ask");
        let most = setting.p99();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let text = format!(
            "good client: {asked} asked, p50 {:.1} ms, p99 {:.1} ms, max {:.0} ms",
            ms(self.p50),
            ms(self.p99),
            ms(self.max)
        );
        if self.p99 > most {
            found.demand(false, format!("{text}: p99 is over {:.0} ms", ms(most)));
        } else {
            found.say(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_has_the_slowest_of_a_hundred() {
        let sample = |ms: u64| Sample {
            took: Duration::from_millis(ms),
            fault: (ms == 7).then(|| "got 503".to_owned()),
        };
        let pulse = Pulse::of((1..=100).map(sample).collect());
        let ms = Duration::from_millis;
        assert_eq!((pulse.p50, pulse.p99, pulse.max), (ms(50), ms(99), ms(100)));
        assert_eq!((pulse.asked, pulse.failed), (100, 1));
    }
}
