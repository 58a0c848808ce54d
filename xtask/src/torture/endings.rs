//! The end of a server: told to stop, and replaced by another, while clients ask as fast as they can. Nobody who
//! was accepted may be lost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::case::{Case, Found, Needs, Proof};
use super::server::{Server, eventually};
use super::setting::Setting;
use super::wire::PATIENCE;
use crate::kit::http::{Kept, Request, Response, connect};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "sigterm",
        shows: "SIGTERM while 6 clients ask, on new connections and on kept ones; beside them 50 that have connected \
                and not asked yet, and 20 whose bodies are under way",
        expected: "each request that was accepted is answered, last answers say Connection: close, exit code 0",
        needs: Needs::Guest,
        proof: Proof::Off(&["drain"]),
        waits: false,
        run: sigterm,
    },
    Case {
        name: "sigusr2",
        shows: "another process takes over, twice, while 6 clients ask 30,000 times (3,000 in a hurry)",
        expected: "no request fails",
        needs: Needs::Gateway("others have no such signal"),
        proof: Proof::Off(&["drain"]),
        waits: false,
        run: sigusr2,
    },
];

/// Clients that ask again and again.
#[derive(Default)]
struct Load {
    answered: AtomicUsize,
    faults: Mutex<Vec<String>>,
    /// The server was told to stop: from now on it may refuse new connections.
    may_refuse: AtomicBool,
    /// Connections that were made after that, and got no answer.
    late: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    /// Asks until it is over, or until the server refuses as it may.
    fn ask(&self, address: SocketAddr, keeps: bool) {
        let mut client = Kept::new(address, PATIENCE);
        while !self.is_over.load(Ordering::Relaxed) {
            let is_new = !client.is_open();
            let came_late = is_new && self.may_refuse.load(Ordering::SeqCst);
            if let Err(error) = client.connect() {
                if came_late || self.may_refuse.load(Ordering::SeqCst) {
                    return;
                }
                self.fault(format!("cannot connect: {error}"));
                return;
            }
            match client.ask(&Request::get("/")) {
                Ok(answer) if answer.status == 200 => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    if !keeps {
                        client.forget();
                    }
                }
                Ok(answer) => self.fault(format!("got {}", answer.status)),
                Err(_) if came_late => {
                    self.late.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(error) => self.fault(format!(
                    "a request on a {} connection was lost: {error:#}",
                    if is_new { "new" } else { "kept" }
                )),
            }
        }
    }

    fn fault(&self, what: String) {
        self.faults
            .lock()
            .expect("nobody panics with it")
            .push(what);
    }

    fn faults(&self) -> Vec<String> {
        std::mem::take(&mut self.faults.lock().expect("nobody panics with it"))
    }
}

fn sigterm(setting: &Setting) -> Result<Found> {
    let mut found = Found::default();
    let (mut answered, mut late, mut closing) = (0, 0, 0);
    for _ in 0..setting.pick(1, 5) {
        let mut server = setting.server(&[])?;
        let load = Load::default();
        thread::scope(|scope| -> Result<()> {
            for number in 0..6 {
                let (load, address) = (&load, server.address);
                scope.spawn(move || load.ask(address, number % 2 == 0));
            }
            let outcome = stop(setting, &server, &load, &mut found, &mut closing);
            load.is_over.store(outcome.is_err(), Ordering::Relaxed);
            outcome
        })?;
        answered += load.answered.load(Ordering::Relaxed);
        late += load.late.load(Ordering::Relaxed);
        for fault in load.faults() {
            found.demand(false, fault);
        }
        let begin = Instant::now();
        match server.end(Duration::from_secs(10)) {
            None => found.demand(false, "it has not ended after 10 s"),
            Some(status) => {
                let is_right = status.success() || !setting.target.is_gateway();
                found.demand(is_right, format!("ended with {status}"));
                found.demand(
                    begin.elapsed() < Duration::from_secs(5),
                    format!("ended only {:.1?} after its last answer", begin.elapsed()),
                );
            }
        }
    }
    found.say(format!(
        "{answered} answered under load, {late} came too late; {closing} others answered after the signal"
    ));
    Ok(found)
}

