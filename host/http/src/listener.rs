//! Sockets that listen, and the connections they accept.
//!
//! An error of `accept` never ends the server: what concerns one connection is passed over, and
//! where the process has run out of something the loop waits before it tries again. Not here:
//! how many connections there may be (`crowd.rs`).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use wasm_gw_protocol::{ConnInfo, weak};

use crate::address::Address;
use crate::stream::Socket;

/// Connections the kernel completes before they are accepted.
const BACKLOG: i32 = 1024;

/// How often the log says that nothing can be accepted.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// A socket that is bound and listens, before anything is accepted. Needs no runtime.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(std::net::TcpListener),
    Unix(StdUnixListener, SocketFile),
}

/// A socket that listens, on its way from one process to another.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub socket: OwnedFd,
    /// It is a unix socket whose file the server is to remove at its end. One that a service manager has made is
    /// the manager's.
    pub removes_file: bool,
}

impl Bound {
    pub(crate) fn new(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => bind_tcp(*address).map(Bound::Tcp),
            Address::Unix(path) => {
                bind_unix(path).map(|(listener, file)| Bound::Unix(listener, file))
            }
        }
        .map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })
    }

    /// One that somebody else has made.
    pub(crate) fn of(listening: Listening) -> io::Result<Self> {
        let Listening {
            socket,
            removes_file,
        } = listening;
        let socket = socket2::Socket::from(socket);
        let wrong = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        if !listens(&socket) || socket.r#type()? != Type::STREAM {
            return Err(wrong("it is no socket that listens for streams"));
        }
        socket.set_cloexec(true)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        if address.as_socket().is_some() {
            return Ok(Bound::Tcp(socket.into()));
        }
        let path = address.as_pathname();
        let path =
            path.ok_or_else(|| wrong("it is neither of TCP nor a unix socket with a file"))?;
        let file = SocketFile::handed_over(path, removes_file)?;
        Ok(Bound::Unix(socket.into(), file))
    }

    /// Another handle to it.
    pub(crate) fn listening(&self) -> io::Result<Listening> {
        Ok(match self {
            Bound::Tcp(listener) => Listening {
                socket: listener.try_clone()?.into(),
                removes_file: false,
            },
            Bound::Unix(listener, file) => Listening {
                socket: listener.try_clone()?.into(),
                removes_file: file.is_ours(),
            },
        })
    }

    /// Where it listens, with the port the system chose.
    pub(crate) fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Bound::Tcp(listener) => Address::Tcp(listener.local_addr()?),
            Bound::Unix(_, file) => Address::Unix(file.path.clone()),
        })
    }
}

/// What is no socket at all has an error to say so.
#[cfg(not(target_vendor = "apple"))]
fn listens(socket: &socket2::Socket) -> bool {
    socket.is_listener().unwrap_or(false)
}

/// Nobody can be asked; `accept` will say it.
#[cfg(target_vendor = "apple")]
fn listens(socket: &socket2::Socket) -> bool {
    socket.local_addr().is_ok()
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restarted server must not wait for the connections of its predecessor to expire.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path) -> io::Result<(StdUnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::new(path)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), file))
}

/// Removes a socket file that a former server has left. One that somebody listens on is in use,
/// and what is no socket is not ours to remove.
fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the file exists and is no socket",
        ));
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full queue is somebody's queue, so WouldBlock is in use as well.
        Ok(_) | Err(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens on this socket",
        )),
    }
}

