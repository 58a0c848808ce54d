//! Another process in place of a server, on the same sockets: no client is refused, and none is lost.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use wasm_gw_tests::command::{Process, wasm_gw};
use wasm_gw_tests::{Client, PATIENCE, eventually};

/// Ends the process that has taken over last, and waits until it has.
struct Successor(Pid);

impl Successor {
    /// The one that took over as the `count`-th.
    async fn of(process: &Process, count: usize) -> Self {
        process.says_times(" has taken over", count).await;
        let said = process.stderr();
        let line = said
            .lines()
            .rfind(|line| line.contains(" has taken over"))
            .unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "process").unwrap();
        let pid = words[at + 1].parse().unwrap();
        Self(Pid::from_raw(pid).unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.0, signal).unwrap();
    }

    /// It is nobody's child here that could be waited for.
    async fn end(&self) {
        self.signal(Signal::TERM);
        eventually("the end of the successor", || {
            let stat = format!("/proc/{}/stat", self.0.as_raw_nonzero());
            match std::fs::read_to_string(stat) {
                Ok(stat) if !stat.contains(") Z ") => None,
                _ => Some(()),
            }
        })
        .await;
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// Asks again and again, on one connection for as long as it is kept.
async fn ask(address: SocketAddr, keeps: bool, is_over: Arc<AtomicBool>, asked: Arc<AtomicUsize>) {
    let mut client = Client::connect(address).await;
    while !is_over.load(Ordering::Relaxed) {
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        let response = client.response("GET").await;
        assert_eq!(response.expect(200).text(), "hello, world\n");
        asked.fetch_add(1, Ordering::Relaxed);
        if !keeps || response.closes() {
            client = Client::connect(address).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_server_takes_the_place_of_another() {
    const EACH: usize = 2000;
    let process = Process::of(&["hello.wasm"]).await;
    let address = process.address();
    let is_over = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for number in 0..6 {
        clients.spawn(ask(
            address,
            number % 2 == 0,
            Arc::clone(&is_over),
            Arc::clone(&asked),
        ));
    }
    let more = |count: usize| {
        let goal = asked.load(Ordering::Relaxed) + count;
        let asked = Arc::clone(&asked);
        async move {
            let begun = std::time::Instant::now();
            while asked.load(Ordering::Relaxed) < goal {
                assert!(begun.elapsed() < PATIENCE, "no more answers");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    };
    more(EACH).await;
    process.signal(Signal::USR2);
    let first = Successor::of(&process, 1).await;
    more(EACH).await;
    first.signal(Signal::USR2);
    let second = Successor::of(&process, 2).await;
    more(EACH).await;
    is_over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    second.end().await;
}

#[tokio::test]
async fn a_connection_that_rests_has_one_more_answer_of_the_old_server() {
    let mut process = Process::of(&["hello.wasm"]).await;
    let mut rested = process.connect().await;
    rested.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    rested.response("GET").await.expect(200);
    process.signal(Signal::USR2);
    let successor = Successor::of(&process, 1).await;
    // The new one serves before the old one knows of it, and the old one says so before its connections do.
    process.says("has taken over").await;
    loop {
        rested.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        let answer = rested.response("GET").await;
        if answer.expect(200).closes() {
            break;
        }
    }
    assert!(process.exit().await.success());
    process.get("/").await.expect(200);
    successor.end().await;
}

#[tokio::test]
async fn a_server_goes_on_if_nobody_can_take_over() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app.wasm");
    std::fs::write(&app, wasm_gw_tests::guest("hello")).unwrap();
    let socket = folder.path().join("socket");
    let listen = format!("--listen=unix:{}", socket.display());
    let mut process = Process::of(&[app.to_str().unwrap(), &listen]).await;
    std::fs::write(&app, "no component").unwrap();
    for count in 1..=2 {
        process.signal(Signal::USR2);
        process
            .says_times("nobody takes over, and this process goes on", count)
            .await;
        process.get("/").await.expect(200);
        assert!(socket.exists());
    }
    process.signal(Signal::TERM);
    assert!(process.end().await.success());
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_unix_socket_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listen = format!("--listen=unix:{}", path.display());
    let mut process = Process::with_status(&["hello.wasm", &listen]).await;
    let is_there = |path: &Path| {
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
    };
    process.signal(Signal::USR2);
    let successor = Successor::of(&process, 1).await;
    assert!(process.exit().await.success());
    assert!(is_there(&path));
    let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    client.response("GET").await.expect(200);
    drop(client);
    // The status is the new one's, too.
    assert_eq!(process.metrics().await.sum("requests_total", &[]), 1.0);
    successor.end().await;
    assert!(!is_there(&path));
}

#[tokio::test]
async fn sockets_of_a_service_manager_are_listened_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let status = TcpListener::bind("127.0.0.1:0").unwrap();
    for socket in [&listener, &status] {
        fcntl_setfd(socket, FdFlags::empty()).unwrap();
    }
    // A client that comes before there is a server waits.
    let address = listener.local_addr().unwrap();
    let mut early = Client::connect(address).await;
    early.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;

    let server = wasm_gw([] as [&str; 0]);
    let mut command = Command::new("bash");
    command
        .args([
            "-c",
            "exec 3<&$0 4<&$1; LISTEN_PID=$$ exec \"$2\" serve hello.wasm",
        ])
        .arg(listener.as_raw_fd().to_string())
        .arg(status.as_raw_fd().to_string())
        .arg(server.get_program())
        .current_dir(server.get_current_dir().unwrap())
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", "http:status");
    let mut process = Process::serve(command).await;
    assert_eq!(process.address(), address);
    assert_eq!(
        early.response("GET").await.expect(200).text(),
        "hello, world\n"
    );
    process.says("  status ").await;
    assert_eq!(process.status_address(), status.local_addr().unwrap());
    process.signal(Signal::TERM);
    assert!(process.end().await.success());
    // They are the manager's, and listen on.
    let _waits = Client::connect(address).await;
}

#[test]
fn what_was_not_handed_over_is_named() {
    let server = wasm_gw([] as [&str; 0]);
    let check = |count: &str, expected: &str| {
        let mut command = Command::new("bash");
        command
            .args([
                "-c",
                "LISTEN_PID=$$ exec \"$0\" serve hello.wasm 3</dev/null",
            ])
            .arg(server.get_program())
            .current_dir(server.get_current_dir().unwrap())
            .env("LISTEN_FDS", count);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(expected),
            "{said}"
        );
    };
    check(
        "1",
        "what was handed over to listen on: it is no socket that listens",
    );
    check("900", "is not open");
    check("x", "LISTEN_FDS=x: it is no number");
}
