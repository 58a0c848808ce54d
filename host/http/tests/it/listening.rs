//! Accepting: unix sockets, too many connections, too few descriptors.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use wasm_gw_http::{Address, HttpConfig, Server};

use crate::support::{Client, Ended, PATIENCE, TestServer, ms, timed};

fn socket_path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("wasm-gw-http-{}-{count}.sock", std::process::id());
    std::env::temp_dir().join(name)
}

fn connect(path: &PathBuf) -> Client<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream)
}

#[test]
fn a_unix_socket_serves_and_is_removed() {
    let path = socket_path();
    let server = TestServer::at(&[Address::Unix(path.clone())], HttpConfig::default());
    assert_eq!(server.addresses, [Address::Unix(path.clone())]);
    let mut client = connect(&path);
    let answer = client.get("/facts");
    let expected = "ConnInfo { scheme: Http, local: Unix, remote: Unix, public: None }\n";
    assert!(answer.text().starts_with(expected), "{answer:?}");
    client.send("POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nunread");
    server.events.wait("called /hang");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    server.events.wait("dropped /hang");
    assert!(server.log.lines(2)[0].starts_with("unix: - - ["));
    server.stop();
    assert!(!path.exists());
}

#[test]
fn refusals_and_aborts_reach_a_client_of_a_unix_socket() {
    let path = socket_path();
    let server = TestServer::at(&[Address::Unix(path.clone())], HttpConfig::default());
    let mut client = connect(&path);
    client.send("bad\r\n\r\nmore that is unread");
    client.answer().assert_page(400);
    client.assert_closed();
    let mut client = connect(&path);
    client.send("GET /fail HTTP/1.1\r\nHost: x\r\n\r\n");
    client.head();
    let (rest, ended) = client.rest();
    assert!(rest.ends_with(b"second block\r\n"));
    assert_eq!(ended, Ended::Closed);
    drop(server);
}

