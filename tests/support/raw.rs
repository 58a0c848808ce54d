//! One raw request sent in three ways: whole, byte by byte, and cut at random places. A server that
//! treats them differently reads by the luck of the network.

use crate::client::{Client, Response};
use crate::server::TestServer;

/// Sends the request in each way on a connection of its own, and hands each response to `check`.
pub async fn check(server: &TestServer, request: impl AsRef<[u8]>, check: impl Fn(&Response)) {
    for (_, response) in answers(server, request.as_ref()).await {
        check(&response);
    }
}

/// Checks only the status.
pub async fn status(server: &TestServer, request: impl AsRef<[u8]>, expected: u16) {
    let request = request.as_ref();
    let shown = request.escape_ascii().to_string();
    check(server, request, |response| {
        assert_eq!(response.status, expected, "{shown}: {}", response.text());
    })
    .await;
}

/// Checks the response to the first request in these bytes, and that the server says that it
/// closes, closes, and answers nothing that may stand behind that request.
pub async fn closes(server: &TestServer, bytes: impl AsRef<[u8]>, check: impl Fn(&Response)) {
    ends(server, bytes, |response| {
        check(response);
        let closes = response.closes() || response.version == "HTTP/1.0";
        assert!(closes, "{response:?}");
    })
    .await;
}

/// The same where the server could not know that it closes when it sent the head.
pub async fn ends(server: &TestServer, bytes: impl AsRef<[u8]>, check: impl Fn(&Response)) {
    let bytes = bytes.as_ref();
    let shown = bytes.escape_ascii().to_string();
    for (mut client, response) in answers(server, bytes).await {
        check(&response);
        // The server goes on reading for a while, lest the answer be lost.
        let _ = client.try_finish().await;
        let rest = client
            .rest()
            .await
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(rest.is_empty(), "{shown}: {}", rest.escape_ascii());
    }
}

/// Checks the response to these bytes, which are one request, and that the connection then takes
/// another one.
pub async fn stays(server: &TestServer, request: impl AsRef<[u8]>, check: impl Fn(&Response)) {
    let request = request.as_ref();
    let shown = request.escape_ascii().to_string();
    for (mut client, response) in answers(server, request).await {
        check(&response);
        assert!(!response.closes(), "{shown}: {response:?}");
        client
            .send("TRACE /next HTTP/1.1\r\nHost: test\r\n\r\n")
            .await;
        assert_eq!(client.response("TRACE").await.status, 405, "{shown}");
    }
}

/// Sends these bytes in each way, and gives the response to the first request in them with the
/// connection that it came over.
pub async fn answers(server: &TestServer, request: &[u8]) -> Vec<(Client, Response)> {
    let mut answers = Vec::new();
    for cuts in [Cuts::None, Cuts::EachByte, Cuts::Random] {
        // A head is looked at again with each piece that arrives.
        if let Cuts::EachByte = cuts
            && request.len() > 16 * 1024
        {
            continue;
        }
        let mut client = server.connect().await;
        send(&mut client, request, cuts).await;
        let response = client.response_to(request).await;
        answers.push((client, response));
    }
    answers
}

#[derive(Clone, Copy)]
enum Cuts {
    None,
    EachByte,
    Random,
}

async fn send(client: &mut Client, request: &[u8], cuts: Cuts) {
    let mut rest = request;
    while !rest.is_empty() {
        let size = match cuts {
            Cuts::None => rest.len(),
            Cuts::EachByte => 1,
            Cuts::Random => fastrand::usize(1..=rest.len().min(64)),
        };
        let (now, later) = rest.split_at(size);
        // A server may refuse before it has seen all.
        if client.try_send(now).await.is_err() {
            return;
        }
        rest = later;
        tokio::task::yield_now().await;
    }
}
