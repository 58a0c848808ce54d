//! The socket under hyper: what hyper reads and writes, and how a connection is closed.
//!
//! hyper alone cannot tell a slow head from a resting connection, does not see a client leave
//! while a body is unread, answers a head it cannot parse without a body or a log, and loses
//! answers when it closes. [`Stream`] shows the connection's state what passes, and [`Socket`]
//! has the ends a connection can come to. The times are kept in `connection.rs`.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use hyper::rt::ReadBufCursor;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout_at};

use crate::exchange::Connection;
use crate::sys;
use crate::times::from_now;

/// An accepted connection.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Does the same to either kind of socket.
macro_rules! either {
    ($socket:expr, $stream:ident => $does:expr) => {
        match $socket {
            Socket::Tcp($stream) => $does,
            Socket::Unix($stream) => $does,
        }
    };
}

/// The most one read takes.
const READ_SIZE: usize = 64 * 1024;

/// Lends a buffer that all connections of a thread share: what is read is copied to where it
/// belongs, which costs less than to clear that place first for every small head.
fn with_read_buffer<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into());
    }
    BUFFER.with_borrow_mut(|buffer| read(buffer))
}

impl Socket {
    /// Whether [`Socket::left`] works here.
    pub(crate) const SEES_LEAVING: bool = cfg!(any(target_os = "linux", target_os = "android"));

    /// Reads like `AsyncRead`, through a shared reference.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(self, stream => stream.poll_read_ready(cx)))?;
            let mut taken = None;
            // A read that does not fill the buffer has emptied the socket. Reporting it as
            // `WouldBlock` makes tokio wait for the next event, where it would otherwise take
            // another system call to learn that nothing is there.
            let result = either!(self, stream => stream.try_io(Interest::READABLE, || {
                let count = stream.try_read(buffer)?;
                taken = Some(count);
                if 0 < count && count < buffer.len() {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            }));
            match (taken, result) {
                (Some(count), _) => return Poll::Ready(Ok(count)),
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, Err(error)) => return Poll::Ready(Err(error)),
                (None, Ok(())) => {}
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(self, stream => stream.poll_write_ready(cx)))?;
            match either!(self, stream => stream.try_write(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Waits until the client has closed its side or reset the connection, whether or not
    /// anything is left to read before that. Elsewhere than on Linux it waits for ever, and a
    /// client's leaving is noticed as far as hyper does.
    pub(crate) async fn left(&self) {
        // Interest in priority data matches a closed read side as well, and nothing else that
        // happens here: readability does not count, unlike with `Interest::READABLE`.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = either!(self, stream => stream.ready(Interest::PRIORITY).await);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        std::future::pending::<()>().await;
    }

    /// Reads what is there into the buffer, once something is. Safe to cancel.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    /// Waits until there is something to read, be it the end.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        either!(self, stream => stream.readable().await)
    }

    /// Writes everything; an error if the client takes nothing for `limit`.
    pub(crate) async fn write_all(&self, mut bytes: &[u8], limit: Duration) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = std::future::poll_fn(|cx| self.poll_write(cx, bytes));
            match tokio::time::timeout(limit, write).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(count)) => bytes = &bytes[count..],
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        Ok(())
    }

    /// Closes so that what was sent arrives: ends our side, then reads and discards until the
    /// client ends its own, bounded in time and size. A socket closed with bytes unread, or
    /// still coming, resets the connection, and the reset destroys what the client has not read.
    pub(crate) async fn close_lingering(&self, time: Duration, mut bytes: u64) {
        if self.shutdown().is_err() {
            return;
        }
        let end = from_now(time);
        let discard = std::future::poll_fn(|cx| {
            with_read_buffer(|buffer| {
                loop {
                    match ready!(self.poll_read(cx, buffer)) {
                        Ok(count) if count > 0 => match bytes.checked_sub(count as u64) {
                            Some(left) => bytes = left,
                            None => return Poll::Ready(()),
                        },
                        Ok(_) | Err(_) => return Poll::Ready(()),
                    }
                }
            })
        });
        let _ = timeout_at(end, discard).await;
    }

    /// Resets the connection after the peer's kernel has what was sent, bounded in time: the
    /// blocks before a failure arrive, and the end after them is no end.
    pub(crate) async fn reset_after_delivery(&self, time: Duration) {
        let end = from_now(time);
        let mut pause = Duration::from_micros(200);
        while self.unacknowledged().is_some_and(|bytes| bytes > 0) && Instant::now() < end {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        self.reset_on_close();
    }

    /// Makes closing the socket reset the connection and drop what is unsent. A unix socket
    /// knows no reset; there a close is an end like any other.
    pub(crate) fn reset_on_close(&self) {
        if let Socket::Tcp(stream) = self {
            // It fails only where the connection is gone already.
            let _ = stream.set_zero_linger();
        }
    }

    /// What was written and has not reached the peer's kernel, in bytes.
    pub(crate) fn unacknowledged(&self) -> Option<usize> {
        sys::unacknowledged(self.as_fd())
    }

    fn shutdown(&self) -> io::Result<()> {
        socket2::SockRef::from(self).shutdown(std::net::Shutdown::Write)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, stream => stream.as_fd())
    }
}

/// What hyper takes for the socket.
pub(crate) struct Stream {
    socket: Arc<Socket>,
    connection: Arc<Connection>,
    /// What was read before hyper had the connection, and comes first.
    ahead: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(socket: Arc<Socket>, connection: Arc<Connection>, ahead: Vec<u8>) -> Self {
        Stream {
            socket,
            connection,
            ahead,
        }
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() && cursor.remaining() > 0 {
            let count = self.ahead.len().min(cursor.remaining());
            self.connection.received(&self.ahead[..count]);
            cursor.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            return Poll::Ready(Ok(()));
        }
        with_read_buffer(|buffer| {
            let room = cursor.remaining().min(buffer.len());
            if room == 0 {
                return Poll::Ready(Ok(()));
            }
            let count = ready!(self.socket.poll_read(cx, &mut buffer[..room]))?;
            if !self.connection.received(&buffer[..count]) && Socket::SEES_LEAVING {
                return Poll::Pending;
            }
            cursor.put_slice(&buffer[..count]);
            Poll::Ready(Ok(()))
        })
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.connection.is_refusal(|| status_of(bytes)) {
            // Swallowed: the driver answers in its place.
            return Poll::Ready(Ok(bytes.len()));
        }
        if self.connection.defers_write() {
            // Comes back when all others that are ready have had their turn.
            let others = pin!(tokio::task::yield_now());
            let _ = others.poll(cx);
            return Poll::Pending;
        }
        let result = self.socket.poll_write(cx, bytes);
        match &result {
            Poll::Pending => self
                .connection
                .write_blocked(|| self.socket.unacknowledged()),
            Poll::Ready(_) => self.connection.write_progressed(),
        }
        result
    }

    /// hyper calls this when it has nothing left to write, and only then.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.flushed() {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// The driver closes, in the way the connection ended.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The status in an answer that begins with `HTTP/1.1 400 `; hyper refuses with nothing but 400,
/// 414 and 431.
fn status_of(answer: &[u8]) -> StatusCode {
    answer
        .get(9..12)
        .and_then(|digits| StatusCode::from_bytes(digits).ok())
        .unwrap_or(StatusCode::BAD_REQUEST)
}
