//! A client that leaves: what its guest is told, when `close` runs, when a guest is stopped that calls
//! nothing, and that no instance outlives its client for long. The guest `until_gone` logs what it
//! learns under a mark, since a client that leaves early has no request id to ask by.

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wasm_gw_tests::command::Process;
use wasm_gw_tests::{Client, PATIENCE, eventually, whole_machine};

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Close,
    Reset,
}

impl Leaves {
    const BOTH: [Self; 2] = [Self::Close, Self::Reset];

    fn go(self, client: Client) {
        match self {
            Leaves::Close => drop(client),
            Leaves::Reset => client.reset(),
        }
    }
}

/// Where its request stands by then.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// The guest runs, and no head has come.
    BeforeTheHead,
    /// The head has come, and some of the body.
    InTheBody,
}

/// What the guest learns by a call that fails.
const WRITE: &str = "told WriteError::Disconnected";
const READ: &str = "told IoError::Disconnected";
const START: &str = "told StartError::Disconnected";

async fn serve(options: &[&str]) -> Process {
    let guests = ["--app=/=until_gone.wasm", "--app=/hello=hello.wasm"];
    Process::with_status(&[&guests, options].concat()).await
}

/// A client whose guest has begun, and has answered if it should have.
async fn begin(process: &Process, mark: &str, query: &str, when: When, request: &str) -> Client {
    let mut client = process.connect().await;
    client
        .send(format!(
            "POST /?mark={mark}&{query} HTTP/1.1\r\nHost: t\r\n{request}"
        ))
        .await;
    if when == When::InTheBody {
        client.head().await.expect(200);
        client.chunk().await.unwrap().unwrap();
    }
    process.says(&format!("{mark} begun")).await;
    if query.starts_with("by=empty") {
        // Nothing else shows that there is something to close: a client that leaves before `start`
        // makes that fail.
        process.says(&format!("{mark} yields")).await;
    }
    if query.contains("-next") {
        // It may still be on its way to what it should be found in.
        process.says(&format!("{mark} goes on")).await;
    }
    client
}

/// The request has no body; or it has one of which this much comes, and no more.
const NO_BODY: &str = "Content-Length: 0\r\n\r\n";
const HALF_A_BODY: &str = "Content-Length: 1000\r\n\r\nhalf of it\n";
const HALF_A_CHUNK: &str = "Transfer-Encoding: chunked\r\n\r\n1000\r\nhalf of it\n";

#[tokio::test]
async fn s41_each_guest_is_told_at_its_next_call_and_closed_once() {
    // A grace in which each has its turn: nobody is stopped here.
    let process = serve(&["--disconnect-grace=60s", "--timeout=60s"]).await;
    let mut number = 0;
    for leaves in Leaves::BOTH {
        for (query, when, request, told) in [
            ("by=write", When::InTheBody, NO_BODY, Some(WRITE)),
            ("by=write&bytes=10", When::InTheBody, NO_BODY, Some(WRITE)),
            ("by=write", When::InTheBody, HALF_A_BODY, Some(WRITE)),
            ("by=next", When::InTheBody, NO_BODY, None),
            ("by=next&bytes=10", When::InTheBody, HALF_A_CHUNK, None),
            ("by=burn-next&ms=30", When::InTheBody, NO_BODY, None),
            ("by=sleep-next&ms=30", When::InTheBody, NO_BODY, None),
            ("by=empty", When::BeforeTheHead, NO_BODY, None),
            ("by=empty", When::BeforeTheHead, HALF_A_BODY, None),
            ("by=read", When::BeforeTheHead, HALF_A_BODY, Some(READ)),
            ("by=read", When::BeforeTheHead, HALF_A_CHUNK, Some(READ)),
            // A line is out, so that the client may leave before the next is asked for.
            ("by=line", When::InTheBody, HALF_A_BODY, None),
            ("by=line", When::InTheBody, HALF_A_CHUNK, None),
        ] {
            number += 1;
            let mark = format!("m{number}.");
            let what = format!("{query}, {when:?}, {leaves:?}, {request:?}");
            let client = begin(&process, &mark, query, when, request).await;
            leaves.go(client);
            eventually(&format!("close, {what}"), || {
                (process.said(&format!("{mark} closed")) > 0).then_some(())
            })
            .await;
            if let Some(told) = told {
                // Before it was closed, so it is there by now.
                let said = process.said(&format!("{mark} {told}"));
                assert_eq!(said, 1, "{what}: {}", process.stderr());
            } else if query != "by=line" {
                assert_eq!(process.said(&format!("{mark} told")), 0, "{what}");
            }
        }
    }
    process.is_empty().await;
    for number in 1..=number {
        let closed = process.said(&format!("m{number}. closed"));
        assert_eq!(closed, 1, "m{number}: {}", process.stderr());
    }
    assert_eq!(process.said("ran on after"), 0, "{}", process.stderr());
}

