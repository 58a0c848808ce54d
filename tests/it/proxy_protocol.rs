//! The PROXY protocol in front of requests: what its header makes of a connection, and that there is none
//! without it: protocol 2.6. Each form of the header is tested in `host/http`.

use std::time::Duration;

use serde_json::Value;
use wasm_gw_http::{Address, HttpConfig, Server};
use wasm_gw_tests::client::Client;
use wasm_gw_tests::command::{Process, refused, wasm_gw};
use wasm_gw_tests::{TestApp, TestServer, Vars, eventually, log, raw};

use crate::proxy::{get, says, trusting};

/// A server whose connections begin with a PROXY header.
async fn with_header(proxies: &[&str]) -> TestServer {
    expecting_header(proxies).serve().await
}

fn expecting_header(proxies: &[&str]) -> TestApp {
    TestApp::of("environ_dump").http(|http| {
        http.trusted_proxies = trusting(proxies);
        http.proxy_protocol = true;
    })
}

/// The same, where a head, and so a header, has little time; enough for a client that is not slow, also
/// on a machine that is.
async fn in_a_hurry() -> TestServer {
    expecting_header(&["127.0.0.1"])
        .http(|http| http.header_timeout = Duration::from_secs(1))
        .serve()
        .await
}

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.9 51000 443\r\n";

/// A header of version 2 from 192.0.2.7:51000 to 198.51.100.9:443, with this behind its addresses.
fn v2(tlvs: &[u8]) -> Vec<u8> {
    let ends = [192, 0, 2, 7, 198, 51, 100, 9, 0xc7, 0x38, 1, 0xbb];
    let length = u16::try_from(ends.len() + tlvs.len()).unwrap();
    [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..],
        &length.to_be_bytes(),
        &ends,
        tlvs,
    ]
    .concat()
}

/// A client as the log names it.
struct Peer {
    address: String,
    /// How much the log said of others who had the same port.
    before: usize,
}

impl Peer {
    fn of(client: &Client) -> Self {
        let address = client.stream.local_addr().unwrap().to_string();
        let before = log::with("peer", &address).len();
        Self { address, before }
    }

    fn lines(&self) -> Vec<log::Line> {
        log::with("peer", &self.address).split_off(self.before)
    }

    /// What the log says of it, which is one thing.
    async fn one_line(&self) -> String {
        let lines = eventually("a line of the log", || {
            Some(self.lines()).filter(|lines| !lines.is_empty())
        })
        .await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].message.clone()
    }
}

/// A client that came by TLS (version 1.3).
const TLS: &[u8] = b"\x20\0\x0f\x01\0\0\0\0\x21\0\x07TLSv1.3";

#[tokio::test]
async fn r2_6_a_proxy_header_says_who_the_client_is() {
    let server = with_header(&["127.0.0.1"]).await;
    let plain = [
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", "51000"),
        ("wsgi.url_scheme", "http"),
        ("SERVER_NAME", "test"),
        ("SERVER_PORT", "443"),
        ("HTTP_HOST", "test:81"),
    ];
    let tls = [
        plain[0],
        plain[1],
        ("wsgi.url_scheme", "https"),
        ("HTTPS", "on"),
        plain[3],
        plain[4],
        plain[5],
    ];
    let check = async |header: &[u8], expected: &[(&'static str, &str)]| {
        // Whole, byte by byte, and cut at random places.
        let bytes = [header, get("X-None: 1").as_bytes()].concat();
        for (mut client, response) in raw::answers(&server, &bytes).await {
            says(&response, expected);
            let line = server.access_log_of(response.id()).await;
            let address = expected[0].1;
            assert!(line.starts_with(&format!("{address} - - [")), "{line}");
            // The header is the connection's, not the request's.
            client.send(get("X-None: 2")).await;
            says(&client.response("GET").await, expected);
        }
    };
    check(V1, &plain).await;
    check(&v2(b""), &plain).await;
    check(&v2(b"\x04\0\x01\0"), &plain).await;
    check(&v2(TLS), &tls).await;
    let six = [
        ("REMOTE_ADDR", "2001:db8::7"),
        ("REMOTE_PORT", "51000"),
        plain[2],
        plain[3],
        ("SERVER_PORT", "8443"),
        plain[5],
    ];
    check(b"PROXY TCP6 2001:db8::7 2001:db8::9 51000 8443\r\n", &six).await;
}

#[tokio::test]
async fn r2_6_a_proxy_header_without_a_client_leaves_the_peer() {
    let server = with_header(&["127.0.0.1"]).await;
    let port = server.address.port().to_string();
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN 192.0.2.7 192.0.2.9 1 2\r\n",
        // LOCAL, and a client of another kind.
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0",
    ] {
        let mut client = server.connect().await;
        let own = client.stream.local_addr().unwrap().port().to_string();
        // Nobody says that its fields are the proxy's.
        let request = get("X-Forwarded-For: 192.0.2.8\r\nX-Forwarded-Proto: https");
        client.send([header, request.as_bytes()].concat()).await;
        says(
            &client.response("GET").await,
            &[
                ("REMOTE_ADDR", "127.0.0.1"),
                ("REMOTE_PORT", &own),
                ("wsgi.url_scheme", "http"),
                ("SERVER_NAME", "test"),
                ("SERVER_PORT", &port),
                ("HTTP_HOST", "test:81"),
            ],
        );
    }
}

