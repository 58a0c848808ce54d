//! The text line by line, by the rules of the format, and what it says.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The value by name and labels, as in `wasm_gw_traps_total{app=a}`, of which labels are
/// unescaped and in their order.
type Samples = BTreeMap<String, f64>;

/// Reads the text format as strictly as it is defined: HELP and TYPE once and before the
/// samples, which stand together; names, labels and values well formed; no series twice.
fn read(text: &str) -> (BTreeMap<String, String>, Samples) {
    assert!(text.ends_with('\n'), "the last line has an end");
    let (mut kinds, mut samples) = (BTreeMap::new(), Samples::new());
    let (mut family, mut helped) = (String::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            assert!(is_name(name) && !help.is_empty(), "{line}");
            assert!(helped.insert(name.to_owned()), "described twice: {line}");
            name.clone_into(&mut family);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert_eq!(name, family, "no HELP right before: {line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            let former = kinds.insert(name.to_owned(), kind.to_owned());
            assert_eq!(former, None, "typed twice: {line}");
        } else {
            let (name, labels, value) = sample(line);
            let kind = kinds.get(&family).unwrap_or_else(|| panic!("{line}"));
            let suffix = name.strip_prefix(family.as_str()).expect(line);
            let right: &[&str] = match kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(right.contains(&suffix), "{line}");
            let shown: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let series = match shown.as_slice() {
                [] => name,
                labels => format!("{name}{{{}}}", labels.join(",")),
            };
            assert!(value >= 0.0 && value.is_finite(), "{line}");
            let former = samples.insert(series, value);
            assert_eq!(former, None, "twice: {line}");
        }
    }
    (kinds, samples)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `name{label="value",...} number`, with no blank too many.
fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let end = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, quoted) = rest.split_once("=\"").expect(line);
            assert!(is_name(label), "{line}");
            let mut value = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next().expect(line) {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next().expect(line).1 {
                        'n' => '\n',
                        escaped @ ('\\' | '"') => escaped,
                        other => panic!("\\{other} in {line}"),
                    }),
                    (_, plain) => value.push(plain),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &quoted[end + 1..];
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').expect(line);
    }
    let value = rest.strip_prefix(' ').expect(line);
    (name.to_owned(), labels, value.parse().expect(line))
}

fn samples(metrics: &Metrics) -> Samples {
    read(&metrics.text(&Gauges::default())).1
}

/// A value by its name without the prefix.
#[track_caller]
fn value(samples: &Samples, series: &str) -> f64 {
    let found = samples.get(&format!("wasm_gw_{series}"));
    *found.unwrap_or_else(|| panic!("no {series} in {samples:?}"))
}

#[test]
fn each_number_has_its_name_and_kind_from_the_start() {
    let metrics = Metrics::new();
    metrics.app("a");
    let (kinds, samples) = read(&metrics.text(&Gauges::default()));
    let kinds: Vec<(&str, &str)> = kinds
        .iter()
        .map(|(name, kind)| (name.as_str(), kind.as_str()))
        .collect();
    let expected = [
        ("wasm_gw_breaker_open", "gauge"),
        ("wasm_gw_cache_lookups_total", "counter"),
        ("wasm_gw_cpu_seconds_total", "counter"),
        ("wasm_gw_instances_live", "gauge"),
        ("wasm_gw_instances_parked", "gauge"),
        ("wasm_gw_instances_warm", "gauge"),
        ("wasm_gw_memory_budget_bytes", "gauge"),
        ("wasm_gw_memory_committed_bytes", "gauge"),
        ("wasm_gw_queue_length", "gauge"),
        ("wasm_gw_queue_wait_seconds", "histogram"),
        ("wasm_gw_request_duration_seconds", "histogram"),
        ("wasm_gw_requests_total", "counter"),
        ("wasm_gw_run_queue_length", "gauge"),
        ("wasm_gw_timeouts_total", "counter"),
        ("wasm_gw_traps_total", "counter"),
    ];
    assert_eq!(kinds, expected);
    // Also before anything happened, so that a first trap is a rise and no new series.
    for series in [
        "breaker_open{app=a}",
        "cpu_seconds_total{app=a}",
        "queue_length{app=a}",
        "queue_wait_seconds_count{app=a}",
        "request_duration_seconds_count{app=a}",
        "timeouts_total{app=a}",
        "traps_total{app=a}",
        "cache_lookups_total{result=hit}",
        "cache_lookups_total{result=miss}",
    ] {
        assert_eq!(value(&samples, series), 0.0, "{series}");
    }
    for status in ["2xx", "3xx", "4xx", "5xx", "gone"] {
        let series = format!("requests_total{{app=a,status={status}}}");
        assert_eq!(value(&samples, &series), 0.0);
    }
}

#[test]
fn a_request_counts_by_the_class_of_its_status() {
    let metrics = Metrics::new();
    let app = metrics.app("a");
    for status in [200, 204, 301, 404, 499, 500, 502, 600, 999] {
        app.answered(
            StatusCode::from_u16(status).unwrap(),
            Duration::from_secs(1),
        );
    }
    app.gone(Duration::from_secs(2));
    let found = samples(&metrics);
    for (status, count) in [("2xx", 2), ("3xx", 1), ("4xx", 2), ("5xx", 4), ("gone", 1)] {
        let series = format!("requests_total{{app=a,status={status}}}");
        assert_eq!(value(&found, &series), f64::from(count), "{status}");
    }
    let count = value(&found, "request_duration_seconds_count{app=a}");
    let sum = value(&found, "request_duration_seconds_sum{app=a}");
    assert_eq!((count, sum), (10.0, 11.0));
}

