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
use ways::{fill, spin, take_all};

struct Proxy;

impl Guest for Proxy {
    fn handle(request: IncomingRequest, response: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mib = query.strip_prefix("mib=").and_then(|n| n.parse().ok());
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

fn log(mib: usize) {
    let text = format!("{}\n", "x".repeat(1023)).repeat(1024);
    for _ in 0..mib {
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

wasip2::http::proxy::export!(Proxy);
