//! The HTTP server of wasm-gw: sockets in, requests out.
//!
//! HTTP/1.0 and 1.1 over TCP and unix sockets, for any [`tower_service::Service`]; what the
//! service is, it does not know. hyper speaks the protocol. This crate adds what a server needs
//! around it: times, limits, refusals with a page and a log line, ends of connections that lose
//! nothing, and notice of clients that have left.
//!
//! Proxies that are trusted ([`HttpConfig::trusted_proxies`]) may say who their client is, in fields
//! or by the PROXY protocol; nobody else.
//!
//! A service gets a [`RequestBody`], and [`ConnInfo`](wasm_gw_protocol::ConnInfo),
//! [`RequestId`](wasm_gw_protocol::RequestId) and [`CpuTime`](wasm_gw_protocol::CpuTime) among the
//! extensions; what it adds to the last one is in the access log. When the client goes away,
//! the service's future, or the body of its response, is dropped: that is how it learns of it.
//! A body that yields an error aborts the transfer so that the client can tell.
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::pin::Pin;
//! use std::task::{Context, Poll};
//!
//! use http::{Request, Response};
//! use wasm_gw_http::{Address, HttpConfig, RequestBody, Server};
//!
//! #[derive(Clone)]
//! struct Hello;
//!
//! impl tower_service::Service<Request<RequestBody>> for Hello {
//!     type Response = Response<String>;
//!     type Error = Infallible;
//!     type Future = std::future::Ready<Result<Response<String>, Infallible>>;
//!
//!     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
//!         Poll::Ready(Ok(()))
//!     }
//!
//!     fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
//!         std::future::ready(Ok(Response::new(format!("hello, {}\n", request.uri()))))
//!     }
//! }
//!
//! # async fn run(ctrl_c: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
//! let address: Address = "127.0.0.1:8080".parse()?;
//! let server = Server::bind(&[address], HttpConfig::default())?;
//! let drained = server.serve(Hello, ctrl_c).await?;
//! assert_eq!(drained.cut, 0);
//! # Ok(())
//! # }
//! ```

// In the order a connection meets them; a blank line keeps rustfmt from sorting.
mod listener;

mod crowd;

mod stream;

mod origin;

mod proxy_protocol;

mod connection;

mod exchange;

mod busy;

mod request_line;

mod service;

mod limits;

mod body;

mod response;

mod refusal;

mod date;

mod access_log;

mod shutdown;

mod address;
mod config;
mod sys;
mod times;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;
use wasm_gw_protocol::weak;

pub use crate::access_log::{AccessLog, AccessLogFormat};
pub use crate::address::{Address, AddressError};
pub use crate::body::RequestBody;
pub use crate::config::HttpConfig;
pub use crate::listener::Listening;
pub use crate::shutdown::{Drained, Ending};

use crate::busy::Busy;
use crate::crowd::{Counted, Crowd, Place};
use crate::exchange::Connection;
use crate::listener::{Accepted, Bound, Listeners};
use crate::origin::Origin;
use crate::shutdown::{Drain, Stage};

/// Any error of a response body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A server that is bound to its addresses and accepts nothing yet.
#[derive(Debug)]
pub struct Server {
    bound: Vec<Bound>,
    addresses: Vec<Address>,
    config: HttpConfig,
}

