//! Processor time is shared: guests that never end keep nobody waiting, are stopped by `--timeout` or
//! `--cpu`, and what a request used is in the access log. No speed is measured here: the bounds are
//! such that only a server that waits for a spinning guest exceeds them.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wasm_gw_tests::client::End;
use wasm_gw_tests::command::Process;
use wasm_gw_tests::crowd::{Answer, Crowd, assert_statuses};
use wasm_gw_tests::{Client, Response, crowd, whole_machine};

/// Guests that never answer, each in a way of its own. `--app` gives the first of each its mount.
const SPINNERS: &[(&str, &str)] = &[
    ("never_returns", ""),
    ("never_returns", "?started"),
    ("spin_in_next", "?n=0"),
    ("endless_empty_blocks", ""),
    ("spin_in_host", "?of=environ"),
    ("spin_in_host", "?of=copy"),
    ("spin_in_host", "?of=input"),
    ("spin_in_host", "?of=clock"),
    ("spin_in_host", "?of=yield"),
    ("big_random", "?n=8&times=18446744073709551615"),
    ("spin_in_memory", "?by=fill"),
    ("spin_in_memory", "?by=copy"),
    ("wakes", ""),
];

/// What none of these needs to wait for.
const NEIGHBOUR: Duration = Duration::from_secs(1);

