//! One connection from its first byte to its close: drives hyper, keeps the times, picks the end.
//!
//! hyper reads requests and writes answers. This file decides when that is over, and how the
//! socket is closed then: at once, lingering, by reset, or after an answer of our own. Not here:
//! what passes through the socket (`stream.rs`) and what it means (`exchange.rs`).

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::server::conn::http1;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;
use wasm_gw_protocol::weak;

use crate::BoxError;
use crate::body::RequestBody;
use crate::config::HttpConfig;
use crate::exchange::{Connection, Expiry, Glance};
use crate::refusal;
use crate::request_line::RefusedLine;
use crate::service::{Exchanges, new_request_id};
use crate::shutdown::{Stage, Stages};
use crate::stream::{Socket, Stream};
use crate::times::from_now;

/// hyper, set up for this server's limits.
pub(crate) fn protocol(config: &HttpConfig) -> http1::Builder {
    let limits = &config.head;
    // A head within the limits always fits, with the request line and what surrounds the fields;
    // for one that does not, it is hyper that refuses. Bounded whatever is configured.
    let around = 4096 + limits.fields.saturating_mul(4);
    let head = limits
        .header_section
        .saturating_add(limits.target)
        .saturating_add(around)
        .clamp(16 * 1024, 16 * 1024 * 1024);
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_buf_size(head)
        // One buffer for all there is to write; `response.rs` keeps it small. With a queue of
        // blocks, hyper 1.12 writes a refusal that overtakes the end of the former answer into the
        // middle of that answer.
        .writev(false);
    // hyper's own limit is 100, in an array on the stack; another one costs two allocations a
    // request. Either way what exceeds it gets our page.
    if limits.fields > 100 {
        builder.max_headers(limits.fields.min(10_000));
    }
    builder
}

/// What ended the work of hyper on a connection.
enum End {
    Finished(hyper::Result<()>),
    /// The client closed its side, or reset, before its answer was complete.
    Left,
    Expired(Expiry),
    Cut,
}

/// Serves one connection until it is closed. `ahead` was read of it already.
pub(crate) async fn serve<S, B>(
    socket: Socket,
    connection: Arc<Connection>,
    ahead: Vec<u8>,
    protocol: Arc<http1::Builder>,
    service: S,
    mut stages: Stages,
) where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<BoxError>,
{
    let socket = Arc::new(socket);
    // A service that panics unwinds through here.
    let _last = LastWord {
        socket: &socket,
        connection: &connection,
    };
    let stream = |ahead| Stream::new(Arc::clone(&socket), Arc::clone(&connection), ahead);
    let service = Exchanges::new(service, Arc::clone(&connection));

    let mut left = pin!(socket.left());
    let mut timer = pin!(sleep_until(from_now(connection.config.header_timeout)));
    let mut http = protocol.serve_connection(stream(ahead), service);
    loop {
        let end = std::future::poll_fn(|cx| {
            loop {
                // First of all, so that an answer that is ready is not lost to a client that
                // has sent its request and closed its side.
                if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
                    return Poll::Ready(End::Finished(result));
                }
                match stages.poll_next(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Stage::Cut) => return Poll::Ready(End::Cut),
                    Poll::Ready(Stage::HandingOver) => connection.close_after_answer(),
                    Poll::Ready(Stage::Serving | Stage::Draining) => {
                        if !connection.drain() {
                            Pin::new(&mut http).graceful_shutdown();
                        }
                    }
                }
            }
            if connection.is_write_deferred() {
                // An answer that is ready goes out before anything is made of the client's leaving.
                return Poll::Pending;
            }
            let glance = connection.glance(cx);
            let watches = glance.in_exchange && !weak("disconnect");
            if watches && left.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Left);
            }
            poll_expired(timer.as_mut(), cx, glance).map(End::Expired)
        })
        .await;

        match end {
            End::Expired(Expiry::Nap) => {
                // Gives hyper's buffers back, and looks into them: with pipelining, the
                // beginning of the next head may be there although nothing was read since.
                let parts = http.into_parts();
                if !is_blank(&parts.read_buf) {
                    return answer(
                        &socket,
                        &connection,
                        &mut stages,
                        REQUEST_TIMEOUT,
                        &parts.read_buf,
                    )
                    .await;
                }
                if !nap(&socket, &connection, &mut stages).await {
                    return;
                }
                http = protocol.serve_connection(stream(Vec::new()), parts.service);
            }
            End::Expired(Expiry::Head) => {
                let head = http.into_parts().read_buf;
                return answer(&socket, &connection, &mut stages, REQUEST_TIMEOUT, &head).await;
            }
            // Between requests nobody waits for an answer.
            End::Expired(Expiry::Rest) => return,
            End::Expired(Expiry::Write) if connection.is_taking(socket.unacknowledged()) => {}
            End::Expired(Expiry::Write) => {
                connection.break_off();
                // Else the kernel would keep what is unsent for as long again.
                socket.reset_on_close();
                return;
            }
            End::Left => {
                connection.break_off();
                return;
            }
            End::Cut => {
                if let Some(broken) = connection.break_off() {
                    stages.count_cut();
                    if broken.ends_by_close {
                        socket.reset_on_close();
                    }
                }
                return;
            }
            End::Finished(result) => {
                if let Some(status) = connection.take_refusal() {
                    let head = http.into_parts().read_buf;
                    return answer(&socket, &connection, &mut stages, status, &head).await;
                }
                return finish(&socket, &connection, &mut stages, http, result).await;
            }
        }
    }
}

