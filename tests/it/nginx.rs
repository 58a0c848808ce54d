//! A real nginx in front, set up as `docs/operating.md` says: over TCP, over a unix socket, and by the
//! PROXY protocol. The proxy's address is 127.0.0.9 and it alone is trusted; clients come from others
//! of the loopback. What each field means is tested in `proxy`.

use std::net::SocketAddr;

use tokio::net::TcpSocket;
use wasm_gw_tests::nginx::Nginx;
use wasm_gw_tests::{Client, Response, TestApp, TestServer, Vars};

/// Where the proxy connects from.
const PROXY: Option<&str> = Some("127.0.0.9");

/// The configurations of nginx that the documentation shows, in their order.
fn documented() -> [String; 2] {
    let text = include_str!("../../docs/operating.md");
    let blocks: Vec<String> = text
        .split("```nginx\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0.to_owned())
        .collect();
    blocks.try_into().unwrap()
}

/// What stands in the documentation, and once, in place of something else.
#[track_caller]
fn instead(text: &str, changes: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (there, here) in changes {
        assert_eq!(text.matches(there).count(), 1, "`{there}` in: {text}");
        text = text.replace(there, here);
    }
    text
}

/// The first of them, for requests, with this server behind it. It connects from this address.
async fn in_front_of(upstream: &str, from: Option<&str>, more: &[(&str, &str)]) -> Nginx {
    let [http, _] = documented();
    let bind = from.map_or(String::new(), |address| format!("proxy_bind {address};"));
    let pass = format!("proxy_pass http://wasm_gw; {bind}");
    let server = format!("server {upstream};");
    let changes = [
        ("server 127.0.0.1:8080;", server.as_str()),
        ("listen 80;", "listen PORT;"),
        ("proxy_pass http://wasm_gw;", &pass),
    ];
    Nginx::http(&instead(&http, &[&changes, more].concat())).await
}

/// A server that trusts the proxy of these tests.
async fn server(proxies: &[&str]) -> TestServer {
    app(proxies).serve().await
}

fn app(proxies: &[&str]) -> TestApp {
    TestApp::of("environ_dump").http(|http| {
        http.trusted_proxies = proxies.iter().map(|text| text.parse().unwrap()).collect();
    })
}

/// A client of 127.0.0.N.
async fn client(last: u8, to: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    Client::over(socket.connect(to).await.unwrap())
}

fn get(lines: &str) -> String {
    format!("GET /a?b HTTP/1.1\r\nHost: Shop.example:8000\r\n{lines}\r\n\r\n")
}

/// Everything that a client could try.
const SPOOFED: &str = "X-Forwarded-For: 1.1.1.1, 127.0.0.9\r\nX-Forwarded-Proto: https\r\n\
                       X-Forwarded-Host: evil\r\nForwarded: for=1.1.1.1;proto=https;host=evil\r\n\
                       X_Forwarded_For: 1.1.1.1\r\nX-Request-ID: mine\r\n\
                       Connection: X-Forwarded-For, X-Forwarded-Proto";

#[track_caller]
fn says(response: &Response, expected: &[(&str, Option<&str>)]) {
    let vars = Vars::of(response);
    for &(name, value) in expected {
        assert_eq!(vars.get(name), value, "{name}");
    }
}

#[tokio::test]
async fn r2_6_nginx_over_tcp_says_who_its_clients_are() {
    let server = server(&["127.0.0.9"]).await;
    let nginx = in_front_of(&server.address.to_string(), PROXY, &[]).await;
    for lines in ["Accept: */*", SPOOFED] {
        // Each of several clients, over connections of nginx that it keeps.
        for last in [1, 2, 3, 2, 1] {
            let address = format!("127.0.0.{last}");
            let mut client = client(last, nginx.address).await;
            client.send(get(lines)).await;
            let response = client.response("GET").await;
            says(
                &response,
                &[
                    ("REMOTE_ADDR", Some(&address)),
                    ("REMOTE_PORT", None),
                    ("wsgi.url_scheme", Some("http")),
                    ("HTTPS", None),
                    ("SERVER_NAME", Some("shop.example")),
                    ("SERVER_PORT", Some("8000")),
                    ("HTTP_HOST", Some("Shop.example:8000")),
                    ("HTTP_FORWARDED", None),
                    ("HTTP_X_FORWARDED_HOST", None),
                    ("HTTP_X_FORWARDED_PROTO", Some("http")),
                ],
            );
            let line = server.access_log_of(response.id()).await;
            assert!(line.starts_with(&format!("{address} - - [")), "{line}");
        }
    }
    // Without nginx between, the same is nobody's word.
    let mut client = client(1, server.address).await;
    client.send(get(SPOOFED)).await;
    let response = client.response("GET").await;
    says(
        &response,
        &[
            ("REMOTE_ADDR", Some("127.0.0.1")),
            ("wsgi.url_scheme", Some("http")),
            ("HTTP_HOST", Some("Shop.example:8000")),
        ],
    );
    assert_ne!(response.id(), "mine");
}

#[tokio::test]
async fn r2_6_nginx_over_a_unix_socket_says_who_its_clients_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = app(&["unix"]).unix(path.clone()).serve().await;
    let nginx = in_front_of(&format!("unix:{}", path.display()), None, &[]).await;
    for lines in ["Accept: */*", SPOOFED] {
        let mut client = client(5, nginx.address).await;
        client.send(get(lines)).await;
        let response = client.response("GET").await;
        says(
            &response,
            &[
                ("REMOTE_ADDR", Some("127.0.0.5")),
                ("wsgi.url_scheme", Some("http")),
                ("SERVER_PORT", Some("8000")),
                ("HTTP_HOST", Some("Shop.example:8000")),
            ],
        );
        let line = server.access_log_of(response.id()).await;
        assert!(line.starts_with("127.0.0.5 - - ["), "{line}");
    }
}