/// A server with these guests, each under its name, and `hello`.
async fn serve(guests: &[&str], options: &[&str]) -> Process {
    let mut arguments = vec!["--app=/hello=hello.wasm".to_owned()];
    arguments.extend(
        guests
            .iter()
            .map(|guest| format!("--app=/{guest}={guest}.wasm")),
    );
    // None of these tests needs more.
    arguments.push("--concurrency=64".to_owned());
    arguments.extend(options.iter().map(|&option| option.to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Process::of(&arguments).await
}

/// Twenty of each, kind after kind, on a server whose timeout is a second.
async fn twenty_are_stopped_and_a_neighbour_is_served(guests: &[&str]) {
    let _alone = whole_machine().await;
    let process = serve(guests, &["--timeout=1s"]).await;
    let address = process.address();
    // Once, so that what the first request of an app costs is not taken for waiting.
    process.get("/hello").await.expect(200);
    for (guest, query) in SPINNERS.iter().filter(|(guest, _)| guests.contains(guest)) {
        let target = format!("/{guest}{query}");
        let spinners = Crowd::get(address, &target, 20);
        let (spinners, neighbours) = spinners.answers_beside(address, "/hello").await;
        assert_statuses(&target, &spinners, &[504]);
        assert_statuses(&target, &neighbours, &[200]);
        for spinner in &spinners {
            let took = spinner.took;
            let expected = Duration::from_millis(950)..Duration::from_secs(10);
            assert!(expected.contains(&took), "{target}: 504 after {took:?}");
        }
        let longest = neighbours.iter().map(|answer| answer.took).max().unwrap();
        assert!(longest < NEIGHBOUR, "{target}: /hello took {longest:?}");
        assert!(
            neighbours.len() > 3,
            "{target}: {} answers",
            neighbours.len()
        );
    }
    assert_eq!(process.said("panicked"), 0, "{}", process.stderr());
}

#[tokio::test]
async fn guests_that_compute_for_ever_get_504_and_keep_nobody_waiting() {
    twenty_are_stopped_and_a_neighbour_is_served(&[
        "never_returns",
        "spin_in_next",
        "endless_empty_blocks",
    ])
    .await;
}

#[tokio::test]
async fn guests_that_call_the_host_for_ever_get_504_and_keep_nobody_waiting() {
    twenty_are_stopped_and_a_neighbour_is_served(&["spin_in_host", "big_random"]).await;
}

#[tokio::test]
async fn guests_that_fill_memory_for_ever_get_504_and_keep_nobody_waiting() {
    twenty_are_stopped_and_a_neighbour_is_served(&["spin_in_memory"]).await;
}

#[tokio::test]
async fn guests_that_wake_all_the_time_get_504_and_keep_nobody_waiting() {
    twenty_are_stopped_and_a_neighbour_is_served(&["wakes"]).await;
}

#[tokio::test]
async fn one_app_of_ten_that_spins_keeps_nobody_waiting() {
    let _alone = whole_machine().await;
    let mut arguments = vec!["--app=/spin=never_returns.wasm".to_owned()];
    arguments.extend((1..10).map(|number| format!("--app=/{number}=hello.wasm")));
    arguments.extend(["--timeout=2s", "--concurrency=32"].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let process = Process::of(&arguments).await;
    let mut spinners = Crowd::get(process.address(), "/spin", 20);
    let mut stopped = Vec::new();
    let mut number = 0;
    while spinners.is_busy(&mut stopped) {
        number = number % 9 + 1;
        let answer = crowd::get(process.address(), &format!("/{number}")).await;
        assert!(
            answer.status == 200 && answer.took < NEIGHBOUR,
            "{answer:?}"
        );
    }
    assert_statuses("/spin", &stopped, &[504]);
}

#[tokio::test]
async fn an_app_that_may_have_one_core_is_served_and_its_neighbours_too() {
    let _alone = whole_machine().await;
    let process = serve(&["cpu", "never_returns"], &["--cores=1", "--timeout=2s"]).await;
    let address = process.address();
    let spinners = Crowd::get(address, "/never_returns", 10);
    let computing = Crowd::get(address, "/cpu?ms=20", 10);
    let (computing, neighbours) = computing.answers_beside(address, "/hello").await;
    assert_statuses("/cpu", &computing, &[200]);
    assert_statuses("/hello", &neighbours, &[200]);
    assert_statuses("/never_returns", &spinners.answers().await, &[504]);
}

#[tokio::test]
async fn more_processor_time_than_it_may_have_is_504_long_before_the_timeout() {
    let _alone = whole_machine().await;
    // Those that use processor time of their own; what sleeps has hardly any.
    let spinners = || SPINNERS.iter().filter(|(guest, _)| *guest != "wakes");
    let mut guests: Vec<&str> = spinners().map(|(guest, _)| *guest).collect();
    guests.dedup();
    let process = serve(&guests, &["--cpu=200ms", "--timeout=60s"]).await;
    let targets: Vec<String> = spinners()
        .map(|(guest, query)| format!("/{guest}{query}"))
        .collect();
    let crowd = Crowd::get_all(process.address(), targets.iter().map(String::as_str));
    let (answers, neighbours) = crowd.answers_beside(process.address(), "/hello").await;
    assert_statuses("all kinds", &answers, &[504]);
    assert_statuses("/hello", &neighbours, &[200]);
    for Answer { took, .. } in &answers {
        assert!(
            *took >= Duration::from_millis(190),
            "stopped after {took:?}"
        );
        assert!(*took < Duration::from_secs(30), "stopped after {took:?}");
    }
}

#[tokio::test]
async fn more_processor_time_than_it_may_have_cuts_off_once_the_head_is_out() {
    let guests = ["never_returns", "spin_in_next", "spin_in_host", "cpu"];
    let process = serve(&guests, &["--cpu=100ms", "--timeout=60s"]).await;
    for (target, sent) in [
        ("/never_returns?written", "and then nothing\n"),
        ("/spin_in_next?n=2", "block\nblock\n"),
        ("/spin_in_host?in=next", "block\n"),
    ] {
        let response = process.get(target).await;
        response.expect(200);
        let found = (response.text(), response.end);
        assert_eq!(found, (sent.to_owned(), End::CutOff), "{target}");
    }
    // It is for the whole request, and not for each block as the timeout is.
    let response = process.get("/cpu?ms=0&then=blocks&n=1000&each=5").await;
    assert_eq!(response.expect(200).end, End::CutOff);
    assert!(response.body.len() < 500_000, "{}", response.body.len());
    process.get("/hello").await.expect(200);
}

#[tokio::test]
async fn waiting_is_no_processor_time() {
    let process = serve(
        &["start_response", "echo", "wakes", "blocks_slow"],
        &["--cpu=200ms"],
    )
    .await;
    let sleeps = async {
        let target = "/start_response?app=sleep:900;start:200%20OK;bytes:x";
        process.get(target).await.expect(200);
        process.get("/blocks_slow?n=4&ms=250").await.expect(200);
    };
    let wakes = async {
        process.get("/wakes?n=300&us=1000").await.expect(200);
    };
    let waits_for_its_client = async {
        let mut client = process.connect().await;
        client
            .send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\na")
            .await;
        for byte in ["b", "c"] {
            // The time that must not count has to pass.
            tokio::time::sleep(Duration::from_millis(400)).await;
            client.send(byte).await;
        }
        let response = client.response("POST").await;
        assert_eq!(response.expect(200).text(), "abc");
    };
    tokio::join!(sleeps, wakes, waits_for_its_client);
}

#[tokio::test]
async fn a_long_computation_within_its_bounds_succeeds() {
    let process = serve(&["cpu"], &[]).await;
    let long = Crowd::get(process.address(), "/cpu?ms=300", 4);
    for answer in long.answers().await {
        assert!(answer.status == 200 && answer.whole, "{answer:?}");
        assert_eq!(answer.body(), "done\n");
    }
}

/// Processor and wall time of a request in milliseconds, by its line of the access log.
async fn times(process: &Process, target: &str) -> (f64, f64) {
    let response = process.get(target).await;
    response.expect(200);
    let line = process.access_log_of(response.id()).await;
    let time = |name: &str| {
        line[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} in {line}"))
    };
    (time("cpu_ms"), time("wall_ms"))
}

#[tokio::test]
async fn the_access_log_tells_the_processor_time() {
    let _alone = whole_machine().await;
    let options = ["--log-format=json"];
    let process = serve(&["cpu", "start_response", "wakes"], &options).await;
    let mut tries = Vec::new();
    // The guest burns by the clock on the wall. On a machine that does something else besides, it
    // has less of the processor than that, but hardly ever each time.
    let begin = Instant::now();
    loop {
        let (cpu, wall) = times(&process, "/cpu?ms=50").await;
        assert!(cpu <= wall + 1.0, "{cpu} ms of {wall} ms");
        tries.push((cpu, wall));
        if cpu >= 45.0 {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{tries:?}");
    }
    for target in [
        "/start_response?app=sleep:300;start:200%20OK;bytes:x",
        "/wakes?n=100&us=3000",
    ] {
        let (cpu, wall) = times(&process, target).await;
        assert!(wall >= 290.0, "{target}: {wall} ms");
        assert!(cpu < 100.0, "{target}: {cpu} ms");
    }
    // Work that is fixed: four times as much of it takes about four times as long. By the clock of
    // the processor, that is so however busy the machine is.
    let (once, _) = times(&process, "/cpu?iterations=20000000").await;
    let (four_times, _) = times(&process, "/cpu?iterations=80000000").await;
    let ratio = four_times / once;
    assert!((2.0..8.0).contains(&ratio), "{once} ms and {four_times} ms");
}

#[tokio::test]
async fn where_no_guest_ran_the_access_log_tells_none() {
    let mut process = serve(&[], &[]).await;
    let refused = process.get("/nowhere").await;
    let served = process.get("/hello").await;
    refused.expect(404);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.code(), Some(0), "{}", process.stderr());
    let log = process.stdout();
    let last = |id: &str| {
        let line = log.lines().find(|line| line.contains(id)).unwrap();
        let (_, times) = line.split_once(id).unwrap();
        times
            .trim()
            .split(' ')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (refused, served) = (last(refused.id()), last(served.id()));
    assert_eq!((refused.len(), refused[1].as_str()), (2, "0.000"), "{log}");
    assert!(served[1].parse::<f64>().unwrap() > 0.0, "{log}");
}

/// Sends and reads at once: neither side holds all of a large body.
async fn both_ways(process: &Process, request: &[u8]) -> Response {
    let stream = TcpStream::connect(process.address()).await.unwrap();
    let (reading, mut writing) = stream.into_split();
    let mut client = Client::over(tokio::io::join(reading, tokio::io::sink()));
    let (sent, response) = tokio::join!(writing.write_all(request), client.response("POST"));
    sent.unwrap();
    response
}

#[tokio::test]
async fn a_body_passes_after_the_guest_was_moved_to_the_queue() {
    let process = serve(&["cpu"], &["--timeout=60s"]).await;
    let body: Vec<u8> = (0..8_u32 << 20).map(|at| (at % 251) as u8).collect();
    for then in ["echo", "stream"] {
        let mut request = format!(
            "POST /cpu?ms=50&then={then} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        let response = both_ways(&process, &request).await;
        assert_eq!(response.expect(200).end, End::Whole, "{then}");
        assert!(
            response.body == body,
            "{then}: {} bytes",
            response.body.len()
        );
    }
    let response = process.get("/cpu?ms=50&then=blocks&n=20000").await;
    assert_eq!(response.expect(200).end, End::Whole);
    assert_eq!(response.body.len(), 20_000_000);
    // Between blocks that each take more than a tick.
    let response = process.get("/cpu?ms=20&then=blocks&n=20&each=12").await;
    assert_eq!((response.body.len(), response.end), (20_000, End::Whole));
}

#[tokio::test]
async fn a_guest_in_the_queue_waits_for_its_client() {
    let process = serve(&["cpu"], &["--timeout=1s"]).await;
    let mut client = process.connect().await;
    client
        .send(
            "POST /cpu?ms=50&then=echo&say=here HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\na",
        )
        .await;
    process.says("here burned").await;
    for byte in ["b", "c", "d"] {
        // Longer than the timeout in all: this is the client's time, not the guest's.
        tokio::time::sleep(Duration::from_millis(450)).await;
        client.send(byte).await;
    }
    let response = client.response("POST").await;
    assert_eq!(response.expect(200).text(), "abcd");
    process.says("here closed").await;
}

#[tokio::test]
async fn s41_close_runs_in_the_queue_beside_guests_that_spin() {
    let _alone = whole_machine().await;
    // All of one app and then of two: fair by app is not unfair within one.
    let process = serve(&["cpu", "never_returns"], &["--timeout=3s"]).await;
    let address = process.address();
    let spinners = Crowd::get(address, "/never_returns", 8);
    let busy = Crowd::get(address, "/cpu?ms=60000", 4);
    let ending = Crowd::get(address, "/cpu?ms=20&say=here", 8);
    let answers = ending.answers().await;
    assert_statuses("/cpu?say", &answers, &[200]);
    assert!(answers.iter().all(|answer| answer.whole), "{answers:?}");
    process.says_times("here closed", 8).await;
    assert_statuses("/never_returns", &spinners.answers().await, &[504]);
    assert_statuses("/cpu?ms=60000", &busy.answers().await, &[504]);
    assert_eq!(process.said("here closed"), 8);
}

#[tokio::test]
async fn guests_that_spin_do_not_keep_it_from_ending() {
    let _alone = whole_machine().await;
    // Left to itself it ends by the graceful timeout; a second signal needs none.
    for (second, graceful) in [(false, "300ms"), (true, "60s")] {
        let guests = [
            "never_returns",
            "spin_in_next",
            "spin_in_host",
            "close_forever",
        ];
        let graceful = format!("--graceful-timeout={graceful}");
        let options = [
            "--timeout=60s",
            "--cpu=60s",
            "--disconnect-grace=100ms",
            &graceful,
        ];
        let mut process = serve(&guests, &options).await;
        let mut clients = Vec::new();
        for target in [
            "/never_returns?written",
            "/spin_in_next",
            "/spin_in_host?in=next",
            "/close_forever",
        ] {
            let mut client = process.connect().await;
            client
                .send(format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"))
                .await;
            client.head().await.expect(200);
            clients.push(client);
        }
        process.signal(Signal::TERM);
        if second {
            process.says("stopping").await;
            process.signal(Signal::TERM);
        }
        let code = process.end().await.code();
        assert_eq!(code, Some(i32::from(second)), "{}", process.stderr());
        assert_eq!(process.said("panicked"), 0, "{}", process.stderr());
    }
}
