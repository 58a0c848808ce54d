//! Bytes into a real server over a real socket, most of them nearly requests. Each answer must parse, and where a
//! strict reader knows what the bytes mean, the server must have read the same requests out of them: a request that
//! two readers end at different places is how one is smuggled past a front end.

mod answers;
mod script;
mod server;
mod strict;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::process::NoPanic;
use crate::source::Source;
use answers::Answers;
use script::Script;
use strict::Reading;

/// The server closes each connection sooner than this, whatever is sent: its own times are far shorter.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
pub fn run(data: &[u8]) {
    let no_panic = NoPanic::begin();
    let script = Script::of(&mut Source::new(data));
    let received = converse(&script);
    if let Some(received) = received {
        let reading = Reading::of(&script.bytes);
        Answers::read(&received).check(&script.bytes, &reading);
    }
    no_panic.end();
}

/// Sends it all and reads to the end; none where the script leaves early.
fn converse(script: &Script) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server::address()).expect("the server listens");
    stream.set_nodelay(true).expect("it is a socket");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("it is a time");
    for piece in script.pieces() {
        // A server that has answered and closed reads no further.
        if stream.write_all(piece).is_err() {
            break;
        }
        if script.is_slow {
            std::thread::sleep(Duration::from_micros(300));
        }
    }
    if script.leaves {
        let _ = stream.shutdown(Shutdown::Both);
        return None;
    }
    let begin = Instant::now();
    let mut received = Vec::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Some(received),
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!(
                    "nothing for {:?} after {} bytes: the server hangs",
                    begin.elapsed(),
                    received.len()
                );
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A reset may have destroyed the end of what was sent.
            Err(_) => return None,
        }
        assert!(begin.elapsed() < PATIENCE, "the connection has no end");
    }
}

/// Waits until no connection is left of earlier inputs; how many there are else.
pub fn connections_left() -> usize {
    let begin = Instant::now();
    loop {
        let open = server::open_requests();
        if open == 0 || begin.elapsed() > PATIENCE {
            return open;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