#[tokio::test]
async fn s41_a_guest_learns_it_while_its_client_uploads() {
    let process = serve(&["--disconnect-grace=60s", "--timeout=60s"]).await;
    for (number, leaves) in Leaves::BOTH.into_iter().enumerate() {
        for by in ["read", "write"] {
            let mark = format!("{by}{number}.");
            let request = format!(
                "POST /?mark={mark}&by={by} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
                32 << 20
            );
            let mut client = process.connect().await;
            client.send(&request).await;
            client.send(vec![b'x'; 1 << 20]).await;
            process.says(&format!("{mark} begun")).await;
            // A writer leaves the body where it is, so that this gets stuck on its way.
            let _ = timeout(Duration::from_millis(50), client.send(vec![b'x'; 16 << 20])).await;
            leaves.go(client);
            process.says(&format!("{mark} closed")).await;
            let told = if by == "read" { READ } else { WRITE };
            let said = process.said(&format!("{mark} {told}"));
            assert_eq!(said, 1, "{mark}: {}", process.stderr());
        }
    }
    process.is_empty().await;
}

#[tokio::test]
async fn a_body_that_the_host_passes_on_ends_with_its_client() {
    let process = serve(&["--disconnect-grace=60s", "--timeout=60s"]).await;
    for (number, leaves) in Leaves::BOTH.into_iter().enumerate() {
        let mark = format!("host{number}.");
        let client = begin(&process, &mark, "by=host", When::InTheBody, HALF_A_BODY).await;
        leaves.go(client);
        process.is_empty().await;
    }
    // Also where the client sends on and does not read.
    let mut client = process.connect().await;
    client
        .send("POST /?mark=full&by=host HTTP/1.1\r\nHost: t\r\nContent-Length: 60000000\r\n\r\n")
        .await;
    let _ = timeout(
        Duration::from_millis(300),
        client.send(vec![b'x'; 60_000_000]),
    )
    .await;
    client.reset();
    process.is_empty().await;
}

#[tokio::test]
async fn a_guest_that_calls_nothing_is_stopped_after_the_grace() {
    let options = ["--disconnect-grace=100ms", "--timeout=600s", "--cpu=600s"];
    let process = serve(&options).await;
    let mut number = 0;
    let mut clients = Vec::new();
    // All of them run side by side, and all of them are left at once.
    for leaves in Leaves::BOTH {
        for (query, when, request) in [
            ("by=spin", When::BeforeTheHead, NO_BODY),
            ("by=spin", When::BeforeTheHead, HALF_A_BODY),
            ("by=spin-next", When::InTheBody, NO_BODY),
            ("by=burn-next&ms=600000", When::InTheBody, NO_BODY),
            ("by=sleep&ms=600000", When::BeforeTheHead, NO_BODY),
            ("by=sleep&ms=600000", When::BeforeTheHead, HALF_A_CHUNK),
            ("by=sleep-next&ms=600000", When::InTheBody, NO_BODY),
        ] {
            number += 1;
            let mark = format!("m{number}.");
            clients.push((leaves, begin(&process, &mark, query, when, request).await));
        }
    }
    let live = process.metrics().await.gauge("instances_live");
    assert_eq!(live, f64::from(number), "while their clients are there");
    for (leaves, client) in clients {
        leaves.go(client);
    }
    process.is_empty().await;
    // An interrupted call cannot be resumed, and nothing else of that guest runs.
    for word in ["closed", "told"] {
        assert_eq!(process.said(word), 0, "{word}: {}", process.stderr());
    }
    let stopped = process.said("ran on after its client had gone");
    assert_eq!(stopped, number as usize, "{}", process.stderr());
}

#[tokio::test]
async fn s41_a_guest_that_calls_within_the_grace_goes_on_to_its_end() {
    // Its sleep ends within it, and so does its work; then it learns that it is alone.
    let process = serve(&["--disconnect-grace=30s"]).await;
    let client = begin(
        &process,
        "naps",
        "by=sleep&ms=300",
        When::BeforeTheHead,
        NO_BODY,
    )
    .await;
    drop(client);
    process.says(&format!("naps {START}")).await;
    process.says("naps closed").await;
    let client = begin(
        &process,
        "works",
        "by=burn-next&ms=200",
        When::InTheBody,
        NO_BODY,
    )
    .await;
    drop(client);
    process.says("works closed").await;
    process.is_empty().await;
    assert_eq!(process.said("ran on after"), 0, "{}", process.stderr());
}