impl Server {
    /// Binds all addresses. Clients can connect from now on and wait for [`Server::serve`].
    /// Needs no runtime and starts nothing.
    ///
    /// A unix socket whose file is left from a former server is taken over.
    ///
    /// # Errors
    ///
    /// An address is in use, not this machine's or not allowed; the text says which. A file that
    /// is in the way of a unix socket and is none. No address at all. The PROXY protocol without a
    /// trusted proxy, since then every connection would be refused.
    pub fn bind(addresses: &[Address], config: HttpConfig) -> io::Result<Server> {
        if addresses.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no address to listen on",
            ));
        }
        let bound = addresses
            .iter()
            .map(Bound::new)
            .collect::<io::Result<Vec<_>>>()?;
        Self::of(bound, config)
    }

    /// On sockets that listen already, which another process has made.
    ///
    /// # Errors
    ///
    /// One is no socket that listens, or of another kind than TCP and unix sockets with a file. None at all.
    pub fn on(sockets: Vec<Listening>, config: HttpConfig) -> io::Result<Server> {
        if sockets.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no socket to listen on",
            ));
        }
        let bound = sockets.into_iter().map(Bound::of);
        Self::of(bound.collect::<io::Result<_>>()?, config)
    }

    fn of(bound: Vec<Bound>, config: HttpConfig) -> io::Result<Server> {
        if config.proxy_protocol && config.trusted_proxies.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the PROXY protocol needs a trusted proxy: nobody else's header is believed",
            ));
        }
        let addresses = bound
            .iter()
            .map(Bound::address)
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Server {
            bound,
            addresses,
            config: config.weakened(),
        })
    }

    /// Where the server listens, in the order given, with the ports the system chose.
    #[must_use]
    pub fn local_addrs(&self) -> &[Address] {
        &self.addresses
    }

    /// Further handles to its sockets, for a process that is to take this one's place. The sockets listen until
    /// the last handle is closed.
    ///
    /// # Errors
    ///
    /// The process has no descriptors left.
    pub fn sockets(&self) -> io::Result<Vec<Listening>> {
        self.bound.iter().map(Bound::listening).collect()
    }

    /// Serves until `shutdown` completes, then drains: closes the listening sockets and the
    /// resting connections, lets exchanges in progress finish, and cuts those that outlast
    /// `graceful_timeout`. Returns when everything it started has ended. With [`Ending::HandOver`] it does the
    /// same in favour of another process.
    ///
    /// Every connection is a task of the current tokio runtime, which needs its time and I/O
    /// drivers; requests of one connection are served one after the other. Dropping the future
    /// cuts all connections.
    ///
    /// # Errors
    ///
    /// Only before the first connection: the sockets cannot be registered, or the access log's
    /// thread cannot be started.
    pub async fn serve<S, B, E>(
        self,
        service: S,
        shutdown: impl Future<Output = E>,
    ) -> io::Result<Drained>
    where
        E: Into<Ending>,
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Server {
            bound, mut config, ..
        } = self;
        let mut listeners = Listeners::new(bound)?;
        let writer = config.access_log.take().map(AccessLog::start).transpose()?;
        let log = writer.as_ref().map(|writer| writer.log.clone());
        // Nothing fails from now on: what was handed over is this server's.
        listeners.own_files();
        let crowd = Crowd::new(&config);
        let protocol = Arc::new(connection::protocol(&config));
        let config = Arc::new(config);
        let drain = Drain::new();
        let busy = Busy::default();
        let start = |accepted: Accepted, mut counted: Counted, place: Option<Place>, is_last| {
            let (socket, info) = accepted;
            let (config, log, busy) = (Arc::clone(&config), log.clone(), busy.clone());
            let (protocol, service) = (Arc::clone(&protocol), service.clone());
            let mut stages = drain.watch();
            tokio::spawn(async move {
                let (origin, ahead) = if config.proxy_protocol {
                    // Boxed, since it is larger than all that comes after it.
                    let header = proxy_protocol::receive(&socket, info, &config, &mut stages);
                    match Box::pin(header).await {
                        Some(received) => received,
                        None => return,
                    }
                } else {
                    (Origin::plain(info, &config), Vec::new())
                };
                let connection = Connection::new(config, origin, log, busy);
                counted.is(&connection);
                // It may have been told while its first bytes were awaited.
                if is_last || stages.seen() >= Stage::Draining {
                    connection.drain();
                } else if stages.seen() == Stage::HandingOver {
                    connection.close_after_answer();
                }
                connection::serve(socket, connection, ahead, protocol, service, stages).await;
                drop((counted, place));
            });
        };
        let mut shutdown = pin!(shutdown);
        // One that was accepted and has no place yet. The others stay in the kernel's queue, where a
        // client can still give up or go elsewhere.
        let mut next = None;
        let ending = loop {
            let accept = async {
                while next.is_none() {
                    let accepted = listeners.accept().await;
                    // One too many is closed here.
                    next = crowd
                        .admit(&accepted.1.remote)
                        .map(|counted| (accepted, counted));
                }
                crowd.place().await
            };
            let place = tokio::select! {
                biased;
                ending = &mut shutdown => break ending.into(),
                place = accept => place,
            };
            if let Some((accepted, counted)) = next.take() {
                start(accepted, counted, Some(place), false);
            }
        };
        if weak("drain") {
            return Ok(Drained { cut: 0 });
        }
        if let Some((accepted, counted)) = next {
            let is_last = ending == Ending::Stop;
            start(accepted, counted, crowd.place_at_once(), is_last);
        }
        // Closing the sockets comes first: new clients are refused, or another's, while old ones are served.
        match ending {
            Ending::HandOver => listeners.hand_over(),
            Ending::Stop => {
                // Who is in the queue has been accepted, as far as a client can tell.
                for accepted in listeners.queued() {
                    if let Some(counted) = crowd.admit(&accepted.1.remote) {
                        start(accepted, counted, crowd.place_at_once(), true);
                    }
                }
                drop(listeners);
            }
        }
        let drained = drain.run(ending, config.graceful_timeout).await;
        drop(log);
        if let Some(writer) = writer {
            writer.finish(LOG_PATIENCE).await;
        }
        Ok(drained)
    }
}

/// How long the last lines of the access log may take.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
