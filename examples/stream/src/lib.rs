//! Server-sent events, one a second: a body that is made while it is sent.

use std::thread;
use std::time::Duration;

use wasm_gw_guest::{Body, Environ, Result, StartResponse};

/// How many events there are at most, and how many if the query does not say.
const MOST: u32 = 60;
const USUAL: u32 = 5;

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let count = count(&environ.query());
    start_response.start(
        "200 OK",
        &[
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
        ],
    )?;

    // Nothing below runs yet. The host asks for one event, sends it, and asks
    // for the next; it stops asking when the client has gone.
    let events = (1..=count).map(move |number| {
        if number > 1 {
            thread::sleep(Duration::from_secs(1));
        }
        format!("id: {number}\ndata: event {number} of {count}\n\n")
    });
    let errors = environ.errors();
    Ok(Body::with_close(events, move || {
        writeln!(errors, "stream closed");
    }))
}

/// `count=` of the query.
fn count(query: &str) -> u32 {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("count="))
        .and_then(|number| number.parse().ok())
        .map_or(USUAL, |count: u32| count.min(MOST))
}

wasm_gw_guest::export!(app);
