//! New versions of a component while requests are under way: none fails, and none is answered by two.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;
use tempfile::TempDir;
use wasm_gw_tests::command::Process;
use wasm_gw_tests::metrics::Metrics;
use wasm_gw_tests::{Client, PATIENCE, eventually, guest};

/// What the guest says in each block, in its own file.
const WORD: &[u8] = b"block ";

/// A version of `blocks_slow` that says something else.
fn version(number: usize) -> Vec<u8> {
    let mut component = guest("blocks_slow");
    let places: Vec<usize> = component
        .windows(WORD.len())
        .enumerate()
        .filter_map(|(at, found)| (found == WORD).then_some(at))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        component[at..at + WORD.len()].copy_from_slice(format!("v{number:04} ").as_bytes());
    }
    component
}

/// As builds do: whole, under another name, and then renamed.
fn put(folder: &Path, component: &[u8]) {
    fs::write(folder.join("new"), component).unwrap();
    fs::rename(folder.join("new"), folder.join("app.wasm")).unwrap();
}

struct Served {
    folder: TempDir,
    process: Process,
}

impl Served {
    async fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &version(0));
        let file: PathBuf = folder.path().join("app.wasm");
        let file = file.to_str().unwrap();
        let process = Process::with_status(&[&[file], arguments].concat()).await;
        Self { folder, process }
    }

    fn put(&self, component: &[u8]) {
        put(self.folder.path(), component);
    }

    /// The version that answers now.
    async fn version(&self) -> usize {
        let response = self.process.get("/?n=1").await;
        version_of(&response.expect(200).text()).unwrap()
    }

    async fn comes(&self, number: usize) {
        let begun = std::time::Instant::now();
        while self.version().await != number {
            assert!(
                begun.elapsed() < wasm_gw_tests::PATIENCE,
                "{}",
                self.process.stderr()
            );
        }
    }
}

/// The one version that all lines of an answer are of.
fn version_of(text: &str) -> Option<usize> {
    let mut versions = text.lines().map(|line| line.get(1..5)?.parse().ok());
    let first = versions.next()??;
    versions
        .all(|version| version == Some(first))
        .then_some(first)
}

#[tokio::test]
async fn an_instance_that_serves_many_requests_ends_with_its_version() {
    let served = Served::start(&["--isolation=app"]).await;
    assert_eq!(served.version().await, 0);
    served.process.is_empty().await;
    assert_eq!(
        served.process.metrics().await.gauge("instances_parked"),
        1.0
    );
    served.put(&version(1));
    served.process.signal(Signal::HUP);
    served.process.says("a new version of app is served").await;
    let none = |metrics: &Metrics| metrics.gauge("instances_parked") == 0.0;
    let process = &served.process;
    process
        .counts("no instance that is parked", PATIENCE, none)
        .await;
    assert_eq!(served.version().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_of_ten_thousand_fails_or_is_mixed_over_twenty_versions() {
    const REQUESTS: usize = 10_000;
    const VERSIONS: usize = 20;
    let served = Arc::new(Served::start(&["--watch"]).await);
    let answered = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (served, answered) = (Arc::clone(&served), Arc::clone(&answered));
        let is_over = Arc::clone(&is_over);
        clients.spawn(async move {
            let mut client = Client::connect(served.process.address()).await;
            while !is_over.load(Ordering::Relaxed) {
                client
                    .send("GET /?n=4&ms=1 HTTP/1.1\r\nHost: t\r\n\r\n")
                    .await;
                let response = client.response("GET").await;
                let text = response.expect(200).text();
                assert!(
                    version_of(&text).is_some() && text.lines().count() == 4,
                    "{text}"
                );
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for number in 1..=VERSIONS {
        served.put(&version(number));
        served.comes(number).await;
        eventually("its part of the requests", || {
            let all = answered.load(Ordering::Relaxed);
            (all >= REQUESTS * number / VERSIONS).then_some(())
        })
        .await;
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) >= REQUESTS);
}

#[tokio::test]
async fn a_request_that_has_begun_ends_with_its_version() {
    let served = Served::start(&["--watch"]).await;
    let mut client = Client::connect(served.process.address()).await;
    client
        .send("GET /?n=3&ms=1500 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    client.head().await.expect(200);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"v0000 1\n");
    served.put(&version(1));
    served.comes(1).await;
    for line in [b"v0000 2\n", b"v0000 3\n"] {
        assert_eq!(client.chunk().await.unwrap().unwrap(), line);
    }
}

#[tokio::test]
async fn versions_share_their_places_and_whoever_finds_none_waits() {
    let arguments = ["--watch", "--concurrency=1", "--queue-timeout=20s"];
    let served = Served::start(&arguments).await;
    let mut client = Client::connect(served.process.address()).await;
    client
        .send("GET /?n=3&ms=700 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .await;
    client.head().await.expect(200);
    served.put(&version(1));
    served.process.says("a new version of app is served").await;
    assert_eq!(served.version().await, 1);
    // The one that it waited for has come to its end.
    let rest = client.rest().await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

#[tokio::test]
async fn a_build_that_went_wrong_changes_nothing_and_the_next_is_served() {
    let served = Served::start(&["--watch"]).await;
    let half = version(1);
    served.put(&half[..half.len() / 2]);
    served.process.says("the version before it still is").await;
    assert_eq!(served.version().await, 0);
    // Removed, as by `cargo clean`.
    fs::remove_file(served.folder.path().join("app.wasm")).unwrap();
    assert_eq!(served.version().await, 0);
    // Written in place and slowly, as by a copy.
    let file = served.folder.path().join("app.wasm");
    let whole = version(2);
    for length in [1000, whole.len() / 2, whole.len()] {
        fs::write(&file, &whole[..length]).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    served.comes(2).await;
}

#[tokio::test]
async fn sighup_loads_again_and_a_change_alone_does_not() {
    let served = Served::start(&[]).await;
    served.put(&version(1));
    // Twice as long as it would take with --watch.
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    assert_eq!(served.version().await, 0);
    served.process.signal(Signal::HUP);
    served.comes(1).await;
    served.process.says("a new version of app is served").await;
}

#[tokio::test]
async fn sighup_opens_the_access_log_anew() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let file = format!("--access-log={}", log.display());
    let served = Served::start(&[&file]).await;
    let logged = async |path: &Path, id: String| {
        eventually("a line in the log", || {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.contains(&id).then_some(())
        })
        .await;
    };
    let first = served.process.get("/?n=1").await.id().to_owned();
    logged(&log, first.clone()).await;
    let old = folder.path().join("access.log.1");
    fs::rename(&log, &old).unwrap();
    // Until it is told it writes to the file that it has.
    let second = served.process.get("/?n=1").await.id().to_owned();
    logged(&old, second).await;
    served.process.signal(Signal::HUP);
    served.process.says("a new version of app is served").await;
    let third = served.process.get("/?n=1").await.id().to_owned();
    logged(&log, third.clone()).await;
    assert!(!fs::read_to_string(&old).unwrap().contains(&third));
    assert!(!fs::read_to_string(&log).unwrap().contains(&first));
    assert_eq!(served.process.stdout(), "");
}
