//! The memory of all guests together is bounded (`--memory-total`), and so is one app's part of it.
//! Each attack is two hundred clients at once on a server of its own; its resident memory is the
//! kernel's word for it, not the server's.

use std::time::{Duration, Instant};

use wasm_gw_tests::command::Process;
use wasm_gw_tests::crowd::{self, Answer, Crowd, assert_statuses, statuses};
use wasm_gw_tests::{Client, PATIENCE, eventually, whole_machine};

/// The budget of those that are attacked, in MiB.
const TOTAL: u64 = 512;

/// So many clients at once.
const CROWD: usize = 200;

/// A bound for one answer of a neighbour, generous: it is for a server that does not wait.
const NEIGHBOUR: Duration = Duration::from_secs(5);

/// A server of these guests, each under its name, and `hello`, with a budget of so many MiB.
async fn serve(total: u64, guests: &[&str], options: &[&str]) -> Process {
    let mut arguments = vec!["--app=/hello=hello.wasm".to_owned()];
    arguments.extend(
        guests
            .iter()
            .map(|guest| format!("--app=/{guest}={guest}.wasm")),
    );
    arguments.push(format!("--memory-total={total}MiB"));
    arguments.push("--concurrency=256".to_owned());
    arguments.extend(options.iter().map(|&option| option.to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Process::with_status(&arguments).await
}

/// What may become of requests that ask for too much: they trap, or never begin.
const REFUSED: &[u16] = &[502, 503];

/// Of those that may also succeed, one after the other.
const SERVED: &[u16] = &[200, 502, 503];

/// The server under attack, and what is watched meanwhile.
struct Attack {
    process: Process,
    committed: f64,
}

impl Attack {
    async fn on(guests: &[&str], options: &[&str]) -> Self {
        let process = serve(TOTAL, guests, options).await;
        // What the first request costs is no matter of the attack.
        process.get("/hello").await.expect(200);
        process.is_empty().await;
        let committed = process.metrics().await.gauge("memory_committed_bytes");
        process.forget_peak();
        Self { process, committed }
    }

    /// One wave of it: each client gets one of these statuses, and a neighbour is served meanwhile.
    async fn wave(&self, what: &str, crowd: Crowd, allowed: &[u16]) -> Vec<Answer> {
        let address = self.process.address();
        let (answers, neighbours) = crowd.answers_beside(address, "/hello").await;
        assert_statuses(what, &answers, allowed);
        assert_statuses(what, &neighbours, &[200]);
        let longest = neighbours.iter().map(|answer| answer.took).max();
        let longest = longest.unwrap_or_default();
        assert!(
            longest < NEIGHBOUR,
            "{what}: a neighbour waited {longest:?}"
        );
        for refused in answers.iter().filter(|answer| answer.status == 503) {
            assert!(refused.has("retry-after"), "{what}: {refused:?}");
        }
        self.is_within_the_budget(what);
        answers
    }

    fn is_within_the_budget(&self, what: &str) {
        let peak = self.process.memory("VmHWM");
        let most = TOTAL + TOTAL * 15 / 100;
        assert!(peak <= most, "{what}: {peak} MiB of {most} MiB");
    }

    /// Nothing is left of it, in the server's own books either.
    async fn is_over(&self) {
        self.process.is_empty().await;
        let most = self.committed + f64::from(32 << 20);
        self.process
            .counts("committed memory to come back", 4 * PATIENCE, |metrics| {
                metrics.gauge("memory_committed_bytes") <= most
            })
            .await;
        self.process.get("/hello").await.expect(200);
        assert_eq!(
            self.process.said("panicked"),
            0,
            "{}",
            self.process.stderr()
        );
    }
}

/// The whole of an attack by requests for one target.
async fn attack(guest: &str, query: &str, allowed: &[u16], options: &[&str]) {
    let _alone = whole_machine().await;
    let attack = Attack::on(&[guest], options).await;
    let target = format!("/{guest}{query}");
    let crowd = Crowd::get(attack.process.address(), &target, CROWD);
    attack.wave(&target, crowd, allowed).await;
    attack.is_over().await;
}

#[tokio::test]
async fn allocation_bombs_stay_within_the_budget() {
    attack("grow_memory", "?mib=4", REFUSED, &[]).await;
}

#[tokio::test]
async fn guests_that_hold_memory_stay_within_the_budget() {
    // Each may have its part for a while, and goes on with what it gets: some are served, others
    // refused, and all of them together do not have too much.
    let _alone = whole_machine().await;
    let attack = Attack::on(&["hold_memory"], &["--queue-timeout=500ms"]).await;
    let address = attack.process.address();
    let crowd = Crowd::get(address, "/hold_memory?mib=64&ms=1000", CROWD);
    let answers = attack.wave("/hold_memory", crowd, SERVED).await;
    let served = answers.iter().filter(|answer| answer.status == 200);
    let most = served.map(|answer| kib(&answer.body())).max();
    assert!(most > Some(0), "{:?}", statuses(&answers));
    attack.is_over().await;
}

#[tokio::test]
async fn handles_for_ever_stay_within_the_budget() {
    let _alone = whole_machine().await;
    let guests = [
        "many_handles",
        "many_recorders",
        "many_inputs_of_bytes",
        "many_pollables",
    ];
    let attack = Attack::on(&guests, &[]).await;
    let address = attack.process.address();
    for target in [
        "/many_handles",
        "/many_handles?of=bytes",
        "/many_handles?vars=1000",
        "/many_recorders",
        "/many_inputs_of_bytes",
        "/many_pollables",
    ] {
        let crowd = Crowd::get(address, target, CROWD);
        attack.wave(target, crowd, REFUSED).await;
    }
    attack.is_over().await;
}

#[tokio::test]
async fn huge_headers_stay_within_the_budget() {
    let _alone = whole_machine().await;
    let guests = ["gigabyte_of_headers", "many_headers", "returns_error"];
    let attack = Attack::on(&guests, &[]).await;
    let address = attack.process.address();
    for (target, allowed) in [
        ("/gigabyte_of_headers", REFUSED),
        // One that is as long as this guest can make it, and one that just passes the call.
        ("/many_headers?n=1&m=100000000", REFUSED),
        ("/many_headers?n=1&m=20000000", SERVED),
        ("/returns_error?bytes=20000000", &[500, 502, 503]),
    ] {
        let crowd = Crowd::get(address, target, CROWD);
        attack.wave(target, crowd, allowed).await;
    }
    attack.is_over().await;
}

#[tokio::test]
async fn logs_for_ever_stay_within_the_budget() {
    // A GiB of it each, or as much as they can in their time.
    let allowed = [200, 502, 503, 504];
    for query in [
        "?only=errors&line=1048576&times=1024",
        "?only=stdout&line=1048576&times=1024",
    ] {
        attack("stdio", query, &allowed, &["--cpu=150ms"]).await;
    }
}

#[tokio::test]
async fn stacks_in_use_stay_within_the_budget() {
    let _alone = whole_machine().await;
    let attack = Attack::on(&["deep_recursion"], &[]).await;
    let address = attack.process.address();
    for target in [
        "/deep_recursion?depth=5000&ms=500",
        "/deep_recursion?stack=guest&depth=200&ms=500",
        "/deep_recursion",
    ] {
        let crowd = Crowd::get(address, target, CROWD);
        attack.wave(target, crowd, SERVED).await;
    }
    attack.is_over().await;
}

#[tokio::test]
async fn bodies_that_guests_gather_stay_within_the_budget() {
    let _alone = whole_machine().await;
    let attack = Attack::on(&["echo"], &[]).await;
    let mut request = format!(
        "POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        8 << 20
    )
    .into_bytes();
    request.resize(request.len() + (8 << 20), b'x');
    let crowd = Crowd::send(attack.process.address(), &request.into(), CROWD);
    // 413 is what an app says that cannot keep so much.
    attack.wave("/echo", crowd, &[200, 413, 502, 503]).await;
    attack.is_over().await;
}

#[tokio::test]
async fn blocks_that_nobody_reads_stay_within_the_budget() {
    let _alone = whole_machine().await;
    // A guest that is told again and again goes on for its grace.
    let options = ["--queue-timeout=500ms", "--disconnect-grace=20ms"];
    let attack = Attack::on(&["gigabyte", "start_response"], &options).await;
    for target in [
        "/gigabyte?block=1048576",
        "/gigabyte?block=16777216",
        "/start_response?app=start:200%20OK;1000*fill:1048576;empty",
        "/start_response?app=start:200%20OK;100*fill:16777216;empty",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n");
        let mut clients = Vec::new();
        for _ in 0..CROWD {
            let mut client = attack.process.connect().await;
            client.send(&request).await;
            clients.push(client);
        }
        // Each has its answer begun, or was refused.
        let mut begun = 0;
        for client in &mut clients {
            let head = client.head().await;
            assert!(SERVED.contains(&head.status), "{target}: {head:?}");
            begun += usize::from(head.status == 200);
        }
        assert!(begun > 0 || target.contains("16777216"), "{target}");
        // They are in the middle of it, and another is served as ever.
        let answer = crowd::get(attack.process.address(), "/hello").await;
        assert!(
            answer.status == 200 && answer.took < NEIGHBOUR,
            "{answer:?}"
        );
        attack.is_within_the_budget(target);
        drop(clients);
        attack.process.is_empty().await;
    }
    attack.is_over().await;
}

#[tokio::test]
async fn all_attacks_at_once_stay_within_the_budget() {
    let _alone = whole_machine().await;
    let guests = [
        "grow_memory",
        "hold_memory",
        "many_handles",
        "many_inputs_of_bytes",
        "gigabyte_of_headers",
    ];
    let attack = Attack::on(&guests, &[]).await;
    let targets = [
        "/grow_memory?mib=4",
        "/hold_memory?mib=32&ms=200",
        "/many_handles",
        "/many_inputs_of_bytes",
        "/gigabyte_of_headers",
    ];
    let address = attack.process.address();
    for _ in 0..3 {
        let each = targets.iter().copied().cycle().take(CROWD);
        let crowd = Crowd::get_all(address, each);
        // The last eighth is for those that have little: five apps may fill it.
        let (answers, neighbours) = crowd.answers_beside(address, "/hello").await;
        assert_statuses("all at once", &answers, SERVED);
        assert_statuses("/hello", &neighbours, &[200, 503]);
        attack.is_within_the_budget("all at once");
    }
    attack.is_over().await;
}

#[tokio::test]
async fn memory_returns_to_the_system_after_a_burst() {
    let process = serve(TOTAL, &["hold_memory"], &[]).await;
    process.get("/hello").await.expect(200);
    let before = process.memory("VmRSS");
    {
        let _alone = whole_machine().await;
        let burst = Crowd::get(process.address(), "/hold_memory?mib=8&ms=300", CROWD);
        assert_statuses("/hold_memory", &burst.answers().await, SERVED);
    }
    process.is_empty().await;
    // A minute, and some for the busy.
    let begin = Instant::now();
    loop {
        let now = process.memory("VmRSS");
        if now <= before + 64 {
            break;
        }
        let took = begin.elapsed();
        let patience = Duration::from_secs(75);
        assert!(took < patience, "{now} MiB, and {before} MiB before");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    process.get("/hold_memory?mib=8").await.expect(200);
}

/// A budget for the tests of its rules, in MiB. One instance may ask for all of it.
const SMALL: u64 = 128;

/// A server with this budget.
async fn small(guests: &[&str], options: &[&str]) -> Process {
    let memory = format!("--memory={SMALL}MiB");
    serve(SMALL, guests, &[&[memory.as_str()], options].concat()).await
}

/// A guest that holds all that it can get, until its client says so or goes; and how many KiB it has.
async fn hold_all(process: &Process, target: &str) -> (Client, u64) {
    let mut client = process.connect().await;
    client
        .send(format!(
            "POST {target}?mib=all&body HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n"
        ))
        .await;
    client.head().await.expect(200);
    let said = client.chunk().await.unwrap().unwrap();
    (client, kib(&String::from_utf8(said).unwrap()))
}

/// What the guest said that it holds.
fn kib(said: &str) -> u64 {
    let number = said
        .strip_prefix("holds ")
        .and_then(|rest| rest.strip_suffix(" KiB\n"));
    number
        .unwrap_or_else(|| panic!("{said:?}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_guest_is_refused_more_memory_and_goes_on_with_what_it_has() {
    let process = small(&["hold_memory"], &[]).await;
    let (mut first, holds) = hold_all(&process, "/hold_memory").await;
    assert!(holds > 0 && holds < SMALL << 10, "{holds} KiB");
    let counted = process.metrics().await;
    let committed = counted.gauge("memory_committed_bytes");
    assert!(
        committed >= (holds << 10) as f64,
        "{committed}, {holds} KiB"
    );
    assert!(
        committed <= counted.gauge("memory_budget_bytes"),
        "{counted:?}"
    );
    assert_eq!(counted.gauge("memory_budget_bytes"), (SMALL << 20) as f64);
    first.send("x").await;
    assert_eq!(first.chunk().await.unwrap().unwrap(), b"");
    process.is_empty().await;
    // Then there is as much as before.
    let (_second, again) = hold_all(&process, "/hold_memory").await;
    assert!(again + 4096 >= holds, "{again} KiB after {holds} KiB");
}

#[tokio::test]
async fn a_guest_that_cannot_live_with_less_traps_and_the_log_says_why() {
    let process = small(&["hold_memory", "grow_memory"], &[]).await;
    let (_held, _) = hold_all(&process, "/hold_memory").await;
    let response = process.get("/grow_memory").await;
    response.expect(502);
    let said = eventually("the line of its failure", || {
        let text = process.stderr();
        let line = text
            .lines()
            .find(|line| line.contains(response.id()) && line.contains("WARN"))?;
        Some(line.to_owned())
    })
    .await;
    let said = said.split(": error").next().unwrap();
    assert!(
        said.contains("the guest used up its ") && said.contains("memory"),
        "{said}"
    );
}

#[tokio::test]
async fn a_request_that_finds_no_room_waits_and_is_served_when_there_is() {
    let process = small(&["hold_memory"], &["--queue-timeout=60s"]).await;
    let (mut first, _) = hold_all(&process, "/hold_memory").await;
    let waiting = tokio::spawn(crowd::get(process.address(), "/hold_memory?mib=1"));
    process
        .counts("a request in the queue", PATIENCE, |metrics| {
            metrics.of("queue_length", &[("app", "hold_memory")]) >= 1.0
        })
        .await;
    assert!(!waiting.is_finished());
    first.send("x").await;
    let answer = waiting.await.unwrap();
    assert_eq!(
        (answer.status, answer.body().as_str()),
        (200, "holds 1024 KiB\n")
    );

    // Also when the first one's client leaves.
    process.is_empty().await;
    let (first, _) = hold_all(&process, "/hold_memory").await;
    let waiting = tokio::spawn(crowd::get(process.address(), "/hold_memory?mib=1"));
    process
        .counts("a request in the queue", PATIENCE, |metrics| {
            metrics.of("queue_length", &[("app", "hold_memory")]) >= 1.0
        })
        .await;
    drop(first);
    assert_eq!(waiting.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_that_finds_no_room_in_time_is_503() {
    let process = small(&["hold_memory"], &["--queue-timeout=300ms"]).await;
    let (_held, _) = hold_all(&process, "/hold_memory").await;
    let begin = Instant::now();
    let response = process.get("/hold_memory?mib=1").await;
    let took = begin.elapsed();
    assert_eq!(response.expect(503).header("retry-after"), Some("1"));
    assert!(took >= Duration::from_millis(290), "refused after {took:?}");
    eventually("the line that says why", || {
        let text = process.stderr();
        let line = text
            .lines()
            .find(|line| line.contains(response.id()) && line.contains("WARN"))?;
        line.contains("memory").then_some(())
    })
    .await;
    // It has nothing to do with the others.
    process.get("/hello").await.expect(200);
}

#[tokio::test]
async fn one_app_cannot_take_the_last_eighth() {
    let guests = ["hold_memory", "cpu", "grow_memory"];
    let process = small(&guests, &["--queue-timeout=500ms"]).await;
    let (_held, holds) = hold_all(&process, "/hold_memory").await;
    let eighth = (SMALL << 10) / 8;
    assert!(holds <= 7 * eighth, "{holds} KiB of {} KiB", SMALL << 10);
    // Several instances of it are no way around.
    let more = Crowd::get(process.address(), "/hold_memory?mib=all", 4);
    for answer in more.answers().await {
        let more = if answer.status == 200 {
            kib(&answer.body())
        } else {
            0
        };
        assert!(holds + more <= 7 * eighth, "{holds} KiB and {answer:?}");
    }
    // The others have it.
    for _ in 0..20 {
        for target in ["/hello", "/cpu?ms=1", "/grow_memory?until=4"] {
            let answer = crowd::get(process.address(), target).await;
            assert_eq!(answer.status, 200, "{target}: {answer:?}");
            assert!(answer.took < NEIGHBOUR, "{target}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_app_that_asks_more_than_its_own_limit_is_502_as_ever() {
    let process = serve(TOTAL, &["grow_memory"], &["--memory=32MiB"]).await;
    let response = process.get("/grow_memory").await;
    response.expect(502);
    process.says("the guest used up its memory").await;
    let response = process.get("/grow_memory?try").await;
    assert!(
        response.expect(200).text().starts_with("got 3"),
        "{}",
        response.text()
    );
}
