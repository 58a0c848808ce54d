//! Many clients that mean no good, against a server with every default: one that does is answered beside them.
//! How fast is measured elsewhere.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use wasm_gw_tests::command::Process;
use wasm_gw_tests::{Client, eventually, whole_machine};

/// A connection from this address of the loopback.
async fn from(address: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((address, 0).into())?;
    socket.connect(to).await
}

/// A request that does not come to its end, from each of these addresses. Some are closed at once.
async fn half_requests(
    process: &Process,
    addresses: impl Iterator<Item = Ipv4Addr>,
) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for address in addresses {
        let mut client = from(address, process.address()).await.unwrap();
        // One that is closed already may fail here.
        let _ = client.write_all(b"GET / HTTP/1.1\r\nHo").await;
        clients.push(client);
    }
    clients
}

/// A whole request from an address that has none yet.
async fn is_answered(process: &Process) {
    let stream = from(Ipv4Addr::new(127, 200, 0, 1), process.address()).await;
    let mut client = Client::over(stream.unwrap());
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(
        client.response("GET").await.expect(200).text(),
        "hello, world\n"
    );
}

/// This process opens many, too.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[tokio::test]
async fn half_requests_of_one_address_keep_no_other_out() {
    let _alone = whole_machine().await;
    raise_open_files();
    let process = Process::of(&["hello.wasm", "--max-connections=8000"]).await;
    let local = std::iter::repeat_n(Ipv4Addr::LOCALHOST, 5000);
    let clients = half_requests(&process, local).await;
    is_answered(&process).await;
    // A quarter of them was let in.
    process
        .says("127.0.0.1 and perhaps others have 2000 already")
        .await;
    assert!(process.descriptors() < 2100, "{}", process.descriptors());
    drop(clients);
    eventually("the end of all connections", || {
        (process.descriptors() < 100).then_some(())
    })
    .await;
    assert_eq!(process.get("/").await.text(), "hello, world\n");
}

#[tokio::test]
async fn half_requests_of_many_addresses_keep_no_other_out() {
    let _alone = whole_machine().await;
    raise_open_files();
    let process = Process::of(&["hello.wasm"]).await;
    let many = (0..2000_u16).map(|number| {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(127, 100, high, low)
    });
    let _clients = half_requests(&process, many).await;
    is_answered(&process).await;
}

#[tokio::test]
async fn connections_that_are_opened_and_reset_leave_nothing_behind() {
    let _alone = whole_machine().await;
    let process = Process::of(&["hello.wasm"]).await;
    is_answered(&process).await;
    let before = process.descriptors();
    for number in 0..10_000 {
        let client = Client::connect(process.address()).await;
        if number % 2 == 0 {
            client.reset();
        }
    }
    is_answered(&process).await;
    eventually("the end of all connections", || {
        (process.descriptors() <= before).then_some(())
    })
    .await;
}

/// Clients that rest, as those of a browser or of a pool do, make room.
#[tokio::test]
async fn clients_that_rest_do_not_keep_others_out() {
    let process = Process::of(&[
        "hello.wasm",
        "--max-connections=50",
        "--max-connections-per-address=1000",
    ])
    .await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut client = process.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        client.response("GET").await.expect(200);
        clients.push(client);
    }
    assert!(clients[0].is_closed().await);
}