#[tokio::test]
async fn s41_close_of_a_guest_without_a_client_has_its_deadline() {
    let process =
        Process::with_status(&["close_forever.wasm", "--timeout=600s", "--cpu=600s"]).await;
    for target in ["/", "/?sleep"] {
        let mut client = process.connect().await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"))
            .await;
        client.head().await.expect(200);
        drop(client);
        process.is_empty().await;
    }
    process.says_times("close failed", 2).await;
}

/// So many clients leave in the test below. Ten thousand take a few times as long.
const LEAVERS: usize = 10_000;

/// So many of them are there at once: with more of them, most leave before their guest begins.
const AT_ONCE: usize = 60;

/// Sets the seed of the test below; else it is the time's.
const SEED: &str = "WASM_GW_TEST_SEED";

#[tokio::test]
async fn clients_that_leave_at_any_point_leave_nothing_behind() {
    let _alone = whole_machine().await;
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let shown = format!("{SEED}={seed}");
    let options = [
        "--disconnect-grace=20ms",
        "--timeout=60s",
        "--concurrency=256",
    ];
    let process = serve(&options).await;
    process.get("/hello").await.expect(200);

    let mut random = Rng::with_seed(seed);
    let address = process.address();
    let leavers = (0..LEAVERS).map(|_| leave_somewhere(address, random.fork()));
    wasm_gw_tests::crowd::in_turns(leavers, AT_ONCE).await;

    process
        .counts(&shown, 3 * PATIENCE, |metrics| {
            metrics.gauge("instances_live") == 0.0
                && metrics.sum("queue_length", &[]) == 0.0
                && metrics.gauge("run_queue_length") == 0.0
        })
        .await;
    // Else it has tested nothing: many had a guest, and some of those were told, closed and stopped.
    let least = [
        (" begun", LEAVERS / 10),
        (" told ", LEAVERS / 100),
        (" closed", LEAVERS / 100),
        ("ran on after its client had gone", 1),
    ];
    for (word, least) in least {
        let count = process.said(word);
        assert!(count >= least, "{shown}: {count} times {word:?}");
    }
    for word in ["panicked", " ERROR "] {
        let said = process.stderr();
        let line = said.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "{shown}");
    }
    for _ in 0..10 {
        process.get("/hello").await.expect(200);
    }
}

/// One client: it sends a part of a request, or all of it, reads or does not, and goes.
async fn leave_somewhere(address: SocketAddr, mut random: Rng) {
    // Few that spin: while their clients are there, they take what the others need.
    let kinds: &[&str] = match random.u8(..20) {
        0 => &["spin", "spin-next"],
        _ => &[
            "write",
            "write&bytes=100",
            "next",
            "next&bytes=100",
            "empty",
            "read",
            "line",
            "host",
            "sleep&ms=5",
            "sleep&ms=600000",
            "sleep-next&ms=2",
            "sleep-next&ms=600000",
            "burn-next&ms=3",
        ],
    };
    let by = kinds[random.usize(..kinds.len())];
    let target = match random.u8(..20) {
        0 => "/hello".to_owned(),
        1 => "/nowhere".to_owned(),
        _ => format!("/?by={by}"),
    };
    let body = match random.u8(..4) {
        0 => "Content-Length: 0\r\n\r\n".to_owned(),
        1 => format!(
            "Content-Length: 100000\r\n\r\n{}",
            "x\n".repeat(random.usize(..30_000))
        ),
        2 => "Transfer-Encoding: chunked\r\n\r\n5\r\nline\n\r\n7f\r\nhalf a".to_owned(),
        _ => "Transfer-Encoding: chunked\r\n\r\n5\r\nline\n\r\n0\r\n\r\n".to_owned(),
    };
    let request = format!("POST {target} HTTP/1.1\r\nHost: t\r\n{body}").into_bytes();
    let part = match random.u8(..4) {
        0 => random.usize(..=request.len()),
        _ => request.len(),
    };

    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server may have closed already, and a body may not be taken: then it goes all the sooner.
    let pause = |random: &mut Rng| Duration::from_micros(random.u64(..30_000));
    let _ = timeout(
        pause(&mut random) + Duration::from_millis(20),
        stream.write_all(&request[..part]),
    )
    .await;
    if random.bool() {
        sleep(pause(&mut random)).await;
    }
    // Most wait for something, if not for long: else they have gone before their guest has begun.
    if random.u8(..4) > 0 {
        let mut room = vec![0; random.usize(1..100_000)];
        let patience = 10 * pause(&mut random);
        let _ = timeout(patience, stream.read(&mut room)).await;
    }
    match random.u8(..3) {
        0 => {
            let _ = stream.shutdown().await;
            sleep(pause(&mut random)).await;
        }
        1 => reset(&stream),
        _ => {}
    }
}

fn reset(stream: &TcpStream) {
    #[allow(deprecated, reason = "blocking in drop only for a linger above zero")]
    let _ = stream.set_linger(Some(Duration::ZERO));
}
