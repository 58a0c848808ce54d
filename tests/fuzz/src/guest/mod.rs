//! Applications that no compiler would make: they call the gateway's imports in any order with anything for
//! arguments. Whatever they do, the call ends within its limits, the host does not panic, and nothing of the
//! instance is left.

mod body;
mod component;
mod smith;

pub(crate) use component::plain;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use http::Request;
use wasm_gw_runtime::{App, AppConfig, Isolation, Reuse, Runtime, RuntimeConfig, testing};

use crate::process::{NoPanic, see};
use crate::source::Source;

/// The time a guest may take; `close` has as much again.
const TIMEOUT: Duration = Duration::from_millis(300);

/// What a call may take at most, on a machine that does much else. Compiling comes before.
const PATIENCE: Duration = Duration::from_secs(20);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let config = RuntimeConfig {
        instances: 16,
        max_memory: 16 << 20,
        memory_total: Some(512 << 20),
        ..RuntimeConfig::default()
    };
    Runtime::new(config).expect("a runtime can be made")
});

static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(2).enable_all();
    builder.build().expect("a runtime can be made")
});

/// See the module.
pub fn run(data: &[u8]) {
    let no_panic = NoPanic::begin();
    let mut source = Source::new(data);
    let method = source.one_of(&["GET", "POST", "HEAD"]);
    let reused = source.once_in(4);
    let request = source.bytes(64).to_vec();
    let component = component::of(&mut source);
    call(&component, method, &request, reused);
    no_panic.end();
}

/// Loads it if it can be loaded, calls it, and sees that all is given back.
pub(crate) fn call(component: &[u8], method: &str, body: &[u8], reused: bool) {
    LazyLock::force(&EMPTY);
    let mut config = AppConfig::new("random");
    config.limits.memory = 8 << 20;
    config.limits.table_elements = 10_000;
    config.limits.handles = 500;
    config.limits.host_bytes = 4 << 20;
    config.limits.log_bytes = 16 << 10;
    config.limits.timeout = TIMEOUT;
    config.limits.cpu = TIMEOUT;
    config.limits.close_timeout = TIMEOUT;
    config.limits.max_duration = Some(4 * TIMEOUT);
    if reused {
        config.isolation = Isolation::App(Reuse::default());
    }
    let app = match App::load(&RUNTIME, config, component) {
        Ok(app) => app,
        Err(error) => {
            see("not loaded");
            let text = error.to_string();
            assert!(!text.contains("panicked") && !text.is_empty(), "{text}");
            return;
        }
    };
    TOKIO.block_on(async {
        for _ in 0..if reused { 3 } else { 1 } {
            let request = Request::builder().method(method).uri("/a?b");
            let request = request.body(body.to_vec()).expect("it is a request");
            let begin = Instant::now();
            let called = tokio::time::timeout(PATIENCE, testing::call(&app, request)).await;
            let called = called.expect("the call ends");
            assert!(begin.elapsed() < PATIENCE);
            let status = called.response.status().as_u16();
            assert!((200..1000).contains(&status), "{status}");
            see(status.to_string());
            see(match called.transcript.events.len() {
                0..4 => "few events",
                _ => "many events",
            });
            // Not asked for what it finds, but that it finds it.
            let _ = called.findings();
        }
        tokio::time::timeout(PATIENCE, RUNTIME.idle())
            .await
            .expect("the guests end");
    });
    drop(app);
    // What was in progress may hold the app for a moment longer.
    let begin = Instant::now();
    while let Some(left) = left() {
        assert!(begin.elapsed() < PATIENCE, "{left}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What is still there of instances, if anything.
fn left() -> Option<String> {
    let gauges = ["instances_live", "instances_parked", "run_queue_length"];
    let more = gauges.map(|name| (name, gauge(name)));
    let found = more.iter().find(|(_, value)| *value != 0.0);
    let committed = gauge("memory_committed_bytes");
    match found {
        Some((name, value)) => Some(format!("{name} is {value}")),
        None if RUNTIME.instances() != 0 => Some("there are instances".to_owned()),
        None if committed > *EMPTY => Some(format!(
            "{committed} bytes are committed, and {} at first",
            *EMPTY
        )),
        None => None,
    }
}

/// What is committed before there is any app: what kept slots may hold.
static EMPTY: LazyLock<f64> = LazyLock::new(|| gauge("memory_committed_bytes"));

#[track_caller]
fn gauge(name: &str) -> f64 {
    let text = RUNTIME.metrics();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("wasm_gw_{name} ")));
    let value = line.and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else all that follows would be about applications that trap at once.
    #[test]
    fn the_plain_one_answers() {
        let mut config = AppConfig::new("plain");
        config.limits.memory = 8 << 20;
        let app = App::load(&RUNTIME, config, &plain())
            .map_err(|error| error.to_string())
            .unwrap();
        let called = TOKIO.block_on(testing::call(&app, Request::new("")));
        assert_eq!(
            called.response.status(),
            200,
            "{:?} {:?}",
            called.transcript,
            called.log
        );
    }
}
