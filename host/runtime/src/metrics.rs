//! The numbers of a runtime: what they are called, what they count, and their text for Prometheus.
//!
//! Nothing global: each runtime has its own. A request counts through handles that its app resolved
//! when it was loaded, and those are atomics: no lock and no lookup on its way. Not here: who counts
//! what and when, and who asks for the text.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::cache::CacheUse;

/// What each name begins with.
const PREFIX: &str = "wasm_gw";

/// Apps that have numbers of their own. Each costs some fifty lines at every scrape, and a series
/// that a database keeps for months.
const MOST_APPS: usize = 1000;

/// Whom the numbers of all further apps are for, together.
const OTHER: &str = "other";

/// The upper bounds of a histogram's buckets in seconds, for both of them. A small guest answers in
/// 100 microseconds, and at 30 seconds the default timeout ends the longest; between them the steps
/// are of 2 to 2.5, so that a quantile is known to about that factor.
const SECONDS: [f64; 17] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// All numbers of one runtime.
pub(crate) struct Metrics {
    registry: Registry,
    families: Families,
    /// By the name of the app. Who is not in it when it is full is [`OTHER`].
    apps: Mutex<HashMap<String, Arc<Series>>>,
    live: IntGauge,
    parked: IntGauge,
    warm: IntGauge,
    committed: IntGauge,
    budget: IntGauge,
    run_queue: IntGauge,
    hits: IntCounter,
    misses: IntCounter,
}

/// What is only known at the moment of the question, and of the whole runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauges {
    /// Instances that serve a request.
    pub(crate) live: usize,
    /// Instances that wait for the next request of their app, beside those that are alive.
    pub(crate) parked: usize,
    /// Slots that wait for their next instance, with memory for it.
    pub(crate) warm: usize,
    /// Bytes of the memory budget that are in use.
    pub(crate) committed: u64,
    /// Bytes of the memory budget.
    pub(crate) budget: u64,
    /// Guests that could run and wait for a core.
    pub(crate) run_queue: usize,
}

/// What has a label `app`.
struct Families {
    requests: IntCounterVec,
    duration: HistogramVec,
    cpu: CounterVec,
    queue_length: IntGaugeVec,
    queue_wait: HistogramVec,
    traps: IntCounterVec,
    timeouts: IntCounterVec,
    breaker: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let of = |name: &str, help: &str| Opts::new(name, help).namespace(PREFIX);
        let counter = |name, help, labels: &[&str]| {
            registered(&registry, IntCounterVec::new(of(name, help), labels))
        };
        let gauge = |name, help| registered(&registry, IntGauge::with_opts(of(name, help)));
        let gauges = |name, help| registered(&registry, IntGaugeVec::new(of(name, help), &["app"]));
        let histogram = |name: &str, help: &str| {
            let opts = HistogramOpts::new(name, help)
                .namespace(PREFIX)
                .buckets(SECONDS.to_vec());
            registered(&registry, HistogramVec::new(opts, &["app"]))
        };

        let families = Families {
            requests: counter(
                "requests_total",
                "Requests for an app, by class of status; gone: the client left before an answer.",
                &["app", "status"],
            ),
            duration: histogram(
                "request_duration_seconds",
                "Time from a request's head to the end of its answer.",
            ),
            cpu: registered(
                &registry,
                CounterVec::new(
                    of("cpu_seconds_total", "Processor time that guests used."),
                    &["app"],
                ),
            ),
            queue_length: gauges("queue_length", "Requests that wait for an instance."),
            queue_wait: histogram(
                "queue_wait_seconds",
                "Time that a request waited for an instance.",
            ),
            traps: counter(
                "traps_total",
                "Guests that trapped, exited badly, or used up memory, stack or handles.",
                &["app"],
            ),
            timeouts: counter(
                "timeouts_total",
                "Guests that were stopped because a deadline passed.",
                &["app"],
            ),
            breaker: gauges(
                "breaker_open",
                "Whether the app is switched off because it only ever trapped.",
            ),
        };
        let lookups = counter(
            "cache_lookups_total",
            "Components looked up in the cache of compiled code.",
            &["result"],
        );
        Self {
            live: gauge("instances_live", "Instances that serve a request."),
            parked: gauge(
                "instances_parked",
                "Instances that wait for the next request of their app (isolation by app).",
            ),
            warm: gauge(
                "instances_warm",
                "Slots that wait for their next instance, with memory for it.",
            ),
            committed: gauge(
                "memory_committed_bytes",
                "Memory of instances, kept slots and what guests make the host keep.",
            ),
            budget: gauge("memory_budget_bytes", "The most that may be committed."),
            run_queue: gauge(
                "run_queue_length",
                "Guests that could run and wait for a core.",
            ),
            // Both from the start: a rate needs a zero to begin at.
            hits: lookups.with_label_values(&["hit"]),
            misses: lookups.with_label_values(&["miss"]),
            apps: Mutex::default(),
            families,
            registry,
        }
    }

    /// The handles of an app. Apps of one name count together, as those do that come after the
    /// first [`MOST_APPS`] names. Only a new name takes a lock for long; no request does.
    pub(crate) fn app(&self, name: &str) -> AppMetrics {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let label = if apps.contains_key(name) || apps.len() < MOST_APPS {
            name
        } else {
            OTHER
        };
        let series = match apps.get(label) {
            Some(series) => Arc::clone(series),
            None => {
                let series = Arc::new(self.families.series(label));
                if label == name {
                    apps.insert(name.to_owned(), Arc::clone(&series));
                }
                series
            }
        };
        AppMetrics(Arc::new(OneApp {
            series,
            open: AtomicBool::new(false),
        }))
    }

    /// A component was loaded. Where there is no cache, nothing was looked up.
    pub(crate) fn compiled(&self, used: CacheUse) {
        match used {
            CacheUse::Hit => self.hits.inc(),
            CacheUse::Stored => self.misses.inc(),
            CacheUse::None => {}
        }
    }

    /// All of it in Prometheus' text format 0.0.4. Names are in order, and so are labels.
    pub(crate) fn text(&self, now: &Gauges) -> String {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.live.set(number(now.live));
        self.parked.set(number(now.parked));
        self.warm.set(number(now.warm));
        self.committed.set(bytes(now.committed));
        self.budget.set(bytes(now.budget));
        self.run_queue.set(number(now.run_queue));
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("each family has a name and is not gathered without a sample")
    }
}

