//! A body that does not arrive as it should, and what becomes of the request then: protocol 2.2, from
//! "limit exceeded" to "the guest then fails".

use std::time::Duration;

use wasm_gw_tests::{Client, Response, TestApp, TestServer, log, raw};

/// What the client does wrong after "abc", and what it is told.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Malformed,
    TimedOut,
    TooLarge,
}

const FAULTS: [Fault; 3] = [Fault::Malformed, Fault::TimedOut, Fault::TooLarge];

impl Fault {
    fn status(self) -> u16 {
        match self {
            Fault::Malformed => 400,
            Fault::TimedOut => 408,
            Fault::TooLarge => 413,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Fault::Malformed => "malformed",
            Fault::TimedOut => "timed-out",
            Fault::TooLarge => "too-large",
        }
    }

    /// A body of which three bytes can be read.
    fn request(self, target: &str) -> String {
        let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\n");
        let body = match self {
            Fault::Malformed => "3\r\nabc\r\nzz\r\n",
            Fault::TimedOut => "3\r\nabc\r\n",
            Fault::TooLarge => "3\r\nabc\r\n9\r\ndefghijkl\r\n0\r\n\r\n",
        };
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}")
    }
}

/// Takes three bytes, and waits briefly only where the client is meant to be too slow.
async fn server(guest: &str, fault: Fault) -> TestServer {
    TestApp::of(guest)
        .http(|http| {
            http.max_body = 3;
            if let Fault::TimedOut = fault {
                http.body_timeout = Duration::from_millis(80);
            }
        })
        .serve()
        .await
}

/// Sends the faulty request in each way, but waits only once for a server that loses patience.
async fn check(fault: Fault, server: &TestServer, target: &str, check: impl Fn(&Response)) {
    let request = fault.request(target);
    if let Fault::TimedOut = fault {
        let response = server.send(&request).await;
        assert!(response.closes());
        check(&response);
    } else {
        raw::closes(server, request, check).await;
    }
}

/// Nothing was logged that an operator should look at: it was the client's fault.
fn assert_no_blame(id: &str) {
    for line in log::of(id) {
        assert!(
            !["WARN", "ERROR"].contains(&line.level.as_str()),
            "{line:?}"
        );
    }
}

