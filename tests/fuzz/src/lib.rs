//! What a client or a guest may send, at random, and what must hold whatever it is. Each target is a function of
//! bytes that panics when something does not hold: `tests/targets.rs` calls them as tests, and `libfuzzer` by
//! coverage.

pub mod environ;
pub mod exchange;
pub mod guest;
pub mod http;
pub mod loader;
mod process;
mod source;

pub use process::{descriptors, seen, watch_panics};

/// One thing that takes bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folder in `corpus` too.
    pub name: &'static str,
    /// Feeds it; panics when something does not hold.
    pub run: fn(&[u8]),
    /// More bytes than this say nothing new.
    pub most: usize,
    /// What some of many inputs come to ([`seen`]).
    pub reaches: &'static [&'static str],
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "environ",
        run: environ::run,
        most: 4096,
        reaches: &["built", "refused"],
    },
    Target {
        name: "exchange",
        run: exchange::run,
        most: 1024,
        reaches: &["head", "whole", "too short"],
    },
    Target {
        name: "http",
        run: http::run,
        most: 4096,
        reaches: &["served", "refused", "compared"],
    },
    Target {
        name: "guest",
        run: guest::run,
        most: 2048,
        reaches: &["200", "500", "502", "not loaded"],
    },
    Target {
        name: "loader",
        run: loader::run,
        most: 512,
        reaches: &["cache", "loaded", "refused"],
    },
];