#[test]
fn buckets_tell_100_us_from_30_s() {
    let metrics = Metrics::new();
    let app = metrics.app("a");
    for micros in [0, 100, 101, 1_000, 30_000_000, 31_000_000] {
        app.waited(Duration::from_micros(micros));
    }
    let found = samples(&metrics);
    let bucket = |bound: &str| {
        value(
            &found,
            &format!("queue_wait_seconds_bucket{{app=a,le={bound}}}"),
        )
    };
    assert_eq!(bucket("0.0001"), 2.0);
    assert_eq!(bucket("0.00025"), 3.0);
    assert_eq!(bucket("0.001"), 4.0);
    assert_eq!(bucket("10"), 4.0);
    assert_eq!(bucket("30"), 5.0);
    assert_eq!(bucket("+Inf"), 6.0);
    assert_eq!(value(&found, "queue_wait_seconds_count{app=a}"), 6.0);
    let counts: Vec<f64> = SECONDS
        .iter()
        .map(|bound| bucket(&bound.to_string()))
        .collect();
    assert!(counts.is_sorted(), "they add up: {counts:?}");
    assert!(SECONDS.is_sorted());
}

#[test]
fn the_rest_counts_too() {
    let metrics = Metrics::new();
    let app = metrics.app("a");
    app.used_cpu(Duration::from_millis(250));
    app.used_cpu(Duration::from_millis(500));
    app.trapped();
    app.timed_out();
    app.timed_out();
    let first = app.waiting();
    let second = app.waiting();
    drop(first);
    for used in [CacheUse::Hit, CacheUse::Hit, CacheUse::Stored] {
        metrics.compiled(used);
    }
    metrics.compiled(CacheUse::None);
    let now = Gauges {
        live: 1,
        parked: 4,
        warm: 2,
        committed: 3,
        budget: u64::MAX,
        run_queue: 5,
    };
    let (_, found) = read(&metrics.text(&now));
    for (series, expected) in [
        ("cpu_seconds_total{app=a}", 0.75),
        ("traps_total{app=a}", 1.0),
        ("timeouts_total{app=a}", 2.0),
        ("queue_length{app=a}", 1.0),
        ("cache_lookups_total{result=hit}", 2.0),
        ("cache_lookups_total{result=miss}", 1.0),
        ("instances_live", 1.0),
        ("instances_parked", 4.0),
        ("instances_warm", 2.0),
        ("memory_committed_bytes", 3.0),
        ("memory_budget_bytes", i64::MAX as f64),
        ("run_queue_length", 5.0),
    ] {
        assert_eq!(value(&found, series), expected, "{series}");
    }
    drop(second);
    assert_eq!(value(&samples(&metrics), "queue_length{app=a}"), 0.0);
}

#[test]
fn apps_of_one_name_count_together() {
    let metrics = Metrics::new();
    let (one, two) = (metrics.app("a"), metrics.app("a"));
    one.trapped();
    two.trapped();
    assert_eq!(value(&samples(&metrics), "traps_total{app=a}"), 2.0);

    // Each has a breaker of its own, and one that is said to be open twice is open once.
    let open = || value(&samples(&metrics), "breaker_open{app=a}");
    one.breaker(true);
    one.clone().breaker(true);
    two.breaker(false);
    assert_eq!(open(), 1.0);
    two.breaker(true);
    one.breaker(false);
    assert_eq!(open(), 1.0);
    drop(two);
    assert_eq!(open(), 0.0);
}

#[test]
fn apps_beyond_the_cap_are_counted_as_other() {
    let metrics = Metrics::new();
    for number in 0..MOST_APPS {
        metrics.app(&format!("app{number}")).trapped();
    }
    metrics.app("late").trapped();
    metrics.app("later").trapped();
    // Who has a name keeps it.
    metrics.app("app7").trapped();
    let found = samples(&metrics);
    assert_eq!(value(&found, "traps_total{app=app999}"), 1.0);
    assert_eq!(value(&found, "traps_total{app=app7}"), 2.0);
    assert_eq!(value(&found, "traps_total{app=other}"), 2.0);
    let of_traps = found
        .keys()
        .filter(|name| name.starts_with("wasm_gw_traps_total"));
    assert_eq!(of_traps.count(), MOST_APPS + 1);
}

#[test]
fn a_strange_name_stays_inside_its_quotes() {
    let metrics = Metrics::new();
    let name = "a\"} 1\nwasm_gw_traps_total{app=\\\"b\\n\u{e9}";
    metrics.app(name).trapped();
    let found = samples(&metrics);
    assert_eq!(value(&found, &format!("traps_total{{app={name}}}")), 1.0);
    let of_traps = found
        .keys()
        .filter(|name| name.starts_with("wasm_gw_traps_total"));
    assert_eq!(of_traps.count(), 1);
}

#[test]
fn runtimes_count_apart() {
    let (one, two) = (Metrics::new(), Metrics::new());
    one.app("a").trapped();
    two.app("a");
    assert_eq!(value(&samples(&one), "traps_total{app=a}"), 1.0);
    assert_eq!(value(&samples(&two), "traps_total{app=a}"), 0.0);
}
