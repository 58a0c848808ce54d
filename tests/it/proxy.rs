//! Behind a proxy: what fields of trusted proxies make of a request, and those of anybody else do not:
//! protocol 2.6. What the fields mean in each of their forms is tested in `host/protocol`; the PROXY
//! protocol in `proxy_protocol`; a real proxy stands in `nginx`.

use serde_json::Value;
use wasm_gw_protocol::TrustedProxies;
use wasm_gw_tests::client::{Client, Response};
use wasm_gw_tests::command::{Process, refused, wasm_gw};
use wasm_gw_tests::{TestApp, TestServer, Vars, log, raw};

/// These, and nobody else.
pub(crate) fn trusting(proxies: &[&str]) -> TrustedProxies {
    proxies.iter().map(|text| text.parse().unwrap()).collect()
}

/// A server whose clients of this machine are its proxies.
async fn behind_a_proxy() -> TestServer {
    TestApp::of("environ_dump")
        .http(|http| http.trusted_proxies = trusting(&["127.0.0.1", "10.0.0.0/8"]))
        .serve()
        .await
}

pub(crate) fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: test:81\r\n{lines}\r\n\r\n")
}

/// The variables that a proxy has a say in are these, and no others.
#[track_caller]
pub(crate) fn says(response: &Response, expected: &[(&'static str, &str)]) {
    let vars = Vars::of(response);
    let expected: Vec<_> = expected.iter().map(|&(n, v)| (n, v.to_owned())).collect();
    assert_eq!(vars.of_the_client(), expected);
}

#[tokio::test]
async fn r2_6_a_trusted_proxy_says_who_the_client_is_and_what_it_asked_for() {
    let server = behind_a_proxy().await;
    let x = "X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.0.0.2\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: Shop.example";
    let forwarded = "Forwarded: for=1.1.1.1;proto=http;host=evil, \
                     for=192.0.2.7;proto=https;host=Shop.example, for=10.0.0.2;proto=http";
    for lines in [x, forwarded, &format!("{forwarded}\r\n{x}")] {
        raw::check(&server, get(lines), |response| {
            says(
                response,
                &[
                    ("REMOTE_ADDR", "192.0.2.7"),
                    ("wsgi.url_scheme", "https"),
                    ("HTTPS", "on"),
                    ("SERVER_NAME", "shop.example"),
                    ("SERVER_PORT", "443"),
                    ("HTTP_HOST", "Shop.example"),
                ],
            );
        })
        .await;
    }
    // The fields stay what they are for those who read them themselves.
    let vars = Vars::of(&server.send(&get(x)).await);
    let chain = vars.get("HTTP_X_FORWARDED_FOR");
    assert_eq!(chain, Some("1.1.1.1, 192.0.2.7, 10.0.0.2"));
}

#[tokio::test]
async fn r2_6_what_a_proxy_leaves_unsaid_is_the_connections() {
    let server = behind_a_proxy().await;
    let port = server.address.port().to_string();
    let mut client = server.connect().await;
    let own = client.stream.local_addr().unwrap().port().to_string();
    let mut check = async |lines: &str, expected: &[(&'static str, &str)]| {
        client.send(get(lines)).await;
        says(&client.response("GET").await, expected);
    };
    let (local, host) = (("SERVER_PORT", port.as_str()), ("HTTP_HOST", "test:81"));
    let (name, http) = (("SERVER_NAME", "test"), ("wsgi.url_scheme", "http"));
    check(
        "X-None: 1",
        &[
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", &own),
            http,
            name,
            local,
            host,
        ],
    )
    .await;
    check(
        "X-Forwarded-For: [2001:db8::7]:4711",
        &[
            ("REMOTE_ADDR", "2001:db8::7"),
            ("REMOTE_PORT", "4711"),
            http,
            name,
            local,
            host,
        ],
    )
    .await;
    // A client that is hidden has no address, not the proxy's.
    check("Forwarded: for=_hidden", &[http, name, local, host]).await;
    check(
        "X-Forwarded-For: 1.1.1.1, unknown",
        &[http, name, local, host],
    )
    .await;
    // Where the scheme is told, the port that clients see is Host's.
    check(
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http",
        &[
            ("REMOTE_ADDR", "192.0.2.7"),
            http,
            name,
            ("SERVER_PORT", "81"),
            host,
        ],
    )
    .await;
}

#[tokio::test]
async fn r2_6_the_public_url_can_be_rebuilt() {
    let server = TestApp::of("url_rebuild")
        .mounted("/shop")
        .http(|http| http.trusted_proxies = trusting(&["127.0.0.1"]))
        .serve()
        .await;
    let check = async |head: &str, expected: &str| {
        let request = format!("{head}\r\n\r\n");
        raw::check(&server, &request, |response| {
            assert_eq!(response.expect(200).text(), expected, "{request}");
        })
        .await;
    };
    let get = "GET /shop/a?b HTTP/1.1\r\nHost: inner:8080\r\n";
    let https = "X-Forwarded-Proto: https";
    check(
        &format!("{get}{https}\r\nX-Forwarded-Host: shop.example"),
        "https://shop.example/shop/a?b",
    )
    .await;
    check(
        &format!("{get}{https}\r\nX-Forwarded-Host: shop.example:8443"),
        "https://shop.example:8443/shop/a?b",
    )
    .await;
    check(&format!("{get}{https}"), "https://inner:8080/shop/a?b").await;
    check(
        &format!("{get}Forwarded: proto=https;host=\"[2001:db8::1]:444\""),
        "https://[2001:db8::1]:444/shop/a?b",
    )
    .await;
    // What the target names goes before Host, and the proxy's word before both.
    check(
        &format!("GET http://target/shop/a?b HTTP/1.1\r\nHost: inner\r\n{https}"),
        "https://target/shop/a?b",
    )
    .await;
    check(
        "GET http://target/shop/a?b HTTP/1.1\r\nHost: inner\r\nX-Forwarded-Host: shop.example",
        "http://shop.example/shop/a?b",
    )
    .await;
    check(
        &format!("GET /shop/a?b HTTP/1.0\r\n{https}\r\nX-Forwarded-Host: shop.example"),
        "https://shop.example/shop/a?b",
    )
    .await;
}

#[tokio::test]
async fn r2_6_nobody_else_is_believed() {
    let lines = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: evil\r\nForwarded: for=192.0.2.8;proto=https;host=evil\r\n\
                 X-Request-ID: mine";
    let broken = "Forwarded: for=\"\r\nX-Forwarded-For: nonsense\r\nX-Forwarded-Proto: a, b";
    let underscores = "X_Forwarded_For: 192.0.2.7\r\nX_Forwarded_Proto: https";
    for (proxies, lines) in [
        (&["10.0.0.0/8", "::1", "unix"][..], lines),
        (&["10.0.0.0/8", "::1", "unix"], broken),
        (&[], lines),
        (&["127.0.0.1"], underscores),
    ] {
        let server = TestApp::of("environ_dump")
            .http(|http| http.trusted_proxies = trusting(proxies))
            .serve()
            .await;
        let port = server.address.port().to_string();
        let mut client = server.connect().await;
        let own = client.stream.local_addr().unwrap().port().to_string();
        client.send(get(lines)).await;
        let response = client.response("GET").await;
        says(
            &response,
            &[
                ("REMOTE_ADDR", "127.0.0.1"),
                ("REMOTE_PORT", &own),
                ("wsgi.url_scheme", "http"),
                ("SERVER_NAME", "test"),
                ("SERVER_PORT", &port),
                ("HTTP_HOST", "test:81"),
            ],
        );
        assert_eq!(response.id().len(), 32, "the id is ours");
        let line = server.access_log_of(response.id()).await;
        assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    }
}

#[tokio::test]
async fn r2_6_a_proxy_on_a_unix_socket_is_trusted_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https";
    for (proxies, address, port) in [
        (&["unix"][..], Some("192.0.2.7"), "81"),
        (&["0.0.0.0/1", "128.0.0.0/1"], None, "81"),
    ] {
        let path = folder.path().join(proxies[0].replace('/', "-"));
        let _server = TestApp::of("environ_dump")
            .unix(path.clone())
            .http(|http| http.trusted_proxies = trusting(proxies))
            .serve()
            .await;
        let mut client = Client::connect_unix(&path).await;
        client.send(get(lines)).await;
        let vars = Vars::of(&client.response("GET").await);
        assert_eq!(vars.get("REMOTE_ADDR"), address);
        assert_eq!(vars.get("HTTPS"), address.map(|_| "on"));
        assert_eq!(vars.get("SERVER_PORT"), Some(port));
    }
}

#[tokio::test]
async fn r2_6_fields_that_contradict_each_other_are_400() {
    let server = behind_a_proxy().await;
    for (lines, reason) in [
        (
            "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.8",
            "the client",
        ),
        (
            "X-Forwarded-For: 192.0.2.7\r\nForwarded: proto=https",
            "the client",
        ),
        (
            "X-Forwarded-Proto: http\r\nForwarded: proto=https",
            "the scheme",
        ),
        ("X-Forwarded-Host: a\r\nForwarded: host=b", "the host"),
        ("X-Forwarded-Proto: https, http", "contradicts itself"),
        (
            "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http",
            "contradicts itself",
        ),
        (
            "X-Forwarded-Host: a\r\nX-Forwarded-Host: b",
            "contradicts itself",
        ),
        ("X-Forwarded-Proto: gopher", "neither http nor https"),
        ("X-Forwarded-Host: a/b", "a host that is none"),
        ("X-Forwarded-For: nonsense", "names no address"),
        ("Forwarded: for=\"", "Forwarded is broken"),
    ] {
        // The connection may well be a proxy's, with others behind it.
        raw::stays(&server, get(lines), |response| {
            response.expect(400);
        })
        .await;
        let response = server.send(&get(lines)).await;
        response.expect(400);
        let line = log::wait(response.id(), "request refused").await;
        assert!(line.fields["reason"].contains(reason), "{line:?}");
        let line = server.access_log_of(response.id()).await;
        assert!(line.contains("\"GET / HTTP/1.1\" 400 "), "{line}");
    }
}

#[tokio::test]
async fn r2_6_an_https_target_is_right_where_a_trusted_proxy_says_https() {
    let server = behind_a_proxy().await;
    let get = |lines: &str| format!("GET https://test/ HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n");
    raw::status(&server, get("X-Forwarded-Proto: https"), 200).await;
    raw::status(&server, get("Forwarded: proto=https"), 200).await;
    raw::status(&server, get("X-Forwarded-Proto: http"), 421).await;
    raw::status(&server, get("X-Forwarded-For: 192.0.2.7"), 421).await;
    let server = TestApp::of("environ_dump").serve().await;
    raw::status(&server, get("X-Forwarded-Proto: https"), 421).await;
}

#[tokio::test]
async fn r2_6_a_trusted_proxys_request_id_is_the_requests() {
    let server = behind_a_proxy().await;
    for id in [
        "0b71cbc1-dfbd-4d6c-8d8f-1c6a8f5d5c3e",
        "b2e14c0a5aa6b3129860c8a1e91a775b",
        &"x".repeat(128),
    ] {
        let response = server.send(&get(&format!("X-Request-ID: {id}"))).await;
        assert_eq!(response.id(), id);
        let vars = Vars::of(&response);
        assert_eq!(vars.get("wasm_gw.request_id"), Some(id));
        server.access_log_of(id).await;
        // The page of a refusal has it too.
        let refused = get(&format!("X-Request-ID: {id}\r\nX-Forwarded-Proto: x"));
        let response = server.send(&refused).await;
        assert!(response.expect(400).text().contains(id));
    }
    // One that could break out of a log line or a page, that is long, or that comes twice, is none.
    for bad in [
        "a b",
        "a\"b",
        "<b>",
        "",
        "\u{e9}",
        "a,b",
        &"x".repeat(129),
        "a\r\nX-Request-ID: a",
    ] {
        let response = server.send(&get(&format!("X-Request-ID: {bad}"))).await;
        response.expect(200);
        assert_eq!(response.id().len(), 32, "{bad}");
        let hex = |byte: u8| byte.is_ascii_hexdigit();
        assert!(response.id().bytes().all(hex), "{bad}");
    }
}

#[tokio::test]
async fn r2_6_the_access_log_has_the_client_and_in_json_the_proxy_beside_it() {
    let server = behind_a_proxy().await;
    let line = async |server: &TestServer, lines: &str| {
        let response = server.send(&get(lines)).await;
        server.access_log_of(response.expect(200).id()).await
    };
    let of_client = line(&server, "X-Forwarded-For: 2001:db8::7").await;
    assert!(of_client.starts_with("2001:db8::7 - - ["), "{of_client}");
    let of_nobody = line(&server, "Forwarded: for=_hidden").await;
    assert!(of_nobody.starts_with("- - - ["), "{of_nobody}");

    let server = TestApp::of("environ_dump")
        .json_log()
        .http(|http| http.trusted_proxies = trusting(&["127.0.0.1"]))
        .serve()
        .await;
    let check = async |lines: &str, remote: Value, peer: Value| {
        let line: Value = serde_json::from_str(&line(&server, lines).await).unwrap();
        assert_eq!((&line["remote"], &line["peer"]), (&remote, &peer), "{line}");
    };
    check(
        "X-Forwarded-For: 192.0.2.7",
        "192.0.2.7".into(),
        "127.0.0.1".into(),
    )
    .await;
    check("Forwarded: for=unknown", Value::Null, "127.0.0.1".into()).await;
    check("X-None: 1", "127.0.0.1".into(), Value::Null).await;
}

#[tokio::test]
async fn r2_6_each_request_of_a_connection_has_a_client_of_its_own() {
    let server = behind_a_proxy().await;
    let mut client = server.connect().await;
    let request = |last: u8| get(&format!("X-Forwarded-For: 192.0.2.{last}"));
    // Pipelined, as proxies that keep a connection may.
    client
        .send([request(1), request(2), get("X-None: 1")].concat())
        .await;
    for expected in ["192.0.2.1", "192.0.2.2", "127.0.0.1"] {
        let response = client.response("GET").await;
        assert_eq!(Vars::of(&response).get("REMOTE_ADDR"), Some(expected));
        let line = server.access_log_of(response.id()).await;
        assert!(line.starts_with(&format!("{expected} ")), "{line}");
    }
}

// ---- the command ----

#[tokio::test]
async fn the_command_believes_whom_it_is_told_to() {
    let process = Process::of(&[
        "environ_dump.wasm",
        "--trusted-proxy=10.0.0.0/8",
        "--trusted-proxy=127.0.0.1",
        "--log-format=json",
    ])
    .await;
    let said = process.stderr();
    let line = said.lines().find(|line| line.contains("listens")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        line["trusted_proxies"],
        serde_json::json!(["10.0.0.0/8", "127.0.0.1"])
    );
    let mut client = process.connect().await;
    client.send(get("X-Forwarded-For: 192.0.2.7")).await;
    let response = client.response("GET").await;
    assert_eq!(Vars::of(&response).get("REMOTE_ADDR"), Some("192.0.2.7"));
    let line = process.access_log_of(response.id()).await;
    assert_eq!(
        (&line["remote"], &line["peer"]),
        (&"192.0.2.7".into(), &"127.0.0.1".into())
    );

    let process = Process::of(&["environ_dump.wasm", "--trusted-proxy=unix"]).await;
    let said = process.stderr();
    assert!(
        said.contains("  proxies  unix may say who their clients are\n"),
        "{said}"
    );
}

#[test]
fn the_command_says_what_is_wrong_with_a_proxy() {
    for (arguments, parts) in [
        (
            &["--trusted-proxy=10.0.0.7/8"][..],
            &[
                "--trusted-proxy",
                "10.0.0.7/8",
                "write 10.0.0.0/8 for the network",
            ][..],
        ),
        (
            &["--trusted-proxy=proxy.example"],
            &["--trusted-proxy", "names of hosts are not looked up"],
        ),
        (&["--trusted-proxy=0.0.0.0/0"], &["would believe everybody"]),
    ] {
        let command = ["serve", "environ_dump.wasm"].iter().chain(arguments);
        refused(wasm_gw(command), 2, parts);
    }
    // The same in a file, with its line.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wasm-gw.toml");
    let text = "[serve]\ncomponent = \"a.wasm\"\ntrusted-proxy = [\"fd00::/8\", \"10.0.0.7/8\"]\n";
    std::fs::write(&file, text).unwrap();
    let mut command = wasm_gw(["serve", "--config"]);
    command.arg(&file);
    refused(command, 2, &[":3: ", "write 10.0.0.0/8"]);
}