#[tokio::test]
async fn r2_2_a_guest_is_told_what_happened_to_its_body() {
    for fault in FAULTS {
        let server = server("input_ops", fault).await;
        let name = fault.name();
        // What came before is there, and the fault stays. A guest that answers keeps its answer.
        let error = format!(r#"{{"error":"{name}"}}"#);
        let expected = format!(r#"["abc",{error},{error},{error}]"#);
        let target = "/?ops=read:3,read:1,line,new,rest";
        check(fault, &server, target, |response| {
            assert_eq!(response.expect(200).text(), expected);
            assert_no_blame(response.id());
        })
        .await;
        // What cannot be given whole is not given in part.
        let expected = format!(r#"[{error},{error}]"#);
        for first in ["rest", "read:4", "lines", "iter"] {
            let request = fault.request(&format!("/?ops={first},rest"));
            let text = server.send(&request).await.expect(200).text();
            assert_eq!(text, expected, "{first}");
        }
    }
}

#[tokio::test]
async fn r2_2_the_clients_fault_decides_the_status_of_a_guest_that_then_fails() {
    // By passing the error on, by a trap, by a panic, after a start that sent nothing.
    let guests = [
        ("echo", "/"),
        ("read_then_trap", "/?then=err"),
        ("read_then_trap", "/?then=trap"),
        ("read_then_trap", "/?then=panic"),
        ("read_then_trap", "/?then=start"),
    ];
    for (guest, target) in guests {
        for fault in FAULTS {
            let server = server(guest, fault).await;
            check(fault, &server, target, |response| {
                assert_eq!(
                    response.status,
                    fault.status(),
                    "{guest} {target} {fault:?}"
                );
                assert_eq!(
                    response.header("content-type"),
                    Some("text/plain; charset=utf-8")
                );
                assert_no_blame(response.id());
            })
            .await;
        }
    }
}

#[tokio::test]
async fn r2_2_the_status_is_the_clients_fault_in_an_iterator_and_in_the_host_as_well() {
    for (guest, target) in [("echo_stream", "/"), ("pass_through", "/")] {
        // Nothing of these comes before the fault.
        for (fault, framed) in [
            (Fault::Malformed, "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            (Fault::TimedOut, "Content-Length: 3\r\n\r\n"),
            (
                Fault::TooLarge,
                "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            ),
        ] {
            let server = server(guest, fault).await;
            let request = format!("POST {target} HTTP/1.1\r\nHost: test\r\n{framed}");
            let response = server.send(&request).await;
            assert_eq!(response.status, fault.status(), "{guest}");
            assert!(response.closes());
            assert_no_blame(response.id());
        }
    }
}

#[tokio::test]
async fn r2_2_after_the_head_a_fault_cuts_the_answer_off() {
    for (guest, target, before) in [
        ("read_then_trap", "/?then=err&written", "reading\n"),
        ("read_then_trap", "/?then=trap&written", "reading\n"),
        ("echo_stream", "/", "abc"),
        ("pass_through", "/", "abc"),
    ] {
        for fault in FAULTS {
            let server = server(guest, fault).await;
            let mut client = server.connect().await;
            // The fault comes when what was sent before it has come back.
            let request = fault.request(target);
            let at = request.find("abc\r\n").unwrap() + 5;
            client.send(&request[..at]).await;
            let head = client.head().await;
            head.expect(200);
            assert_eq!(client.chunk().await.unwrap().unwrap(), before.as_bytes());
            client.send(&request[at..]).await;
            assert_eq!(
                client.chunk().await.unwrap(),
                None,
                "{guest} {target} {fault:?}"
            );
            assert_no_blame(head.id());
        }
    }
}

#[tokio::test]
async fn r2_2_a_guest_that_answers_all_the_same_keeps_its_answer() {
    for (fault, name) in FAULTS
        .into_iter()
        .zip(["Malformed", "TimedOut", "TooLarge"])
    {
        let server = server("ignores_read_error", fault).await;
        check(fault, &server, "/", |response| {
            assert_eq!(
                response.expect(200).text(),
                format!("failed: IoError::{name}\n")
            );
        })
        .await;
    }
}

#[tokio::test]
async fn r2_2_a_length_over_the_limit_is_413_before_the_app_runs() {
    let server = TestApp::of("stdio")
        .http(|http| http.max_body = 10)
        .serve()
        .await;
    let post = |length: usize| {
        let body = "x".repeat(length);
        format!(
            "POST /?only=errors HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let response = server.send(&post(10)).await;
    response.expect(200);
    assert_eq!(log::of_guest(response.id(), "wsgi.errors"), ["to errors"]);
    for length in [11, 12, 100_000] {
        raw::closes(&server, post(length), |response| {
            assert_eq!(response.status, 413, "{length}");
            assert_eq!(log::of_guest(response.id(), "wsgi.errors"), [""; 0]);
        })
        .await;
    }
    // Not one byte of it has to come.
    let request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9999999999\r\n\r\n";
    raw::closes(&server, request, |response| {
        assert_eq!(response.status, 413)
    })
    .await;
}

#[tokio::test]
async fn r2_2_a_chunked_body_may_reach_the_limit_and_not_pass_it() {
    let server = TestApp::of("echo")
        .http(|http| http.max_body = 10)
        .serve()
        .await;
    let head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in [
        ("a\r\n0123456789\r\n0\r\n\r\n", 200),
        (
            "9\r\n012345678\r\n1;long=extension\r\n9\r\n0\r\nTrailer: long\r\n\r\n",
            200,
        ),
        ("b\r\n0123456789a\r\n0\r\n\r\n", 413),
        ("a\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n", 413),
    ] {
        let request = format!("{head}{body}");
        if status == 200 {
            raw::stays(&server, request, |response| {
                assert_eq!(response.status, 200)
            })
            .await;
        } else {
            raw::closes(&server, request, |response| {
                assert_eq!(response.status, 413)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn r2_2_the_limit_is_64_mib_by_default() {
    let server = TestApp::of("read_nothing").serve().await;
    let length =
        |bytes: u64| format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {bytes}\r\n\r\n");
    assert_eq!(server.send(&length(64 << 20)).await.status, 200);
    assert_eq!(server.send(&length((64 << 20) + 1)).await.status, 413);
}

#[tokio::test]
async fn r2_2_a_client_that_goes_in_mid_body_is_no_short_body() {
    let server = TestApp::of("input_ops").serve().await;
    let leave: [fn(Client) -> Option<Client>; 2] = [
        |client| {
            client.reset();
            None
        },
        // The write side alone: counted as gone as well.
        Some,
    ];
    for framing in [
        "Content-Length: 9\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
    ] {
        for leave in leave {
            let mark = fastrand::u32(..);
            let mut client = server.connect().await;
            let request =
                format!("POST /{mark}?ops=read:3,rest HTTP/1.1\r\nHost: test\r\n{framing}");
            client.send(request).await;
            if let Some(mut client) = leave(client) {
                client.finish().await;
                assert!(client.is_closed().await);
            }
            let line = server.access_log_of(&format!("/{mark}?")).await;
            assert!(
                line.contains("\" 499 0 ") && line.ends_with(" aborted"),
                "{line}"
            );
            let id = line.split(' ').rev().nth(3).unwrap();
            log::wait(id, r#"{"error":"disconnected"}"#).await;
        }
    }
}

#[tokio::test]
async fn r2_2_a_guest_that_fails_because_its_client_has_gone_is_not_blamed() {
    let server = TestApp::of("read_then_trap").serve().await;
    for then in ["err", "trap", "panic", "start"] {
        let mark = fastrand::u32(..);
        let mut client = server.connect().await;
        let head = format!("POST /{mark}?then={then} HTTP/1.1\r\nHost: test\r\n");
        client.send(head + "Content-Length: 9\r\n\r\nabc").await;
        client.reset();
        let line = server.access_log_of(&format!("/{mark}?")).await;
        assert!(line.contains("\" 499 0 "), "{line}");
        let id = line.split(' ').rev().nth(3).unwrap().to_owned();
        log::wait(&id, "the client went away").await;
        // A panic's own text is the guest's, on its standard error.
        let ours = log::of(&id)
            .into_iter()
            .filter(|line| !line.fields.contains_key("stream"));
        for line in ours {
            assert!(
                !["WARN", "ERROR"].contains(&line.level.as_str()),
                "{then}: {line:?}"
            );
        }
    }
}
