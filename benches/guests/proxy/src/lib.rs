//! A component of the world `wasi:http/proxy` (WASI 0.2) for `wasmtime serve`, which serves one:
//! the victim is `/`, and the other paths are those of `hostile`, done as a guest of WASI would.

mod header;

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;
use ways::{INJECTIONS, MIB, fill, spin, take_all};

struct Proxy;

impl Guest for Proxy {
    fn handle(request: IncomingRequest, response: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number = query.split_once('=').and_then(|(_, n)| n.parse().ok());
        let mib = number;
        match path {
            "/" => answer(response, 200, "hello, world\n", || {}),
            "/spin" => spin(),
            "/spin-body" => answer(response, 200, "", || spin()),
            "/spin-host" => loop {
                black_box(request.method());
            },
            "/sleep" => loop {
                std::thread::sleep(Duration::from_millis(1));
            },
            "/doze" => std::thread::sleep(Duration::from_secs(3600)),
            "/fill" => fill(mib.unwrap_or(64)),
            "/bomb" => {
                take_all();
                std::process::abort()
            }
            "/squat" => {
                take_all();
                loop {
                    std::thread::sleep(Duration::from_secs(3600));
                }
            }
            "/handles" => loop {
                std::mem::forget(Fields::new());
            },
            "/keep" => {
                // A little less than wasmtime lets one of them hold.
                let value = vec![b'x'; 100 << 10];
                loop {
                    let fields = Fields::new();
                    let _ = fields.set("x-large", std::slice::from_ref(&value));
                    std::mem::forget(fields);
                }
            }
            "/header" => {
                let status = if header::make(mib.unwrap_or(1024)) {
                    200
                } else {
                    500
                };
                answer(response, status, "hostile\n", || {});
            }
            "/log" => {
                log(mib.unwrap_or(1024));
                answer(response, 200, "hostile\n", || {});
            }
            "/flood" => flood(response, mib.unwrap_or(1024)),
            "/read" => {
                let (status, text) = match read(&request) {
                    Some(read) => (200, format!("read {read}\n")),
                    None => (400, "the body is broken\n".to_owned()),
                };
                answer(response, status, &text, || {});
            }
            "/inject" => {
                let [status, name, value] = INJECTIONS[number.unwrap_or(0)];
                // A reason phrase is nothing that a guest of WASI could say.
                let is_refused = status != "200 OK"
                    || Fields::new()
                        .set(name, &[value.as_bytes().to_vec()])
                        .is_err();
                let text = if is_refused {
                    "refused\n"
                } else {
                    "let through\n"
                };
                answer(response, 200, text, || {});
            }
            _ => answer(response, 404, "no such behaviour\n", || {}),
        }
    }
}

/// Sends the head, does something, and sends the body.
fn answer(out: ResponseOutparam, status: u16, text: &str, between: impl FnOnce()) {
    let head = Fields::new();
    let _ = head.set("content-type", &[b"text/plain".to_vec()]);
    let _ = head.set("content-length", &[text.len().to_string().into_bytes()]);
    let response = OutgoingResponse::new(head);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else {
        return;
    };
    ResponseOutparam::set(out, Ok(response));
    between();
    if let Ok(stream) = body.write() {
        let _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}

/// Sends so many MiB, for as long as they are taken.
fn flood(out: ResponseOutparam, mib: usize) {
    let response = OutgoingResponse::new(Fields::new());
    let Ok(body) = response.body() else {
        return;
    };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        let block = vec![b'x'; 4096];
        for _ in 0..mib * (MIB / block.len()) {
            if stream.blocking_write_and_flush(&block).is_err() {
                return;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}

/// How large the request's body is, if it comes to its end.
fn read(request: &IncomingRequest) -> Option<usize> {
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    let mut size = 0;
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(block) => size += block.len(),
            Err(StreamError::Closed) => return Some(size),
            Err(StreamError::LastOperationFailed(_)) => return None,
        }
    }
}

fn log(mib: usize) {
    let text = format!("{}\n", "x".repeat(1023)).repeat(1024);
    for _ in 0..mib {
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

wasip2::http::proxy::export!(Proxy);