#[test]
fn a_stale_socket_is_taken_over_and_no_other() {
    let path = socket_path();
    // Dropping a std listener leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    let server = TestServer::at(&[Address::Unix(path.clone())], HttpConfig::default());
    assert_eq!(connect(&path).get("/hello").text(), "hello");

    let error = Server::bind(&[Address::Unix(path.clone())], HttpConfig::default());
    let error = error.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(
        error.to_string().contains("another process listens"),
        "{error}"
    );
    assert_eq!(connect(&path).get("/hello").text(), "hello");

    // A successor's file stays.
    std::fs::remove_file(&path).unwrap();
    let successor = UnixListener::bind(&path).unwrap();
    server.stop();
    assert!(path.exists());
    drop(successor);
    std::fs::remove_file(&path).unwrap();

    std::fs::write(&path, "precious").unwrap();
    let error = Server::bind(&[Address::Unix(path.clone())], HttpConfig::default());
    assert!(error.unwrap_err().to_string().contains("no socket"));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_address_in_use_is_named() {
    let server = TestServer::start();
    let error = Server::bind(&server.addresses, HttpConfig::default()).unwrap_err();
    assert!(
        error.to_string().contains(&server.tcp().to_string()),
        "{error}"
    );
    assert!(Server::bind(&[], HttpConfig::default()).is_err());
}

#[test]
fn several_addresses_are_served_at_once() {
    let path = socket_path();
    let addresses = [
        "127.0.0.1:0".parse().unwrap(),
        Address::Unix(path.clone()),
        "localhost:0".parse().unwrap(),
    ];
    let server = TestServer::at(&addresses, HttpConfig::default());
    assert_eq!(server.connect().get("/hello").text(), "hello");
    assert_eq!(connect(&path).get("/hello").text(), "hello");
    let Address::Tcp(third) = server.addresses[2] else {
        panic!("{:?}", server.addresses);
    };
    let mut client = Client::new(std::net::TcpStream::connect(third).unwrap());
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn connections_over_the_limit_wait() {
    let server = TestServer::with(HttpConfig {
        max_connections: Some(1),
        max_connections_per_address: Some(2),
        ..HttpConfig::default()
    });
    let mut first = server.connect();
    first.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n");
    server.events.wait("called /echo");
    let mut second = server.connect();
    second.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    second.stream.set_read_timeout(Some(ms(100))).unwrap();
    assert!(second.stream.peek(&mut [0]).is_err());
    first.send("body");
    assert_eq!(first.answer().text(), "body");
    drop(first);
    second.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(second.answer().status, 200);
}

#[test]
fn connections_that_rest_make_room_for_others() {
    let server = TestServer::with(HttpConfig {
        max_connections: Some(3),
        max_connections_per_address: Some(100),
        ..HttpConfig::default()
    });
    let mut working = server.connect();
    working.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n");
    server.events.wait("called /echo");
    let mut oldest = server.connect();
    oldest.get("/hello");
    let mut latest = server.connect();
    latest.get("/hello");
    let mut next = server.connect();
    assert_eq!(next.get("/hello").text(), "hello");
    oldest.assert_closed();
    assert_eq!(latest.get("/hello").text(), "hello");
    // One that works is left alone, however long it has.
    for _ in 0..5 {
        assert_eq!(server.connect().get("/hello").text(), "hello");
    }
    working.send("body");
    assert_eq!(working.answer().text(), "body");
}

#[test]
fn connections_that_never_said_anything_make_room_as_well() {
    let server = TestServer::with(HttpConfig {
        max_connections: Some(2),
        max_connections_per_address: Some(100),
        ..HttpConfig::default()
    });
    let mut silent = [server.connect(), server.connect()];
    let (answer, took) = timed(|| server.connect().get("/hello"));
    assert_eq!(answer.text(), "hello");
    // Long before the time that a head may take.
    assert!(took < ms(5000), "{took:?}");
    let [first, _second] = &mut silent;
    first.assert_closed();
}

#[test]
fn one_address_has_a_share_of_all_connections() {
    let path = socket_path();
    let addresses = ["127.0.0.1:0".parse().unwrap(), Address::Unix(path.clone())];
    let config = HttpConfig {
        max_connections: Some(8),
        ..HttpConfig::default()
    };
    let server = TestServer::at(&addresses, config);
    let mut two = [server.connect(), server.connect()];
    for client in &mut two {
        client.get("/hello");
    }
    server.connect().assert_closed();
    assert_eq!(connect(&path).get("/hello").text(), "hello");
    let mut other = Client::new(from([127, 0, 0, 2], server.tcp()));
    assert_eq!(other.get("/hello").text(), "hello");
    let [first, second] = two;
    drop(first);
    // Whether it is over with it is known to the server a moment later.
    let mut third = loop {
        let mut third = server.connect();
        third.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        if third.stream.peek(&mut [0]).is_ok_and(|count| count > 0) {
            break third;
        }
    };
    assert_eq!(third.answer().text(), "hello");
    drop(second);
}

/// A connection from this address of the loopback.
fn from(address: [u8; 4], to: std::net::SocketAddr) -> std::net::TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&std::net::SocketAddr::from((address, 0)).into())
        .unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Runs in a process of its own, with few descriptors: see below.
const SCARCE: &str = "WASM_GW_HTTP_TEST_SCARCE";

#[test]
fn running_out_of_descriptors_is_survived() {
    if std::env::var_os(SCARCE).is_none() {
        let status = Command::new("sh")
            .args([
                "-c",
                "ulimit -n 40 && exec \"$0\" --exact \"$1\" --nocapture",
            ])
            .arg(std::env::current_exe().unwrap())
            .arg("listening::running_out_of_descriptors_is_survived")
            .env(SCARCE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let server = TestServer::with(HttpConfig {
        max_connections: Some(1000),
        ..HttpConfig::default()
    });
    let mut first = server.connect();
    assert_eq!(first.get("/hello").status, 200);
    // Both ends are in this process. With one descriptor left, a client can connect and not be
    // accepted.
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    taken.pop();
    let mut second = server.connect();
    second.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    second.stream.set_read_timeout(Some(ms(50))).unwrap();
    assert!(second.stream.peek(&mut [0]).is_err());
    assert_eq!(first.get("/hello").status, 200);
    taken.clear();
    second.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(second.answer().text(), "hello");
}