#[tokio::test]
async fn r2_6_fields_behind_a_proxy_header_count_if_its_client_is_a_proxy() {
    let server = with_header(&["127.0.0.1", "192.0.2.7"]).await;
    let fields = get(
        "X-Forwarded-For: 1.1.1.1, 203.0.113.5\r\nX-Forwarded-Proto: https\r\nX-Request-ID: told",
    );
    let mut client = server.connect().await;
    client.send([V1, fields.as_bytes()].concat()).await;
    let response = client.response("GET").await;
    assert_eq!(response.id(), "told");
    let vars = Vars::of(&response);
    assert_eq!(vars.get("REMOTE_ADDR"), Some("203.0.113.5"));
    assert_eq!(vars.get("wsgi.url_scheme"), Some("https"));

    // Else they are the client's own.
    let server = with_header(&["127.0.0.1"]).await;
    let mut client = server.connect().await;
    client.send([V1, fields.as_bytes()].concat()).await;
    let response = client.response("GET").await;
    assert_eq!(response.id().len(), 32);
    let vars = Vars::of(&response);
    assert_eq!(vars.get("REMOTE_ADDR"), Some("192.0.2.7"));
    assert_eq!(vars.get("wsgi.url_scheme"), Some("http"));
}

#[tokio::test]
async fn r2_6_a_connection_without_its_proxy_header_is_closed() {
    let server = with_header(&["127.0.0.1"]).await;
    for (bytes, why) in [
        (
            &b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"[..],
            "does not begin with",
        ),
        (b"\x16\x03\x01\x02\0\x01", "does not begin with"),
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.9 51000\r\n",
            "(version 1) is broken",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x01\0",
            "(version 2) is broken",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            "longer than 4096 bytes",
        ),
    ] {
        let mut client = server.connect().await;
        let peer = Peer::of(&client);
        client.send(bytes).await;
        // Closed with what it sent unread, or reset for that reason; nothing is answered.
        assert!(client.rest().await.unwrap_or_default().is_empty());
        let line = peer.one_line().await;
        assert!(
            line.starts_with("connection closed: ") && line.contains(why),
            "{line}"
        );
    }
    // Others are served meanwhile.
    let mut client = server.connect().await;
    client
        .send([V1, get("X-None: 1").as_bytes()].concat())
        .await;
    let response = client.response("GET").await;
    server.access_log_of(response.expect(200).id()).await;
    assert_eq!(server.access_log().lines().count(), 1);
}

#[tokio::test]
async fn r2_6_a_header_of_anybody_else_is_refused_with_the_connection() {
    for proxies in [&["10.0.0.0/8"][..], &["unix"]] {
        let server = with_header(proxies).await;
        let mut client = server.connect().await;
        let peer = Peer::of(&client);
        let _ = client
            .try_send(&[V1, get("X-None: 1").as_bytes()].concat())
            .await;
        assert!(client.rest().await.unwrap_or_default().is_empty());
        let line = peer.one_line().await;
        assert!(line.contains("its peer is no trusted proxy"), "{line}");
        assert_eq!(server.access_log(), "");
    }
}

#[tokio::test]
async fn r2_6_a_proxy_that_only_looks_is_not_talked_about() {
    let server = in_a_hurry().await;
    let mut peers = Vec::new();
    for _ in 0..10 {
        let mut client = server.connect().await;
        peers.push(Peer::of(&client));
        client.finish().await;
        assert!(client.is_closed().await);
    }
    // So is one that is silent, in the time of a head; it keeps nobody waiting meanwhile.
    let mut silent = server.connect().await;
    peers.push(Peer::of(&silent));
    let mut client = server.connect().await;
    client
        .send([V1, get("X-None: 1").as_bytes()].concat())
        .await;
    client.response("GET").await.expect(200);
    assert!(silent.is_closed().await);
    for peer in peers {
        assert_eq!(peer.lines().len(), 0, "{:?}", peer.lines());
    }
}

