//! Makes pollables of the monotonic clock of WASI and keeps them, for ever or
//! `?n=` of them, then answers "kept N\n". `?poll` also asks for all of them at
//! once after each thousand.
//! For: the host's tables must not grow without bounds, WASI's neither.

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

mod bindings {
    // Whole interfaces: the linker merges them with those of std.
    wit_bindgen::generate!({
        inline: r#"
            package wasm-gw:test-guests;

            world imports {
                import wasi:io/poll@0.2.0;
                import wasi:clocks/monotonic-clock@0.2.0;
            }

            package wasi:io@0.2.0 {
                interface poll {
                    resource pollable {
                        ready: func() -> bool;
                        block: func();
                    }
                    poll: func(in: list<borrow<pollable>>) -> list<u32>;
                }
            }

            package wasi:clocks@0.2.0 {
                interface monotonic-clock {
                    use wasi:io/poll@0.2.0.{pollable};
                    type instant = u64;
                    type duration = u64;
                    now: func() -> instant;
                    resolution: func() -> duration;
                    subscribe-instant: func(when: instant) -> pollable;
                    subscribe-duration: func(when: duration) -> pollable;
                }
            }
        "#,
        generate_all,
    });
}

use bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use bindings::wasi::io::poll::{Pollable, poll};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let polls = query.has("poll");
    let mut kept = Vec::new();
    for number in 0..query.number("n", u64::MAX) {
        // The first is ready, so that a poll returns.
        kept.push(subscribe_duration(number.min(1) << 40));
        if polls && number % 1000 == 999 {
            let all: Vec<&Pollable> = kept.iter().collect();
            std::hint::black_box(poll(&all));
        }
    }
    start_text(&start_response)?;
    Ok(format!("kept {}\n", kept.len()).into())
}

wasm_gw_guest::export!(app);
