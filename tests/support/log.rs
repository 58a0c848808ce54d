//! What the server logs, kept in memory by request id, so that a test can ask for it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::eventually;

/// One event of the log.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub level: String,
    pub target: String,
    pub message: String,
    /// All fields but the message.
    pub fields: HashMap<String, String>,
}

static LINES: LazyLock<Mutex<Vec<Line>>> = LazyLock::new(Mutex::default);

fn lines() -> MutexGuard<'static, Vec<Line>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts to keep the log; called by each test server.
pub fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().with(Keeper).init());
}

/// All lines that carry this request id.
pub fn of(request_id: &str) -> Vec<Line> {
    with("request_id", request_id)
}

/// All lines of which this field has this value.
pub fn with(field: &str, value: &str) -> Vec<Line> {
    let has = |line: &&Line| line.fields.get(field).is_some_and(|found| found == value);
    lines().iter().filter(has).cloned().collect()
}

/// The messages that a guest of this request wrote to a stream (`stdout`, `stderr`, `wsgi.errors`).
pub fn of_guest(request_id: &str, stream: &str) -> Vec<String> {
    of(request_id)
        .into_iter()
        .filter(|line| {
            line.fields
                .get("stream")
                .is_some_and(|found| found == stream)
        })
        .map(|line| line.message)
        .collect()
}

/// Waits until a guest of this request has written so many lines to a stream.
pub async fn wait_of_guest(request_id: &str, stream: &str, count: usize) {
    eventually(&format!("{count} lines of {stream}"), || {
        (of_guest(request_id, stream).len() >= count).then_some(())
    })
    .await;
}

/// Waits until some guest has written this line, and returns its request's id: for a client that gets
/// no response to know it by.
pub async fn wait_for_guest(text: &str) -> String {
    eventually(&format!("`{text}` in the log of any guest"), || {
        let lines = lines();
        let said = lines
            .iter()
            .find(|line| line.target == "wasm_gw::guest" && line.message == text)?;
        said.fields.get("request_id").cloned()
    })
    .await
}

/// Waits until a line of this request has `part` in its message, and returns it.
pub async fn wait(request_id: &str, part: &str) -> Line {
    eventually(&format!("`{part}` in the log of {request_id}"), || {
        of(request_id)
            .into_iter()
            .find(|line| line.message.contains(part))
    })
    .await
}

/// Whether a line of no request in particular says this; for what happens before there is one.
pub fn says(part: &str) -> bool {
    lines().iter().any(|line| line.message.contains(part))
}

struct Keeper;

impl<S: tracing::Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        // Only ours: the rest is not under test, and there is much of it.
        if !event.metadata().target().starts_with("wasm_gw") {
            return;
        }
        let mut line = Line {
            level: event.metadata().level().to_string(),
            target: event.metadata().target().to_owned(),
            ..Line::default()
        };
        event.record(&mut line);
        lines().push(line);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.fields
                .insert(field.name().to_owned(), format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields
            .insert(field.name().to_owned(), value.to_owned());
    }
}
