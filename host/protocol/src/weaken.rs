//! Defences that are switched off, for `cargo xtask torture --prove`: an attack proves a defence only if it
//! succeeds without it. In any build but that one [`weak`] is `false`, and what it guards is gone.

/// The names that the variable `WASM_GW_WEAKEN` may have, with commas between them.
#[cfg(feature = "weaken")]
const DEFENCES: &[&str] = &[
    "accept-pause",
    "body-size",
    "body-timeout",
    "cache-errors",
    "cache-tag",
    "cpu",
    "disconnect",
    "drain",
    "framing",
    "head-checks",
    "head-limits",
    "header-timeout",
    "hostcall-bytes",
    "keep-alive-timeout",
    "kept-by-host",
    "log-bytes",
    "make-room",
    "memory",
    "memory-total",
    "per-address",
    "timeout",
    "turns",
    "write-timeout",
];

#[cfg(all(feature = "weaken", not(debug_assertions)))]
compile_error!(
    "the feature `weaken` switches defences off: it is for tests, not for what is optimised and used"
);

/// Whether a defence is switched off. Never, without the feature `weaken`.
#[cfg(not(feature = "weaken"))]
#[doc(hidden)]
#[must_use]
pub const fn weak(_defence: &str) -> bool {
    false
}

/// Whether a defence is switched off.
///
/// # Panics
///
/// The variable has a name that no defence has: nothing would be proved.
#[cfg(feature = "weaken")]
#[doc(hidden)]
#[must_use]
pub fn weak(defence: &str) -> bool {
    static OFF: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
        let names = std::env::var("WASM_GW_WEAKEN").unwrap_or_default();
        let names = names.split(',').filter(|name| !name.is_empty());
        names.map(known).map(str::to_owned).collect()
    });
    OFF.iter().any(|off| off == known(defence))
}

#[cfg(feature = "weaken")]
fn known(name: &str) -> &str {
    assert!(DEFENCES.contains(&name), "no defence is called {name}");
    name
}