const REQUEST_TIMEOUT: StatusCode = StatusCode::REQUEST_TIMEOUT;

/// Ends a connection on which hyper has ended its work.
async fn finish<H>(
    socket: &Socket,
    connection: &Connection,
    stages: &mut Stages,
    http: H,
    result: hyper::Result<()>,
) {
    let broken = connection.break_off();
    // With it go the service's future and the answer's body, if they are still there.
    drop(http);
    match (result, broken) {
        (Ok(()), None) => {
            if !connection.end_of_input() {
                linger(socket, connection, stages).await;
            }
        }
        // hyper has given up an answer it had not written out, which it does for a request that
        // asked for an upgrade and was not read to its end.
        (Ok(()), Some(_)) => socket.reset_on_close(),
        (Err(error), Some(broken)) if error.is_user() => {
            tracing::debug!(%error, "the body of an answer has failed");
            if broken.ends_by_close {
                socket
                    .reset_after_delivery(connection.config.linger_timeout)
                    .await;
            } else {
                // The missing end tells the client.
                linger(socket, connection, stages).await;
            }
        }
        (Err(error), None) if error.is_parse_version_h2() => {
            // hyper leaves this one without an answer.
            answer(socket, connection, stages, StatusCode::BAD_REQUEST, b"").await;
        }
        (Err(error), None) if error.is_parse() => {
            // A refusal that was written together with the answer before it, so that it is
            // hyper's own.
            let status = if error.is_parse_too_large() {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            };
            connection.refused(&RefusedLine {
                method: None,
                target: None,
                status,
                bytes: 0,
                id: &new_request_id(),
                wall: std::time::Duration::ZERO,
                aborted: false,
            });
            linger(socket, connection, stages).await;
        }
        // The client is gone, in the middle of a head or of an answer.
        (Err(error), _) => tracing::debug!(%error, "connection lost"),
    }
}

