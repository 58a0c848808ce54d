//! Attacks by many connections: half requests, silence, resets. A good client from another address is served
//! beside them.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::case::{Case, Found, Needs, Proof};
use super::probe::Probe;
use super::server::{Server, eventually};
use super::setting::Setting;
use super::wire::{PATIENCE, address, is_closed, reset};
use crate::kit::http::connect;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "half-requests-one",
        shows: "5,000 half-sent requests from one address, of a server that may have 4,096 files open",
        expected: "a good client's p99 stays under the bound",
        needs: Needs::Http,
        proof: Proof::Off(&["per-address"]),
        waits: false,
        run: half_requests_of_one,
    },
    Case {
        name: "half-requests-many",
        shows: "2,000 half-sent requests from as many addresses",
        expected: "the same, and all of them are ended by the header timeout",
        needs: Needs::Http,
        proof: Proof::Off(&["header-timeout"]),
        waits: false,
        run: half_requests_of_many,
    },
    Case {
        name: "silence",
        shows: "1,000 connections that never say anything, from as many addresses, of a server that may have 1,024 \
                files open",
        expected: "a good client's p99 stays under the bound",
        needs: Needs::Http,
        proof: Proof::Off(&["make-room"]),
        waits: false,
        run: silence,
    },
    Case {
        name: "resets",
        shows: "100,000 connections opened and reset (5,000 in a hurry): empty, in a head, with a request under way",
        expected: "a good client's p99 stays under the bound; no descriptor and no instance is left",
        needs: Needs::Http,
        proof: Proof::Off(&["disconnect"]),
        waits: false,
        run: resets,
    },
];

const HALF: &[u8] = b"GET / HTTP/1.1\r\nHo";

/// Connections that have said this and no more. Some may be closed at once.
fn crowd(server: &Server, from: impl Iterator<Item = Ipv4Addr>, say: &[u8]) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    let mut left = GIVES_UP;
    let begin = Instant::now();
    for from in from {
        if begin.elapsed() > Duration::from_secs(20) {
            break;
        }
        match connect(server.address, Some(from), PATIENCE) {
            Ok(mut client) => {
                let _ = client.write_all(say);
                clients.push(client);
            }
            Err(_) if left == 0 => break,
            Err(_) => left -= 1,
        }
    }
    clients
}

/// After so many connections in vain an attacker has what it wanted. The good client judges.
const GIVES_UP: usize = 3;

fn open(clients: &[TcpStream]) -> usize {
    clients.iter().filter(|client| !is_closed(client)).count()
}

fn half_requests_of_one(setting: &Setting) -> Result<Found> {
    let server = setting.launch().files(4096).start()?;
    let mut found = Found::default();
    let probe = Probe::start(&server)?;
    let clients = crowd(
        &server,
        std::iter::repeat_n(Ipv4Addr::LOCALHOST, 5000),
        HALF,
    );
    thread::sleep(setting.pick(Duration::from_secs(3), Duration::from_secs(8)));
    found.say(format!("{} of 5000 let in", open(&clients)));
    probe.finish().judge(&mut found, setting);
    Ok(found)
}

fn half_requests_of_many(setting: &Setting) -> Result<Found> {
    let (timeout, options) = setting.time("--header-timeout", 2, 10);
    let server = setting.server(&options)?;
    let mut found = Found::default();
    let probe = Probe::start(&server)?;
    let begin = Instant::now();
    let mut clients = crowd(&server, (0..2000).map(address), HALF);
    found.demand(
        clients.len() == 2000,
        format!("only {} of 2000 could connect", clients.len()),
    );
    let opened = begin.elapsed();
    let patience = timeout + Duration::from_secs(3);
    eventually(patience, || {
        clients.retain(|client| !is_closed(client));
        clients.is_empty().then_some(())
    });
    found.demand(
        clients.is_empty(),
        format!(
            "{} of 2000 are open after {:.1?}",
            clients.len(),
            begin.elapsed()
        ),
    );
    found.say(format!(
        "opened in {opened:.1?}, all ended after {:.1?}",
        begin.elapsed()
    ));
    probe.finish().judge(&mut found, setting);
    Ok(found)
}

fn silence(setting: &Setting) -> Result<Found> {
    let server = setting.launch().files(1024).start()?;
    let mut found = Found::default();
    let probe = Probe::start(&server)?;
    let clients = crowd(&server, (0..1000).map(address), b"");
    thread::sleep(setting.pick(Duration::from_secs(3), Duration::from_secs(8)));
    found.say(format!("{} of 1000 still open", open(&clients)));
    probe.finish().judge(&mut found, setting);
    Ok(found)
}

fn resets(setting: &Setting) -> Result<Found> {
    const THREADS: usize = 4;
    let each = setting.pick(5_000, 100_000) / THREADS;
    let server = setting.server(&[])?;
    let mut found = Found::default();
    let path = if setting.target.has_guests() {
        server.hostile("/doze")
    } else {
        "/".to_owned()
    };
    // Its body is not read, so that nobody but the server's own watch sees it leave.
    let whole = format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhello");
    let before = server.descriptors();
    let probe = Probe::start(&server)?;
    let begin = Instant::now();
    let failed = thread::scope(|scope| {
        let attackers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (server, whole) = (&server, &whole);
                scope.spawn(move || {
                    let mut failed = 0;
                    for number in 0..each {
                        let from = address(thread * each + number);
                        let Ok(mut client) = connect(server.address, Some(from), PATIENCE) else {
                            failed += 1;
                            if failed > GIVES_UP {
                                break;
                            }
                            continue;
                        };
                        let _ = match number % 30 {
                            0 => client.write_all(whole.as_bytes()),
                            1..10 => client.write_all(HALF),
                            _ => Ok(()),
                        };
                        reset(client);
                    }
                    failed
                })
            })
            .collect();
        attackers
            .into_iter()
            .filter_map(|one| one.join().ok())
            .sum::<usize>()
    });
    let took = begin.elapsed();
    let pulse = probe.finish();
    found.demand(failed == 0, format!("{failed} could not connect"));
    found.say(format!("{} opened in {took:.1?}", THREADS * each));
    pulse.judge(&mut found, setting);
    if setting.target.has_guests() {
        // Some are there to watch, as those to the metrics.
        let is_clean = eventually(PATIENCE, || {
            (server.descriptors() <= before + 8).then_some(())
        });
        found.demand(
            is_clean.is_some(),
            format!("{} descriptors, {before} before", server.descriptors()),
        );
    }
    if setting.target.is_gateway() {
        found.demand(
            server.is_idle(PATIENCE).is_some(),
            format!(
                "instances are left: {}",
                server.metric("wasm_gw_instances_live")?
            ),
        );
    }
    Ok(found)
}