#[tokio::test]
async fn r2_6_nginx_and_the_server_know_a_request_by_one_id() {
    let server = server(&["127.0.0.9"]).await;
    let nginx = in_front_of(&server.address.to_string(), PROXY, &[]).await;
    let mut client = client(1, nginx.address).await;
    for lines in ["Accept: */*", "X-Request-ID: mine"] {
        client.send(get(lines)).await;
        let response = client.response("GET").await;
        let id = response.id();
        says(&response, &[("wasm_gw.request_id", Some(id))]);
        server.access_log_of(id).await;
        let line = format!("{id} 127.0.0.1 200");
        wasm_gw_tests::eventually("the request in nginx's log", || {
            nginx.log().contains(&line).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn r2_6_https_at_nginx_is_https() {
    let server = server(&["127.0.0.9"]).await;
    // As it says where it takes TLS.
    let https = [("X-Forwarded-Proto $scheme", "X-Forwarded-Proto https")];
    let nginx = in_front_of(&server.address.to_string(), PROXY, &https).await;
    let mut client = client(1, nginx.address).await;
    client
        .send("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: http\r\n\r\n")
        .await;
    says(
        &client.response("GET").await,
        &[
            ("wsgi.url_scheme", Some("https")),
            ("HTTPS", Some("on")),
            ("SERVER_PORT", Some("443")),
            ("HTTP_HOST", Some("shop.example")),
        ],
    );
}

#[tokio::test]
async fn r2_6_of_two_nginx_in_a_row_the_outer_one_says_who_the_client_is() {
    let server = server(&["127.0.0.8/31"]).await;
    let inner = in_front_of(&server.address.to_string(), PROXY, &[]).await;
    let outer = in_front_of(&inner.address.to_string(), Some("127.0.0.8"), &[]).await;
    for lines in ["Accept: */*", SPOOFED] {
        let mut client = client(7, outer.address).await;
        client.send(get(lines)).await;
        let response = client.response("GET").await;
        says(&response, &[("REMOTE_ADDR", Some("127.0.0.7"))]);
        let vars = Vars::of(&response);
        let chain = vars.get("HTTP_X_FORWARDED_FOR").unwrap();
        assert!(chain.ends_with("127.0.0.7, 127.0.0.8"), "{chain}");
    }
}

#[tokio::test]
async fn r2_6_a_kind_that_nginx_lets_pass_is_refused() {
    let server = server(&["127.0.0.9"]).await;
    let nginx = Nginx::http(&format!(
        "server {{
            listen PORT;
            location / {{
                proxy_pass http://{};
                proxy_bind 127.0.0.9;
                proxy_set_header X-Forwarded-For $remote_addr;
            }}
        }}",
        server.address
    ))
    .await;
    for (lines, status) in [
        ("Accept: */*", 200),
        ("Forwarded: for=1.1.1.1", 400),
        // A client knows its own address, too.
        ("Forwarded: for=127.0.0.1;proto=https", 400),
        ("Forwarded: for=127.0.0.1", 200),
    ] {
        let mut client = client(1, nginx.address).await;
        client.send(get(lines)).await;
        client.response("GET").await.expect(status);
    }
}

#[tokio::test]
async fn r2_6_nginx_says_who_its_client_is_by_the_proxy_protocol() {
    let server = app(&["127.0.0.9"])
        .http(|http| http.proxy_protocol = true)
        .serve()
        .await;
    let [_, stream] = documented();
    let pass = format!("proxy_pass {}; proxy_bind 127.0.0.9;", server.address);
    let nginx = Nginx::start(&instead(
        &stream,
        &[
            ("listen 443;", "listen PORT;"),
            ("proxy_pass 127.0.0.1:8080;", &pass),
        ],
    ))
    .await;
    let port = nginx.address.port().to_string();
    for last in [1, 2] {
        let address = format!("127.0.0.{last}");
        let mut client = client(last, nginx.address).await;
        let own = client.stream.local_addr().unwrap().port().to_string();
        for lines in ["Accept: */*", SPOOFED] {
            client.send(get(lines)).await;
            let response = client.response("GET").await;
            says(
                &response,
                &[
                    ("REMOTE_ADDR", Some(&address)),
                    ("REMOTE_PORT", Some(&own)),
                    ("wsgi.url_scheme", Some("http")),
                    // Where the client has connected to.
                    ("SERVER_PORT", Some(&port)),
                    ("HTTP_HOST", Some("Shop.example:8000")),
                ],
            );
            let line = server.access_log_of(response.id()).await;
            assert!(line.starts_with(&format!("{address} - - [")), "{line}");
        }
    }
}
