//! Modules of wasm-smith's, from the program that makes them: it cannot be in this one (see its `Cargo.toml`).

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

/// It runs as long as this process does, and ends with its stdin.
static SMITH: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let child = Command::new(env!("SMITH"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    Mutex::new(child.expect("it was built"))
});

/// The module that it makes of these bytes; empty if none.
pub(super) fn module(bytes: &[u8]) -> Vec<u8> {
    let mut smith = SMITH.lock().unwrap_or_else(PoisonError::into_inner);
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    let stdin = smith.stdin.as_mut().expect("it is piped");
    let sent = stdin
        .write_all(&length.to_le_bytes())
        .and_then(|()| stdin.write_all(bytes))
        .and_then(|()| stdin.flush());
    sent.expect("it listens");
    let stdout = smith.stdout.as_mut().expect("it is piped");
    let mut length = [0; 4];
    stdout.read_exact(&mut length).expect("it answers");
    let mut module = vec![0; u32::from_le_bytes(length) as usize];
    stdout.read_exact(&mut module).expect("it answers");
    module
}
