//! Attacks by slowness: each waits for longer than the server should.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::case::{Case, Found, Needs, Proof};
use super::server::{Server, eventually};
use super::setting::Setting;
use super::wire::{Heard, PATIENCE, listen};
use crate::kit::http::{Kept, Request, connect};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "slow-head",
        shows: "a head of which a byte comes every 200 ms",
        expected: "408 and closed at the header timeout",
        needs: Needs::Http,
        proof: Proof::Off(&["header-timeout"]),
        waits: true,
        run: slow_head,
    },
    Case {
        name: "slow-body",
        shows: "a body of which a byte comes every 100 ms, for ever",
        expected: "408 at the body timeout, and the guest has ended",
        needs: Needs::Guest,
        proof: Proof::Off(&["body-timeout"]),
        waits: true,
        run: slow_body,
    },
    Case {
        name: "stops-reading",
        shows: "a client that reads nothing of an answer of 1 GiB",
        expected: "it is cut within twice the write timeout, and its guest is closed",
        needs: Needs::Guest,
        proof: Proof::Off(&["write-timeout"]),
        waits: true,
        run: stops_reading,
    },
    Case {
        name: "idle",
        shows: "a client that asks once, keeps the connection and never asks again",
        expected: "closed at the keep-alive timeout",
        needs: Needs::Http,
        proof: Proof::Off(&["keep-alive-timeout"]),
        waits: true,
        run: idle,
    },
];

/// How much later than at its time something may be seen to happen.
const LATE: Duration = Duration::from_secs(2);

/// Sends what comes of an iterator, a byte and a pause at a time, and hears what the server says to that.
fn drip(
    stream: &TcpStream,
    pause: Duration,
    bytes: impl Iterator<Item = u8> + Send,
    patience: Duration,
) -> Heard {
    let begin = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || {
            for byte in bytes {
                if begin.elapsed() > patience || (&mut &*stream).write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(pause);
            }
        });
        let heard = listen(stream, begin, patience);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        heard
    })
}

/// It must be told after this time that it was too slow.
fn demand_told(found: &mut Found, setting: &Setting, heard: &Heard, timeout: Duration) {
    found.demand(heard.closed, format!("open after {:.1?}", heard.after));
    if setting.target.is_gateway() {
        found.demand(
            heard.statuses() == [408],
            format!("{}, not 408", heard.text()),
        );
        found.demand(
            heard.after >= timeout.mul_f64(0.9),
            format!("cut too early, after {:.1?}", heard.after),
        );
    }
    found.say(format!("{} after {:.1?}", heard.text(), heard.after));
}

fn slow_head(setting: &Setting) -> Result<Found> {
    let (timeout, options) = setting.time("--header-timeout", 1, 10);
    let server = setting.server(&options)?;
    let mut found = Found::default();
    let stream = connect(server.address, None, PATIENCE)?;
    let head = b"GET / HTTP/1.1\r\nHost: t\r\n".iter().copied();
    let endless = head.chain(b"X: y\r\n".iter().copied().cycle());
    let heard = drip(&stream, Duration::from_millis(200), endless, timeout + LATE);
    demand_told(&mut found, setting, &heard, timeout);
    Ok(found)
}

fn slow_body(setting: &Setting) -> Result<Found> {
    let (timeout, options) = setting.time("--body-timeout", 1, 30);
    let server = setting.server(&options)?;
    let mut found = Found::default();
    let stream = connect(server.address, None, PATIENCE)?;
    let path = server.hostile("/read");
    let head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n");
    (&stream).write_all(head.as_bytes())?;
    let endless = std::iter::repeat(b'x');
    let heard = drip(&stream, Duration::from_millis(100), endless, timeout + LATE);
    demand_told(&mut found, setting, &heard, timeout);
    if setting.target.is_gateway() {
        guest_has_ended(&mut found, &server);
    }
    Ok(found)
}

fn guest_has_ended(found: &mut Found, server: &Server) {
    found.demand(server.is_idle(PATIENCE).is_some(), "its guest runs on");
}

fn stops_reading(setting: &Setting) -> Result<Found> {
    let (timeout, options) = setting.time("--write-timeout", 1, 30);
    let server = setting.server(&options)?;
    let before = server.resident();
    let mut found = Found::default();
    let mut stream = connect(server.address, None, PATIENCE)?;
    let path = server.hostile("/flood?mib=1024");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes())?;
    let mut first = [0; 12];
    stream.read_exact(&mut first)?;
    let begin = Instant::now();
    // Nothing more is read: only a reset can be seen.
    let cut = eventually(timeout * 2 + LATE, || stream.take_error().ok().flatten());
    let after = begin.elapsed();
    found.demand(cut.is_some(), format!("not cut after {after:.1?}"));
    if cut.is_some() {
        found.say(format!("cut after {after:.1?}"));
        found.demand(
            after >= timeout.mul_f64(0.9),
            format!("cut too early, after {after:.1?}"),
        );
    }
    let grown = server.resident().saturating_sub(before) >> 20;
    found.demand(grown < 64, format!("memory +{grown} MiB"));
    if setting.target.is_gateway() && cut.is_some() {
        guest_has_ended(&mut found, &server);
        let closed = eventually(PATIENCE, || {
            (server.lines("the flood is closed") == 1).then_some(())
        });
        found.demand(closed.is_some(), "its guest was not closed");
        found.say("guest closed");
    }
    Ok(found)
}

fn idle(setting: &Setting) -> Result<Found> {
    let (timeout, options) = setting.time("--keep-alive-timeout", 1, 60);
    let server = setting.server(&options)?;
    let mut found = Found::default();
    let mut client = Kept::new(server.address, PATIENCE);
    client.ask(&Request::get("/"))?;
    if !client.is_open() {
        return Ok(Found::skipped("it keeps no connection"));
    }
    let heard = listen(client.connect()?, Instant::now(), timeout + LATE);
    found.demand(heard.closed, format!("open after {:.1?}", heard.after));
    found.demand(
        heard.bytes.is_empty(),
        format!("{}, not silence", heard.text()),
    );
    found.demand(
        !setting.target.is_gateway() || heard.after >= timeout.mul_f64(0.9),
        format!("closed too early, after {:.1?}", heard.after),
    );
    if heard.closed {
        found.say(format!("closed after {:.1?}", heard.after));
    }
    Ok(found)
}
