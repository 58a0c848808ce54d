//! Blocks on their way: none is held back (S37), empty ones cost nothing (M3), large bodies stream in
//! both directions in bounded memory, a slow client slows its guest, a block has a largest size.

use std::time::Duration;

use wasm_gw_tests::alone::{Rise, alone};
use wasm_gw_tests::client::End;
use wasm_gw_tests::{Client, TestApp, TestServer, log};

async fn get(server: &TestServer, target: &str) -> Client {
    let mut client = server.connect().await;
    client
        .send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
        .await;
    client.head().await.expect(200);
    client
}

#[tokio::test]
async fn s37_each_block_arrives_before_the_next_is_asked_for() {
    // Client and guest wait for each other in turn, so that one block held back stops both; and the
    // answer begins while the request's body still arrives (1.5).
    let server = TestApp::of("lockstep").serve().await;
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.head().await.expect(200);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"ready\n");
    for line in ["one\n", "two\n", "three\n"] {
        client.send(format!("{:x}\r\n{line}\r\n", line.len())).await;
        let answer = client.chunk().await.unwrap().unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), format!("got {line}"));
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn s37_a_block_arrives_at_an_http_1_0_client_at_once() {
    let server = TestApp::of("lockstep").serve().await;
    let mut client = server.connect().await;
    client
        .send("POST / HTTP/1.0\r\nContent-Length: 8\r\n\r\n")
        .await;
    client.head().await.expect(200);
    client.skip(6).await;
    for line in ["one\n", "two\n"] {
        client.send(line).await;
        client.skip(8).await;
    }
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn s37_blocks_of_an_announced_length_are_not_held_back() {
    let server = TestApp::of("echo_stream").serve().await;
    let mut client = server.connect().await;
    client
        .send("POST /?length HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\n")
        .await;
    for byte in ["a", "b", "c"] {
        client.send(byte).await;
        if byte == "a" {
            client.head().await.expect(200);
        }
        client.skip(1).await;
    }
}

#[tokio::test]
async fn s37_a_block_is_sent_while_the_guest_works_on_the_next() {
    for (guest, target) in [
        ("spin_in_next", "/"),
        ("sleep_forever", "/?in=next"),
        ("never_returns", "/?written"),
    ] {
        // What the guest does next takes longer than the client waits.
        let server = TestApp::of(guest)
            .app(|app| {
                app.limits.timeout = Duration::from_secs(3600);
                app.limits.disconnect_grace = Duration::ZERO;
            })
            .serve()
            .await;
        let mut client = get(&server, target).await;
        let block = client.chunk().await.unwrap().unwrap();
        assert!(
            matches!(&*block, b"block\n" | b"and then nothing\n"),
            "{guest}"
        );
    }
}

#[tokio::test]
async fn s37_blocks_come_one_by_one_with_pauses_between() {
    let server = TestApp::of("blocks_slow").serve().await;
    let mut client = get(&server, "/?n=5&ms=20").await;
    for number in 1..=5 {
        let block = client.chunk().await.unwrap().unwrap();
        assert_eq!(block, format!("block {number}\n").into_bytes());
    }
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn m3_ten_thousand_empty_blocks_send_nothing() {
    let server = TestApp::of("empty_blocks").serve().await;
    for target in ["/", "/?lazy"] {
        let response = server.get(target).await;
        assert_eq!(
            (response.expect(200).text().as_str(), response.end),
            ("at last\n", End::Whole)
        );
    }
}

#[tokio::test]
async fn m3_empty_blocks_for_ever_end_at_the_deadline() {
    let server = TestApp::of("endless_empty_blocks")
        .app(|app| app.limits.timeout = Duration::from_millis(100))
        .serve()
        .await;
    let response = server.get("/").await;
    response.expect(504);
    log::wait(response.id(), "no answer within the timeout").await;
}

#[tokio::test]
async fn m3_empty_blocks_for_ever_do_not_keep_others_from_running() {
    // On one thread: a guest that never lets go would keep it until the deadline.
    let server = TestApp::of("endless_empty_blocks")
        .and("/hello", "hello")
        .serve()
        .await;
    let mut endless = server.connect().await;
    endless.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    for _ in 0..5 {
        server.get("/hello").await.expect(200);
    }
    let mut nothing = [0];
    let read = endless.stream.try_read(&mut nothing);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_large_body_streams_out_in_bounded_memory() {
    if alone("blocks::a_large_body_streams_out_in_bounded_memory") {
        measured(async |rise| {
            // It is about memory, and a slow machine may take longer than the 10 s of processor time that
            // a guest has.
            let server = TestApp::of("gigabyte")
                .app(|app| app.limits.cpu = Duration::from_secs(600))
                .serve()
                .await;
            let mut client = get(&server, "/?mib=512&length&block=4194304").await;
            client.skip(1).await;
            let rise = rise();
            client.skip((512 << 20) - 1).await;
            // A block in the guest, one on its way out of it, one that waits, one that is sent, and
            // what the allocator has kept of earlier ones: 4 to 23 MiB of 512.
            assert!(rise.mib() < 64, "{} MiB", rise.mib());
        });
    }
}

#[test]
fn large_bodies_stream_in_both_directions_in_bounded_memory() {
    if alone("blocks::large_bodies_stream_in_both_directions_in_bounded_memory") {
        measured(async |rise| {
            for guest in ["pass_through", "echo_stream"] {
                let server = TestApp::of(guest)
                    .http(|http| http.max_body = 1 << 30)
                    .serve()
                    .await;
                let rise = rise();
                both_ways(&server, 64 << 20).await;
                assert!(rise.mib() < 16, "{guest}: {} MiB", rise.mib());
            }
        });
    }
}

#[test]
fn a_client_that_does_not_read_stops_its_guest() {
    if alone("blocks::a_client_that_does_not_read_stops_its_guest") {
        measured(async |rise| {
            for (guest, target) in [
                ("close_marker", "/?endless&bytes=65536"),
                ("endless_write", "/"),
            ] {
                let server = TestApp::of(guest).and("/hello", "hello").serve().await;
                server.get("/hello").await.expect(200);
                let rise = rise();
                let stalled = get(&server, target).await;
                // The guest has all this time to run ahead.
                for _ in 0..1000 {
                    server.get("/hello").await.expect(200);
                }
                assert!(rise.mib() < 16, "{guest}: {} MiB", rise.mib());
                drop(stalled);
            }
        });
    }
}

/// Runs a test that measures, on several threads as a server does.
fn measured(test: impl AsyncFnOnce(fn() -> Rise)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test(Rise::begin));
}

/// Sends so many bytes and takes the same number back meanwhile.
async fn both_ways(server: &TestServer, length: u64) {
    let mut client = server.connect().await;
    client
        .send(format!(
            "POST /?length HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
    let Client { stream, .. } = &client;
    let piece = [b'y'; 65_536];
    let mut left = length;
    let mut unread = 0;
    let mut head = Vec::new();
    let mut taken = vec![0; 65_536];
    // One socket, both directions: whichever is ready.
    while left > 0 || unread < length {
        let ready = stream.ready(tokio::io::Interest::READABLE.add(tokio::io::Interest::WRITABLE));
        let ready = ready.await.unwrap();
        if ready.is_writable() && left > 0 {
            let now = usize::try_from(left).unwrap().min(piece.len());
            if let Ok(count) = stream.try_write(&piece[..now]) {
                left -= count as u64;
            }
        }
        if ready.is_readable() {
            let Ok(count) = stream.try_read(&mut taken) else {
                continue;
            };
            assert_ne!(count, 0, "closed after {unread} bytes");
            let mut body = &taken[..count];
            if !head.ends_with(b"\r\n\r\n") {
                let at = body
                    .windows(4)
                    .position(|window| window == b"\r\n\r\n")
                    .unwrap()
                    + 4;
                head.extend_from_slice(&body[..at]);
                body = &body[at..];
            }
            assert!(body.iter().all(|&byte| byte == b'y'));
            unread += body.len() as u64;
        }
        tokio::task::yield_now().await;
    }
    assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn s48_a_client_that_reads_again_gets_everything() {
    let server = TestApp::of("gigabyte").serve().await;
    let mut client = get(&server, "/?mib=16&length").await;
    // Meanwhile the guest waits with its blocks.
    for _ in 0..3 {
        let mut other = get(&server, "/?mib=1&length").await;
        other.skip(1 << 20).await;
    }
    client.skip(16 << 20).await;
    client.send("GET /?mib=0 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    client.response("GET").await.expect(200);
}

#[tokio::test]
async fn s43_s59_the_requests_body_passes_through() {
    let server = TestApp::of("pass_through").serve().await;
    let body: Vec<u8> = (0..1_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    for (target, skipped, announced) in [
        ("/", 0, None),
        ("/?length", 0, Some("1000000")),
        ("/?skip=1", 1, None),
        ("/?skip=70000&length", 70_000, Some("930000")),
        ("/?skip=1000000", 1_000_000, Some("0")),
    ] {
        let response = server.post(target, &body).await;
        assert!(response.expect(200).body == body[skipped..], "{target}");
        assert_eq!(response.end, End::Whole);
        if skipped < body.len() {
            assert_eq!(response.header("content-length"), announced, "{target}");
        }
    }
    let response = server.post("/?replaced=of%20bytes", &body).await;
    assert_eq!(response.expect(200).text(), "of bytes");
    // Nothing to pass is nothing sent.
    let response = server.get("/").await;
    assert_eq!(response.expect(200).header("content-length"), Some("0"));
}

#[tokio::test]
async fn s45_what_passes_through_is_held_to_its_length() {
    let server = TestApp::of("head_lengths").serve().await;
    let response = server.get("/?via=host&n=10&length=4").await;
    assert_eq!(
        (response.text().as_str(), response.end),
        ("xxxx", End::Whole)
    );
    let response = server.get("/?via=host&n=10&length=14").await;
    assert_eq!(
        (response.text().as_str(), response.end),
        ("xxxxxxxxxx", End::CutOff)
    );
}

#[tokio::test]
async fn a_block_may_have_16_mib_and_not_a_byte_more() {
    let server = TestApp::of("big_block").serve().await;
    for via in ["iter", "bytes", "write"] {
        let response = server.get(&format!("/?mib=16&via={via}")).await;
        assert_eq!(response.expect(200).body.len(), 16 << 20, "{via}");
        let response = server.get(&format!("/?mib=16&more=1&via={via}")).await;
        response.expect(500);
        log::wait(response.id(), "16777217").await;
    }
    // A body that the host keeps is no block.
    let response = server.get("/?mib=16&more=1&via=of-bytes").await;
    assert_eq!(response.expect(200).body.len(), (16 << 20) + 1);
}