/// Sends the signal in the middle of it all.
fn stop(
    setting: &Setting,
    server: &Server,
    load: &Load,
    found: &mut Found,
    answered: &mut usize,
) -> Result<()> {
    thread::sleep(Duration::from_millis(500));
    let path = server.hostile("/read");
    let head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhello");
    let mut bodies = Vec::new();
    for _ in 0..20 {
        let mut client = connect(server.address, None, PATIENCE)?;
        client.write_all(head.as_bytes())?;
        bodies.push(client);
    }
    thread::sleep(Duration::from_millis(100));
    let mut new = Vec::new();
    for _ in 0..50 {
        new.push(connect(server.address, None, PATIENCE)?);
    }
    load.may_refuse.store(true, Ordering::SeqCst);
    server.signal(Signal::TERM)?;
    for mut client in new {
        let ask = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
        answered_last(
            setting,
            found,
            answered,
            "one that had connected",
            &mut client,
            ask,
        );
    }
    for mut client in bodies {
        let who = "one whose body was under way";
        answered_last(setting, found, answered, who, &mut client, b"world");
    }
    Ok(())
}

/// It is answered, and told that there will be no other answer. Where an answer was faster than the signal, a later
/// one says so.
fn answered_last(
    setting: &Setting,
    found: &mut Found,
    answered: &mut usize,
    who: &str,
    client: &mut TcpStream,
    ask: &[u8],
) {
    const AGAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
    // The signal takes its time, and more so on a machine with much to do.
    for ask in std::iter::once(ask).chain(std::iter::repeat_n(AGAIN, 500)) {
        let answer = client
            .write_all(ask)
            .map_err(Into::into)
            .and_then(|()| one_answer(client));
        match answer {
            Ok(answer) if answer.status == 200 => {
                *answered += 1;
                if answer.closes() || !setting.target.is_gateway() {
                    return;
                }
            }
            Ok(answer) => return found.demand(false, format!("{who} got {}", answer.status)),
            Err(error) => return found.demand(false, format!("{who} was lost: {error:#}")),
        }
    }
    found.demand(false, format!("{who} was not told of the end"));
}

fn one_answer(mut client: &TcpStream) -> Result<Response> {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = client.read(&mut buffer)?;
        ensure!(count > 0, "closed without an answer");
        got.extend_from_slice(&buffer[..count]);
        if let Some(response) = Response::parse(&got)? {
            return Ok(response);
        }
    }
}

fn sigusr2(setting: &Setting) -> Result<Found> {
    let third = setting.pick(1_000, 10_000);
    let server = setting.server(&[])?;
    let mut found = Found::default();
    let load = Load::default();
    thread::scope(|scope| {
        for number in 0..6 {
            let (load, address) = (&load, server.address);
            scope.spawn(move || load.ask(address, number % 2 == 0));
        }
        let outcome = take_over_twice(&server, &load, third);
        load.is_over.store(true, Ordering::Relaxed);
        outcome
    })
    .or_else(|error| {
        found.demand(false, format!("{error:#}"));
        anyhow::Ok(())
    })?;
    for fault in load.faults() {
        found.demand(false, fault);
    }
    found.say(format!(
        "{} answered by three processes",
        load.answered.load(Ordering::Relaxed)
    ));
    Ok(found)
}

fn take_over_twice(server: &Server, load: &Load, third: usize) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let more = |count: usize| {
        let goal = load.answered.load(Ordering::Relaxed) + count;
        let reached = || (load.answered.load(Ordering::Relaxed) >= goal).then_some(());
        eventually(PATIENCE, reached).context("no more answers")
    };
    more(third)?;
    let mut pid = server.pid();
    for count in 1..=2 {
        let process = rustix::process::Pid::from_raw(pid.cast_signed()).context("no process")?;
        rustix::process::kill_process(process, Signal::USR2)?;
        pid =
            eventually(PATIENCE, || successor(&server.log(), count)).context("nobody took over")?;
        more(third)?;
    }
    Ok(())
}

/// The number of the process that took over as the `count`-th.
fn successor(log: &str, count: usize) -> Option<u32> {
    let mut lines = log.lines().filter(|line| line.contains(" has taken over"));
    let line = lines.nth(count - 1)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "process")?;
    words.get(at + 1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_took_over_is_known() {
        let log = "a\n2026 INFO wasm_gw: process 12 has taken over; requests\nx\n INFO process 13 has taken over\n";
        assert_eq!(successor(log, 1), Some(12));
        assert_eq!(successor(log, 2), Some(13));
        assert_eq!(successor(log, 3), None);
    }
}
