//! One raw request sent in three ways: whole, byte by byte, and cut at random places. A server that
//! treats them differently reads by the luck of the network.

use crate::client::{Client, Response};
use crate::server::TestServer;

/// Sends the request in each way on a connection of its own, and hands each response to `check`.
pub async fn check(server: &TestServer, request: impl AsRef<[u8]>, check: impl Fn(&Response)) {
    let request = request.as_ref();
    for cuts in [Cuts::None, Cuts::EachByte, Cuts::Random] {
        let mut client = server.connect().await;
        send(&mut client, request, cuts).await;
        let response = client.response_to(request).await;
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