#[tokio::test]
async fn r2_6_a_proxy_header_has_the_time_of_a_head() {
    let server = in_a_hurry().await;
    let mut slow = server.connect().await;
    let peer = Peer::of(&slow);
    slow.send(&V1[..20]).await;
    assert!(slow.is_closed().await);
    let line = peer.one_line().await;
    assert!(line.contains("its PROXY header took too long"), "{line}");
    // The head behind it has a time of its own: 408 follows.
    let mut slow = server.connect().await;
    slow.send([V1, b"GET / HT"].concat()).await;
    slow.response("GET").await.expect(408);
    // Within it, its parts may come as they like.
    let mut client = server.connect().await;
    client.send(&V1[..20]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    client
        .send([&V1[20..], get("X-None: 1").as_bytes()].concat())
        .await;
    client.response("GET").await.expect(200);
}

#[tokio::test]
async fn r2_6_a_drain_does_not_wait_for_a_proxy_header() {
    let mut server = with_header(&["127.0.0.1"]).await;
    let mut silent = server.connect().await;
    let mut begun = server.connect().await;
    begun.send(&V1[..20]).await;
    let mut served = server.connect().await;
    served
        .send([V1, get("X-None: 1").as_bytes()].concat())
        .await;
    served.response("GET").await.expect(200);
    server.ask_to_stop();
    for client in [&mut silent, &mut begun, &mut served] {
        assert!(client.rest().await.unwrap_or_default().is_empty());
    }
    drop((silent, begun, served));
    assert_eq!(server.stop().await.cut, 0);
}

#[tokio::test]
async fn r2_6_a_unix_socket_has_proxy_headers_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = TestApp::of("environ_dump")
        .unix(path.clone())
        .http(|http| {
            http.trusted_proxies = trusting(&["unix"]);
            http.proxy_protocol = true;
        })
        .serve()
        .await;
    let mut client = Client::connect_unix(&path).await;
    client
        .send([&v2(TLS)[..], get("X-None: 1").as_bytes()].concat())
        .await;
    let response = client.response("GET").await;
    let vars = Vars::of(&response);
    assert_eq!(vars.get("REMOTE_ADDR"), Some("192.0.2.7"));
    assert_eq!(vars.get("SERVER_PORT"), Some("443"));
    assert_eq!(vars.get("HTTPS"), Some("on"));
    let line = server.access_log_of(response.id()).await;
    assert!(line.starts_with("192.0.2.7 "), "{line}");
}

#[test]
fn r2_6_a_proxy_protocol_needs_somebody_who_is_trusted() {
    let config = HttpConfig {
        proxy_protocol: true,
        ..HttpConfig::default()
    };
    let address = Address::Tcp(([127, 0, 0, 1], 0).into());
    let error = Server::bind(&[address], config).unwrap_err().to_string();
    assert!(error.contains("needs a trusted proxy"), "{error}");
}

// ---- the command ----

#[tokio::test]
async fn the_command_reads_proxy_headers_if_it_is_told_to() {
    let process = Process::of(&[
        "environ_dump.wasm",
        "--trusted-proxy=10.0.0.0/8",
        "--trusted-proxy=127.0.0.1",
        "--proxy-protocol",
        "--log-format=json",
    ])
    .await;
    let said = process.stderr();
    let line = said.lines().find(|line| line.contains("listens")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["proxy_protocol"], true);
    let mut client = process.connect().await;
    let header = "PROXY TCP4 10.0.0.7 10.0.0.9 1 80\r\n";
    let request = get("X-Forwarded-For: 192.0.2.7");
    client.send(format!("{header}{request}")).await;
    let response = client.response("GET").await;
    assert_eq!(Vars::of(&response).get("REMOTE_ADDR"), Some("192.0.2.7"));
    let line = process.access_log_of(response.id()).await;
    assert_eq!(
        (&line["remote"], &line["peer"]),
        (&"192.0.2.7".into(), &"127.0.0.1".into())
    );

    let options = [
        "environ_dump.wasm",
        "--trusted-proxy=127.0.0.1",
        "--proxy-protocol",
    ];
    let said = Process::of(&options).await.stderr();
    let part =
        "127.0.0.1 may say who their clients are; each connection begins with a PROXY header\n";
    assert!(said.contains(part), "{said}");
}

#[test]
fn the_command_refuses_a_proxy_protocol_that_nobody_could_speak() {
    for (arguments, part) in [
        (
            &["--proxy-protocol"][..],
            "proxy-protocol needs a trusted-proxy",
        ),
        (
            &[
                "--proxy-protocol",
                "--trusted-proxy=10.0.0.7",
                "--listen=unix:a.sock",
            ],
            "nobody could connect to unix:a.sock",
        ),
    ] {
        let command = ["serve", "environ_dump.wasm"].iter().chain(arguments);
        refused(wasm_gw(command), 2, &[part]);
    }
}
