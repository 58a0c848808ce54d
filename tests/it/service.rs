//! The server under a service manager: what it tells the socket that `NOTIFY_SOCKET` names, and when.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;
use wasm_gw_tests::command::{Process, output, wasm_gw};
use wasm_gw_tests::eventually;

/// The manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, folder }
    }

    /// `wasm-gw serve` as a manager would start it.
    fn service(&self, arguments: &[&str]) -> Command {
        let mut command = wasm_gw(["serve", "--listen=127.0.0.1:0"].iter().chain(arguments));
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        command
    }

    /// The next thing that it is told, but for signs of life.
    async fn told(&self) -> Vec<String> {
        loop {
            let news = self.next().await;
            if news != ["WATCHDOG=1"] {
                return news;
            }
        }
    }

    async fn next(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = eventually("news for the manager", || {
            self.socket.recv(&mut buffer).ok()
        })
        .await;
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// What begins with this, of one message.
fn value<'a>(news: &'a [String], name: &str) -> &'a str {
    let of = |line: &'a String| line.strip_prefix(name)?.strip_prefix('=');
    let found = news.iter().find_map(of);
    found.unwrap_or_else(|| panic!("no {name} in {news:?}"))
}

#[tokio::test]
async fn a_manager_is_told_of_start_reload_and_end() {
    let manager = Manager::new();
    let arguments = ["hello.wasm", "--graceful-timeout=100s"];
    let mut process = Process::serve(manager.service(&arguments)).await;
    assert_eq!(manager.told().await, ["STATUS=loading components"]);
    assert_eq!(manager.told().await, ["READY=1", "STATUS=serving"]);
    process.get("/").await.expect(200);

    for _ in 0..2 {
        process.signal(Signal::HUP);
        let begun = manager.told().await;
        assert_eq!(value(&begun, "RELOADING"), "1");
        assert!(value(&begun, "MONOTONIC_USEC").parse::<u64>().unwrap() > 0);
        assert_eq!(manager.told().await, ["READY=1", "STATUS=serving"]);
    }

    process.signal(Signal::TERM);
    let stopping = manager.told().await;
    assert_eq!(value(&stopping, "STOPPING"), "1");
    let wait: u64 = value(&stopping, "EXTEND_TIMEOUT_USEC").parse().unwrap();
    assert!((102_000_000..120_000_000).contains(&wait), "{wait}");
    assert_eq!(process.end().await.code(), Some(0), "{}", process.stderr());
}

#[tokio::test]
async fn a_manager_is_told_that_it_is_ready_only_when_it_is() {
    let manager = Manager::new();
    let service = manager.service(&["no_export.wasm"]);
    let ended = output(service);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(manager.told().await, ["STATUS=loading components"]);
    let rest = manager.socket.recv(&mut [0; 4096]);
    assert!(rest.is_err(), "it says that it is ready");
}

#[tokio::test]
async fn a_manager_that_wants_signs_of_life_gets_them() {
    let manager = Manager::new();
    let mut service = manager.service(&["hello.wasm"]);
    service.env("WATCHDOG_USEC", "20000");
    let _process = Process::serve(service).await;
    let mut signs = 0;
    while signs < 5 {
        signs += usize::from(manager.next().await == ["WATCHDOG=1"]);
    }
}

#[tokio::test]
async fn a_manager_that_cannot_be_told_ends_nothing() {
    let mut service = wasm_gw(["serve", "--listen=127.0.0.1:0", "hello.wasm"]);
    service.env("NOTIFY_SOCKET", "/nowhere/notify");
    let process = Process::serve(service).await;
    process.get("/").await.expect(200);
    process.says("the service manager cannot be told").await;
}
