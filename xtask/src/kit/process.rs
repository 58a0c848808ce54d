//! A process of the bench: started so that it never outlives us, looked at, and found a place. What
//! the bench starts it kills itself, and nothing else.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use crate::shell::target_folder;

/// A command that ends when this process does, also when it is killed, where the system has the
/// tool for it. Such a server uses all cores, and people press Ctrl-C.
pub(crate) fn dies_with_us(binary: &Path, signal: &str) -> Command {
    static HAS_SETPRIV: OnceLock<bool> = OnceLock::new();
    let has_setpriv = *HAS_SETPRIV.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    if !has_setpriv {
        return Command::new(binary);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]).arg(binary);
    command
}

/// One that nobody else has, for as long as we run: all servers are told theirs in the same way.
///
/// A socket is bound to it and never listens. That keeps the kernel from giving the port to anyone who asks for any,
/// so that two servers which start at once get two. A server that is told the port gets it, since servers bind with
/// `SO_REUSEADDR`.
pub(crate) fn free_address() -> Result<SocketAddr> {
    static TAKEN: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = socket.local_addr()?.as_socket();
    TAKEN.lock().expect("nobody panics with it").push(socket);
    address.context("it is bound to an address of IPv4")
}

/// Where the bench keeps what it writes.
pub(crate) fn work_folder() -> Result<PathBuf> {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    let folder = TARGET.get_or_init(target_folder).join("bench");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A line of /proc/PID/status that is in kB, in bytes. 0 when there is none, as for a process that
/// ended.
pub(crate) fn status_bytes(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    bytes_in(&status, name)
}

/// Page faults of a process that needed no disk, of all of its threads.
pub(crate) fn minor_faults(pid: u32) -> Option<u64> {
    minor_faults_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The tenth field of the text of /proc/PID/stat. The second is the name, which may have anything in it.
fn minor_faults_in(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(7)?.parse().ok()
}

/// A line of the text of /proc/PID/status or /proc/meminfo that is in kB, in bytes.
pub(crate) fn bytes_in(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn an_address_is_given_to_one_server_alone() {
        let address = free_address().unwrap();
        let plain = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let taken = plain.bind(&address.into()).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        // Nobody listens before the server does.
        assert!(TcpStream::connect(address).is_err());
        let server = TcpListener::bind(address).unwrap();
        assert!(TcpStream::connect(address).is_ok());
        assert_eq!(server.accept().unwrap().0.local_addr().unwrap(), address);
    }

    #[test]
    fn page_faults_are_found_behind_any_name() {
        let stat = "42 (a) name) S 1 42 42 0 -1 4194304 1234 99 5 0 10 2";
        assert_eq!(minor_faults_in(stat), Some(1234));
        assert_eq!(minor_faults_in("42 (ended"), None);
        assert!(minor_faults(std::process::id()).is_some());
    }

    #[test]
    fn a_line_of_the_status_is_in_bytes() {
        let text = "VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(bytes_in(text, "VmRSS:"), 1 << 20);
        assert_eq!(bytes_in(text, "VmSwap:"), 0);
    }
}