/// Answers a head that never became a request, in place of hyper, and closes. `left` is what hyper
/// has left unread: the head, or what came behind it, since hyper takes some heads before it refuses
/// them.
async fn answer(
    socket: &Socket,
    connection: &Connection,
    stages: &mut Stages,
    status: StatusCode,
    left: &[u8],
) {
    let (since, head) = connection.head().unzip();
    let since = since.unwrap_or_else(Instant::now);
    // A head that came together with what was before it is known only as long as hyper has not
    // taken it, which is certain of one that is not complete.
    let head = match &head {
        Some(head) => head,
        None if status == REQUEST_TIMEOUT => left,
        None => b"",
    };
    let (method, target) = request_line(head);
    let mut status = status;
    // hyper gives up on a head that does not fit; whether the target was too long already
    // (which goes first, protocol 2.3) shows in what it has read.
    if status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        && target.is_some_and(|target| target.len() > connection.config.head.target)
    {
        status = StatusCode::URI_TOO_LONG;
    }
    let id = new_request_id();
    let (bytes, body) = refusal::raw(status, &id, method != Some(b"HEAD"));
    let written = socket
        .write_all(&bytes, connection.config.write_timeout)
        .await;
    connection.refused(&RefusedLine {
        method,
        target,
        status,
        bytes: if written.is_ok() { body } else { 0 },
        id: &id,
        wall: since.elapsed(),
        aborted: written.is_err(),
    });
    linger(socket, connection, stages).await;
}

async fn linger(socket: &Socket, connection: &Connection, stages: &mut Stages) {
    let config = &connection.config;
    let mut close = pin!(socket.close_lingering(config.linger_timeout, config.linger_bytes));
    std::future::poll_fn(|cx| {
        if close.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            match stages.poll_next(cx) {
                Poll::Ready(Stage::Cut) => return Poll::Ready(()),
                Poll::Ready(_) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Rests without hyper until something comes. Returns whether there is anything left to serve.
async fn nap(socket: &Socket, connection: &Connection, stages: &mut Stages) -> bool {
    loop {
        tokio::select! {
            biased;
            readable = socket.readable() => return readable.is_ok(),
            () = sleep_until(connection.rest_until()) => return false,
            () = connection.gone() => return false,
            stage = stages.next() => match stage {
                Stage::HandingOver => connection.close_after_answer(),
                _ => return false,
            },
        }
    }
}

/// Whether the time of the glance is over. The timer is set only when it would ring too late:
/// while requests come and go, it rings once in a while and is set to what is due then.
fn poll_expired(mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>, glance: Glance) -> Poll<Expiry> {
    let Some((at, expiry)) = glance.deadline else {
        return Poll::Pending;
    };
    if timer.deadline() > at {
        timer.as_mut().reset(at);
    }
    while timer.as_mut().poll(cx).is_ready() {
        if timer.deadline() >= at {
            return Poll::Ready(expiry);
        }
        timer.as_mut().reset(at);
    }
    Poll::Pending
}

/// Method and target in the beginning of a head, as far as they can be made out.
fn request_line(head: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let start = head
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(head.len());
    let head = &head[start..];
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or(head);
    let mut words = line.split(|&byte| byte == b' ');
    let method = words.next().filter(|method| {
        method.len() < line.len() && !method.is_empty() && method.iter().all(u8::is_ascii_graphic)
    });
    let target = method
        .and_then(|_| words.next())
        .map(|target| target.trim_ascii_end())
        .filter(|target| !target.is_empty());
    (method, target)
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// If a service's panic unwinds the connection, its exchange is logged all the same, and an
/// answer that ends by close does not look whole.
struct LastWord<'a> {
    socket: &'a Socket,
    connection: &'a Connection,
}

impl Drop for LastWord<'_> {
    fn drop(&mut self) {
        if let Some(broken) = self.connection.break_off()
            && broken.ends_by_close
        {
            self.socket.reset_on_close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_line_is_read_as_far_as_it_goes() {
        type Found<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);
        let check = |head: &[u8], expected: Found<'_>| assert_eq!(request_line(head), expected);
        check(b"", (None, None));
        check(b"GE", (None, None));
        check(b"GET ", (Some(b"GET"), None));
        check(b"GET /a", (Some(b"GET"), Some(b"/a")));
        check(
            b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n",
            (Some(b"GET"), Some(b"/a")),
        );
        check(b"GET /a\r\n\r\n", (Some(b"GET"), Some(b"/a")));
        check(b"\x16\x03\x01 x", (None, None));
    }
}
