//! A real server in a thread of its own.

use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use wasm_gw_http::{AccessLog, AccessLogFormat, Address, Drained, HttpConfig, Server};

use super::*;

/// A server in a thread of its own; stopped when dropped.
pub(crate) struct TestServer {
    pub(crate) addresses: Vec<Address>,
    pub(crate) log: Sink,
    pub(crate) events: Events,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Drained>>,
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::with(HttpConfig::default())
    }

    pub(crate) fn with(config: HttpConfig) -> Self {
        Self::at(&["127.0.0.1:0".parse().unwrap()], config)
    }

    pub(crate) fn logging(format: AccessLogFormat, config: HttpConfig) -> Self {
        Self::full(&["127.0.0.1:0".parse().unwrap()], config, format, 0)
    }

    /// A server with several threads.
    pub(crate) fn parallel() -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let config = HttpConfig::default();
        Self::full(&[address], config, AccessLogFormat::Combined, 2)
    }

    pub(crate) fn at(addresses: &[Address], config: HttpConfig) -> Self {
        Self::full(addresses, config, AccessLogFormat::Combined, 0)
    }

    fn full(
        addresses: &[Address],
        mut config: HttpConfig,
        format: AccessLogFormat,
        workers: usize,
    ) -> Self {
        let log = Sink::default();
        let events = Events::default();
        if config.access_log.is_none() {
            config.access_log = Some(AccessLog::new(format, log.clone()));
        }
        let server = Server::bind(addresses, config).unwrap();
        let addresses = server.local_addrs().to_vec();
        let (stop, stopped) = oneshot::channel();
        let service = TestService {
            events: events.clone(),
        };
        let thread = std::thread::spawn(move || {
            let mut builder = if workers == 0 {
                tokio::runtime::Builder::new_current_thread()
            } else {
                tokio::runtime::Builder::new_multi_thread()
            };
            builder
                .worker_threads(workers.max(1))
                .enable_all()
                .build()
                .unwrap()
                .block_on(server.serve(service, async move {
                    let _ = stopped.await;
                }))
                .unwrap()
        });
        TestServer {
            addresses,
            log,
            events,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        match &self.addresses[0] {
            Address::Tcp(address) => *address,
            Address::Unix(path) => panic!("{} is no TCP address", path.display()),
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.tcp()).unwrap())
    }

    /// A client that can hold little of what it does not read.
    pub(crate) fn connect_narrow(&self) -> Client {
        let (domain, kind) = (socket2::Domain::IPV4, socket2::Type::STREAM);
        let socket = socket2::Socket::new(domain, kind, None).unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.connect(&self.tcp().into()).unwrap();
        Client::new(TcpStream::from(socket))
    }

    /// Tells the server to drain, without waiting for it.
    pub(crate) fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub(crate) fn stop(mut self) -> Drained {
        self.begin_stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.begin_stop();
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}