/// The file of a unix socket, removed at the end if it is ours, unless another server's has taken its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Which file it is, if it is ours.
    identity: Option<(u64, u64)>,
    /// As long as a server may not come to serve, what was handed over to it is still another's.
    is_removed: bool,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(SocketFile {
            path: path.to_owned(),
            identity: Some(identity(path)?),
            is_removed: true,
        })
    }

    /// One that somebody else has made. A manager's may be where it cannot be seen from here.
    fn handed_over(path: &Path, is_ours: bool) -> io::Result<Self> {
        Ok(SocketFile {
            path: path.to_owned(),
            identity: is_ours.then(|| identity(path)).transpose()?,
            is_removed: false,
        })
    }

    fn is_ours(&self) -> bool {
        self.identity.is_some()
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_removed && identity(&self.path).is_ok_and(|found| self.identity == Some(found)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A connection, and what is known of it.
pub(crate) type Accepted = (Socket, ConnInfo);

/// All listening sockets of a server.
pub(crate) struct Listeners {
    listeners: Vec<Listener>,
    /// Which one is asked first: every one in turn.
    first: usize,
    /// When the log said last that nothing can be accepted.
    told: Option<Instant>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Listeners {
    /// Registers the sockets with the current runtime.
    pub(crate) fn new(bound: Vec<Bound>) -> io::Result<Self> {
        let listeners = bound
            .into_iter()
            .map(|bound| match bound {
                Bound::Tcp(listener) => TcpListener::from_std(listener).map(Listener::Tcp),
                Bound::Unix(listener, file) => {
                    UnixListener::from_std(listener).map(|listener| Listener::Unix(listener, file))
                }
            })
            .collect::<io::Result<_>>()?;
        Ok(Listeners {
            listeners,
            first: 0,
            told: None,
        })
    }

    /// The server serves: files that were handed over to it go with it.
    pub(crate) fn own_files(&mut self) {
        self.remove_files(true);
    }

    /// Another process listens on them now: their files stay.
    pub(crate) fn hand_over(mut self) {
        self.remove_files(false);
    }

    fn remove_files(&mut self, is_removed: bool) {
        for listener in &mut self.listeners {
            if let Listener::Unix(_, file) = listener {
                file.is_removed = is_removed && file.is_ours();
            }
        }
    }

    /// The next connection. Safe to cancel. Errors are dealt with here.
    pub(crate) async fn accept(&mut self) -> Accepted {
        let mut backoff = Backoff::default();
        loop {
            match std::future::poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(accepted) => return accepted,
                Err(error) if concerns_one_connection(&error) => {
                    tracing::debug!(%error, "a connection was gone before it was accepted");
                }
                Err(error) => {
                    self.tell(&error);
                    let pause = backoff.next();
                    if !weak("accept-pause") {
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        }
    }

    /// What lasts is said once in a while, and not at each attempt.
    fn tell(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self.told.is_none_or(|told| now - told >= TELL_AGAIN) {
            self.told = Some(now);
            tracing::error!(%error, "cannot accept connections; trying again until it works");
        }
    }

    /// The connections that wait in the kernel's queues now: no more than these hold, since others may come as
    /// fast as they are taken.
    pub(crate) fn queued(&self) -> impl Iterator<Item = Accepted> {
        // The kernel takes one more than it was told.
        let most = BACKLOG as usize + 1;
        (self.listeners.iter())
            .flat_map(move |listener| std::iter::from_fn(|| listener.accept_at_once()).take(most))
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let count = self.listeners.len();
        for offset in 0..count {
            let index = (self.first + offset) % count;
            if let Poll::Ready(result) = self.listeners[index].poll_accept(cx) {
                self.first = index + 1;
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    }
}

impl Listener {
    /// A connection that waits in the kernel's queue, if there is one. The kernel is asked: tokio knows what its
    /// driver has seen, and answers a task so many times only.
    fn accept_at_once(&self) -> Option<Accepted> {
        loop {
            let accepted = match self {
                Listener::Tcp(listener) => accept(listener)
                    .and_then(|socket| TcpStream::from_std(socket.into()))
                    .and_then(|stream| {
                        let remote = stream.peer_addr()?;
                        of_tcp(stream, remote)
                    }),
                Listener::Unix(listener, _) => accept(listener)
                    .and_then(|socket| UnixStream::from_std(socket.into()))
                    .map(|stream| (Socket::Unix(stream), ConnInfo::unix())),
            };
            match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept the last connections");
                    return None;
                }
            }
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Listener::Tcp(listener) => listener.poll_accept(cx).map(|accepted| {
                let (stream, remote) = accepted?;
                of_tcp(stream, remote)
            }),
            Listener::Unix(listener, _) => listener.poll_accept(cx).map(|accepted| {
                let (stream, _) = accepted?;
                Ok((Socket::Unix(stream), ConnInfo::unix()))
            }),
        }
    }
}

fn accept(listener: &impl AsFd) -> io::Result<socket2::Socket> {
    let (socket, _) = socket2::SockRef::from(listener).accept()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn of_tcp(stream: TcpStream, remote: SocketAddr) -> io::Result<Accepted> {
    // An answer in two writes must not wait for the client's delayed
    // acknowledgement of the first. It fails only for a connection that is gone,
    // which its first read tells.
    let _ = stream.set_nodelay(true);
    let info = ConnInfo::tcp(stream.local_addr()?, remote);
    Ok((Socket::Tcp(stream), info))
}

/// Whether the next connection may well be accepted at once.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::Interrupted
    )
}

/// Pauses that double, up to a second: whoever is out of descriptors stays so for a while, and
/// must not spin meanwhile.
#[derive(Debug, Default)]
struct Backoff {
    last: Duration,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let range = Duration::from_millis(10)..=Duration::from_secs(1);
        self.last = (self.last * 2).clamp(*range.start(), *range.end());
        self.last
    }
}