/// Makes one part of the registry. It fails for a name that is none or is taken, and the names stand
/// above.
fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    made: prometheus::Result<C>,
) -> C {
    let made = made.expect("names and labels are well formed");
    registry
        .register(Box::new(made.clone()))
        .expect("each name is taken once");
    made
}

/// One value of the label `app` throughout.
struct Series {
    successes: IntCounter,
    redirections: IntCounter,
    client_errors: IntCounter,
    server_errors: IntCounter,
    gone: IntCounter,
    duration: Histogram,
    cpu: Counter,
    queue_length: IntGauge,
    queue_wait: Histogram,
    traps: IntCounter,
    timeouts: IntCounter,
    breaker: IntGauge,
}

impl Families {
    fn series(&self, app: &str) -> Series {
        let requests = |status| self.requests.with_label_values(&[app, status]);
        Series {
            successes: requests("2xx"),
            redirections: requests("3xx"),
            client_errors: requests("4xx"),
            server_errors: requests("5xx"),
            gone: requests("gone"),
            duration: self.duration.with_label_values(&[app]),
            cpu: self.cpu.with_label_values(&[app]),
            queue_length: self.queue_length.with_label_values(&[app]),
            queue_wait: self.queue_wait.with_label_values(&[app]),
            traps: self.traps.with_label_values(&[app]),
            timeouts: self.timeouts.with_label_values(&[app]),
            breaker: self.breaker.with_label_values(&[app]),
        }
    }
}

/// The numbers of one app. Cheap to clone, and each call is an atomic addition or two.
#[derive(Clone)]
pub(crate) struct AppMetrics(Arc<OneApp>);

struct OneApp {
    series: Arc<Series>,
    /// Whether this app is counted among the open breakers. Others may be of the same series.
    open: AtomicBool,
}

impl AppMetrics {
    /// A request has its answer, whoever gave it, this long after its head came.
    pub(crate) fn answered(&self, status: StatusCode, wall: Duration) {
        let series = &*self.0.series;
        let class = match status.as_u16() {
            200..=299 => &series.successes,
            300..=399 => &series.redirections,
            400..=499 => &series.client_errors,
            // RFC 9110 15: a status outside the five classes is to be taken for a server's error.
            // 1xx are no answers.
            _ => &series.server_errors,
        };
        class.inc();
        series.duration.observe(wall.as_secs_f64());
    }

    /// The client left before there was an answer. Its time counts too: an app that is so slow that
    /// nobody waits for it must not look fast.
    pub(crate) fn gone(&self, wall: Duration) {
        self.0.series.gone.inc();
        self.0.series.duration.observe(wall.as_secs_f64());
    }

    /// A guest has used so much more of the processor.
    pub(crate) fn used_cpu(&self, used: Duration) {
        self.0.series.cpu.inc_by(used.as_secs_f64());
    }

    /// A request got an instance, or gave up, after so long. One that did not have to wait counts
    /// with zero, so that the share of those that had to can be told.
    pub(crate) fn waited(&self, waited: Duration) {
        self.0.series.queue_wait.observe(waited.as_secs_f64());
    }

    /// A request waits for an instance until this is dropped.
    pub(crate) fn waiting(&self) -> Waiting {
        let length = self.0.series.queue_length.clone();
        length.inc();
        Waiting(length)
    }

    /// A guest trapped, exited badly, or used up what it may have: what is 502 before the head.
    pub(crate) fn trapped(&self) {
        self.0.series.traps.inc();
    }

    /// A guest was stopped by a deadline: what is 504 before the head.
    pub(crate) fn timed_out(&self) {
        self.0.series.timeouts.inc();
    }

    /// The app is switched off, or on again. To say it twice changes nothing.
    pub(crate) fn breaker(&self, open: bool) {
        self.0.breaker(open);
    }
}

impl OneApp {
    fn breaker(&self, open: bool) {
        // Two apps of one name have a breaker each: the gauge counts those that are open.
        if self.open.swap(open, Ordering::Relaxed) != open {
            self.series.breaker.add(if open { 1 } else { -1 });
        }
    }
}

impl Drop for OneApp {
    /// An app that is gone is not switched off.
    fn drop(&mut self) {
        self.breaker(false);
    }
}

/// One request, from its head to the end of its answer, which is when this is dropped. Without a
/// status by then, its client has left.
pub(crate) struct Counted {
    app: AppMetrics,
    begun: Instant,
    status: Option<StatusCode>,
}

impl AppMetrics {
    /// A request begins now.
    pub(crate) fn begin(&self) -> Counted {
        Counted {
            app: self.clone(),
            begun: Instant::now(),
            status: None,
        }
    }
}

impl Counted {
    /// The head of its answer has this status.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let wall = self.begun.elapsed();
        match self.status {
            Some(status) => self.app.answered(status, wall),
            None => self.app.gone(wall),
        }
    }
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Counted").field(&self.status).finish()
    }
}

/// One request in an app's queue.
pub(crate) struct Waiting(IntGauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
