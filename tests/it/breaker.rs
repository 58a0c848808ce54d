//! An app that never answers is switched off (503) and comes back by itself. It takes fifty traps over
//! five seconds, or one in instantiation; whoever answered once is never switched off by a client.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wasm_gw_tests::command::Process;
use wasm_gw_tests::crowd::{self, Answer};
use wasm_gw_tests::guests::guest_path;
use wasm_gw_tests::{PATIENCE, eventually};

/// So long it takes at least until an app is switched off.
const LEAST: Duration = Duration::from_secs(5);

/// A folder with this guest under each of these names: a name of an app is that of its file.
fn copies(guest: &str, names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name).with_extension("wasm");
        fs::copy(guest_path(guest), path).unwrap();
    }
    folder
}

/// A server of all these, each under its name.
async fn serve(folder: &Path, names: &[&str], options: &[&str]) -> Process {
    let mut arguments: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                "--app=/{name}={}",
                folder.join(format!("{name}.wasm")).display()
            )
        })
        .collect();
    arguments.push("--concurrency=16".to_owned());
    arguments.extend(options.iter().map(|&option| option.to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Process::with_status(&arguments).await
}

async fn get(process: &Process, target: &str) -> Answer {
    let answer = crowd::get(process.address(), target).await;
    assert!(answer.whole, "{target}: {answer:?}");
    answer
}

/// Asks for it at this pace until it has been done for so long, and gives the statuses.
async fn hammer(process: &Process, target: &str, pace: Duration, time: Duration) -> Vec<u16> {
    let begin = Instant::now();
    let mut statuses = Vec::new();
    while begin.elapsed() < time {
        statuses.push(get(process, target).await.status);
        // The time has to pass: it is what this is about.
        tokio::time::sleep(pace).await;
    }
    statuses
}

async fn is_open(process: &Process, app: &str) -> bool {
    process.metrics().await.of("breaker_open", &[("app", app)]) != 0.0
}

/// What it said of switching this app: warnings, or what is not even one.
fn switched(process: &Process, app: &str, level: &str) -> usize {
    let said = process.stderr();
    let subject = format!("app {app} ");
    said.lines()
        .filter(|line| line.contains(level) && line.contains(&subject))
        .count()
}

#[tokio::test]
async fn an_app_that_never_answers_is_switched_off_and_on_again() {
    let folder = copies("traps_somewhere", &["broken"]);
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let grant = format!("--dir={}::/data", data.display());
    let options = [grant.as_str(), "--env=TRAPS_UNTIL=/data/mended"];
    let process = serve(folder.path(), &["broken"], &options).await;

    // Fifty are there long before five seconds have passed, and do not suffice.
    let begin = Instant::now();
    let mut traps = 0;
    let refused = loop {
        let answer = get(&process, "/broken/").await;
        if answer.status == 503 {
            break answer;
        }
        assert_eq!(answer.status, 502, "{answer:?}");
        traps += 1;
        assert!(
            begin.elapsed() < 3 * PATIENCE,
            "{traps} traps did not open it"
        );
        if traps > 60 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let took = begin.elapsed();
    assert!(took >= LEAST && traps >= 50, "{traps} traps in {took:?}");
    assert!(refused.has("retry-after"), "{refused:?}");
    eventually("the warning", || {
        (switched(&process, "broken", "WARN") == 1).then_some(())
    })
    .await;
    process.says("app broken is switched off: ").await;
    assert!(is_open(&process, "broken").await);

    // A path that has not trapped yet passes; a probe a second does; nothing else.
    assert_eq!(get(&process, "/broken/other").await.status, 502);
    let statuses = hammer(
        &process,
        "/broken/",
        Duration::from_millis(20),
        Duration::from_millis(3500),
    )
    .await;
    let probes = statuses.iter().filter(|status| **status == 502).count();
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(probes + refused, statuses.len(), "{statuses:?}");
    assert!((1..=5).contains(&probes), "{probes} of {}", statuses.len());
    assert_eq!(switched(&process, "broken", "WARN"), 1, "it is said once");

    // The next probe finds it mended.
    fs::write(data.join("mended"), "").unwrap();
    let begin = Instant::now();
    while get(&process, "/broken/").await.status != 200 {
        assert!(begin.elapsed() < PATIENCE, "no probe passed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..5 {
        assert_eq!(get(&process, "/broken/").await.status, 200);
    }
    eventually("the news that it is on again", || {
        (switched(&process, "broken", "INFO") == 1).then_some(())
    })
    .await;
    assert!(!is_open(&process, "broken").await);
    // It has answered now, and a path that traps switches it off no more.
    assert_eq!(get(&process, "/broken/trap").await.status, 502);
    assert_eq!(get(&process, "/broken/").await.status, 200);
}

#[tokio::test]
async fn no_client_switches_off_an_app_that_can_answer() {
    let names = ["answered", "fresh", "seldom", "neighbour"];
    let folder = copies("traps_somewhere", &names);
    let process = serve(folder.path(), &names, &[]).await;
    let long = LEAST + Duration::from_millis(2500);
    let pace = Duration::from_millis(50);

    // One that has answered, if only once.
    let answered = async {
        assert_eq!(get(&process, "/answered/").await.status, 200);
        let statuses = hammer(&process, "/answered/trap", pace, long).await;
        assert!(statuses.len() >= 60, "{} requests", statuses.len());
        assert!(statuses.iter().all(|&status| status == 502), "{statuses:?}");
        assert_eq!(get(&process, "/answered/").await.status, 200);
        assert!(!is_open(&process, "answered").await);
    };
    // One that was never asked for anything else is switched off for this path, and no further.
    let fresh = async {
        let statuses = hammer(&process, "/fresh/trap", pace, long).await;
        assert!(statuses.len() >= 60, "{} requests", statuses.len());
        assert!(statuses.contains(&503), "{statuses:?}");
        assert_eq!(get(&process, "/fresh/").await.status, 200);
        // And now it has answered.
        let statuses = hammer(&process, "/fresh/trap", pace, Duration::from_millis(300)).await;
        assert!(statuses.iter().all(|&status| status == 502), "{statuses:?}");
        assert_eq!(get(&process, "/fresh/").await.status, 200);
        assert!(!is_open(&process, "fresh").await);
    };
    // One that is asked seldom: time alone does not do it.
    let seldom = async {
        let pace = Duration::from_millis(300);
        let statuses = hammer(&process, "/seldom/trap", pace, long).await;
        assert!(statuses.iter().all(|&status| status == 502), "{statuses:?}");
        assert!(!is_open(&process, "seldom").await);
    };
    let neighbour = async {
        let statuses = hammer(&process, "/neighbour/", pace, long).await;
        assert!(statuses.iter().all(|&status| status == 200), "{statuses:?}");
    };
    tokio::join!(answered, fresh, seldom, neighbour);
    for name in ["answered", "seldom", "neighbour"] {
        assert_eq!(switched(&process, name, ""), 0, "{}", process.stderr());
    }
}

#[tokio::test]
async fn paths_that_trap_each_once_do_not_hide_one_that_answers() {
    let folder = copies("traps_somewhere", &["app"]);
    let process = serve(folder.path(), &["app"], &[]).await;
    let begin = Instant::now();
    let mut count = 0;
    // A client that thinks of a new path each time.
    while begin.elapsed() < LEAST + Duration::from_secs(1) {
        count += 1;
        let answer = get(&process, &format!("/app/trap/{count}")).await;
        assert!([502, 503].contains(&answer.status), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(if count < 5000 { 1 } else { 20 })).await;
    }
    assert!(count > 50);
    assert_eq!(get(&process, "/app/").await.status, 200);
    assert_eq!(get(&process, "/app/trap/1").await.status, 502);
}

#[tokio::test]
async fn an_app_whose_instantiation_traps_is_switched_off_at_once() {
    let names = ["hopeless", "other"];
    let folder = copies("traps_at_start", &names[..1]);
    fs::copy(guest_path("hello"), folder.path().join("other.wasm")).unwrap();
    let process = serve(folder.path(), &names, &[]).await;
    let first = get(&process, "/hopeless").await;
    assert_eq!(first.status, 502, "{first:?}");
    process.says("app hopeless is switched off: ").await;
    // Whatever the path: none can ever answer. A probe may be among these, but not two.
    let mut statuses = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(900) {
        let answer = get(&process, &format!("/hopeless/{}", statuses.len())).await;
        if answer.status == 503 {
            assert!(answer.has("retry-after"), "{answer:?}");
        }
        statuses.push(answer.status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let probes = statuses.iter().filter(|status| **status != 503).count();
    assert!(probes <= 2, "{statuses:?}");
    assert!(statuses.len() > probes, "{statuses:?}");
    assert!(is_open(&process, "hopeless").await);
    assert_eq!(get(&process, "/other").await.status, 200);
    assert_eq!(switched(&process, "other", ""), 0, "{}", process.stderr());
}

#[tokio::test]
async fn what_fails_without_a_trap_switches_nothing_off() {
    // An error is an answer of the app's, and a client that is slow or gone is none of its failures.
    let names = ["errs", "late"];
    let folder = copies("returns_error", &names[..1]);
    fs::copy(guest_path("never_returns"), folder.path().join("late.wasm")).unwrap();
    let process = serve(folder.path(), &names, &["--timeout=50ms"]).await;
    let pace = Duration::from_millis(40);
    let long = LEAST + Duration::from_secs(1);
    let errs = async {
        let statuses = hammer(&process, "/errs", pace, long).await;
        assert!(statuses.iter().all(|&status| status == 500), "{statuses:?}");
    };
    let late = async {
        let statuses = hammer(&process, "/late", pace, long).await;
        assert!(statuses.iter().all(|&status| status == 504), "{statuses:?}");
    };
    tokio::join!(errs, late);
    for name in names {
        assert_eq!(switched(&process, name, ""), 0, "{}", process.stderr());
    }
}
