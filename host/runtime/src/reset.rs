//! How a slot of the pool is made new between two requests: by looking up which pages are dirty
//! (`PAGEMAP_SCAN`), or by giving all of them back to the kernel (`madvise`).
//!
//! The scan is far cheaper, and wasmtime's asks for pages that are *present*. A dirty page that is
//! swapped out at that moment is not, nor is one that the kernel is just moving (compaction, NUMA
//! balancing): it would be left as it is and read by the next request. So the scan is used only where
//! pages of this process can neither be swapped nor moved, or where the operator says so. The
//! decision is [`decide`], a function of facts; [`Facts::read`] collects them.

use std::fmt;
use std::path::Path;

use crate::config::ResetChoice;
use crate::system;

/// How memory is reset between two instances in one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Dirty pages are found by `PAGEMAP_SCAN` and written over in place.
    Scan,
    /// All pages are given back by `madvise`; the reason says why not the cheaper way.
    Madvise(NoScan),
}

/// Why `PAGEMAP_SCAN` is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoScan {
    /// The kernel has no `PAGEMAP_SCAN` (Linux 6.7) or does not let this process use it.
    Unsupported,
    /// This process could be swapped out.
    Swappable,
    /// The kernel may move pages of this process, as compaction does.
    Movable,
    /// The operator chose so.
    Chosen,
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reset::Scan => "PAGEMAP_SCAN",
            Reset::Madvise(NoScan::Chosen) => "madvise",
            Reset::Madvise(NoScan::Unsupported) => "madvise (this kernel has no PAGEMAP_SCAN)",
            Reset::Madvise(NoScan::Swappable) => {
                "madvise (PAGEMAP_SCAN would be faster, and unsafe: this process can be swapped out)"
            }
            Reset::Madvise(NoScan::Movable) => {
                "madvise (PAGEMAP_SCAN would be faster, and unsafe: this kernel moves pages)"
            }
        })
    }
}

/// What decides whether pages of this process can be out of place. A fact that could not be read is
/// `None`, and counts as the unsafe answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whether the kernel offers the scan to this process.
    pub(crate) scan_available: bool,
    /// Swap space of the machine in bytes.
    pub(crate) swap_total: Option<u64>,
    /// The smallest `memory.swap.max` from this process's control group up to the root, in bytes.
    pub(crate) swap_max: Option<u64>,
    /// Whether this kernel compacts memory or balances it between nodes.
    pub(crate) moves_pages: Option<bool>,
}

/// Whether the scan is possible, and safe: nothing of one request may be seen by the next.
pub(crate) fn decide(facts: Facts) -> Reset {
    let stays_in_memory = facts.swap_total == Some(0) || facts.swap_max == Some(0);
    if !facts.scan_available {
        Reset::Madvise(NoScan::Unsupported)
    } else if !stays_in_memory {
        Reset::Madvise(NoScan::Swappable)
    } else if facts.moves_pages != Some(false) {
        Reset::Madvise(NoScan::Movable)
    } else {
        Reset::Scan
    }
}

/// How memory is reset, by the operator's choice and the facts.
pub(crate) fn choose(choice: ResetChoice) -> Reset {
    match choice {
        ResetChoice::Auto => decide(Facts::read()),
        ResetChoice::Scan if scan_available() => Reset::Scan,
        ResetChoice::Scan => Reset::Madvise(NoScan::Unsupported),
        ResetChoice::Madvise => Reset::Madvise(NoScan::Chosen),
    }
}

impl Facts {
    /// Reads the facts from `/proc` and `/sys/fs/cgroup`.
    pub(crate) fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        Self {
            scan_available: scan_available(),
            swap_total: read("/proc/swaps").as_deref().and_then(swap_total),
            swap_max: system::group_limit("memory.swap.max"),
            moves_pages: moves_pages(Path::new("/proc/sys")),
        }
    }
}

/// A kernel that can compact has `vm/compact_memory`, and one that can balance between nodes says in
/// `kernel/numa_balancing` whether it does.
fn moves_pages(sysctl: &Path) -> Option<bool> {
    if !sysctl.join("vm").is_dir() {
        return None;
    }
    let balances = std::fs::read_to_string(sysctl.join("kernel/numa_balancing"))
        .is_ok_and(|text| text.trim() != "0");
    Some(balances || sysctl.join("vm/compact_memory").exists())
}

#[cfg(target_os = "linux")]
fn scan_available() -> bool {
    wasmtime::PoolingAllocationConfig::is_pagemap_scan_available()
}

#[cfg(not(target_os = "linux"))]
fn scan_available() -> bool {
    false
}

/// The sum of the sizes in `/proc/swaps`, which lists a device a line below one line of titles.
fn swap_total(swaps: &str) -> Option<u64> {
    let mut lines = swaps.lines();
    lines.next().filter(|titles| titles.contains("Size"))?;
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok())
        .try_fold(0u64, |total, kib| {
            total.checked_add(kib?.checked_mul(1024)?)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scan_needs_a_kernel_that_has_it_and_pages_that_stay_where_they_are() {
        let facts = |scan_available, swap_total, swap_max, moves_pages| Facts {
            scan_available,
            swap_total,
            swap_max,
            moves_pages,
        };
        let check = |facts, expected| assert_eq!(decide(facts), expected, "{facts:?}");
        let stays = Some(false);

        check(facts(true, Some(0), None, stays), Reset::Scan);
        check(facts(true, Some(1 << 30), Some(0), stays), Reset::Scan);
        check(facts(true, None, Some(0), stays), Reset::Scan);
        let swappable = Reset::Madvise(NoScan::Swappable);
        check(facts(true, Some(1 << 30), None, stays), swappable);
        check(facts(true, Some(1), Some(1), stays), swappable);
        check(facts(true, None, None, stays), swappable);
        let movable = Reset::Madvise(NoScan::Movable);
        check(facts(true, Some(0), Some(0), Some(true)), movable);
        check(facts(true, Some(0), Some(0), None), movable);
        let unsupported = Reset::Madvise(NoScan::Unsupported);
        check(facts(false, Some(0), Some(0), stays), unsupported);
    }

    #[test]
    fn a_kernel_that_compacts_or_balances_moves_pages() {
        let folder = tempfile::tempdir().unwrap();
        let sysctl = folder.path();
        assert_eq!(moves_pages(sysctl), None);
        std::fs::create_dir_all(sysctl.join("vm")).unwrap();
        std::fs::create_dir_all(sysctl.join("kernel")).unwrap();
        assert_eq!(moves_pages(sysctl), Some(false));
        std::fs::write(sysctl.join("kernel/numa_balancing"), "0\n").unwrap();
        assert_eq!(moves_pages(sysctl), Some(false));
        std::fs::write(sysctl.join("kernel/numa_balancing"), "1\n").unwrap();
        assert_eq!(moves_pages(sysctl), Some(true));
        std::fs::write(sysctl.join("kernel/numa_balancing"), "0\n").unwrap();
        std::fs::write(sysctl.join("vm/compact_memory"), "").unwrap();
        assert_eq!(moves_pages(sysctl), Some(true));
    }

    #[test]
    fn swap_space_is_the_sum_of_all_devices() {
        let titles = "Filename\tType\tSize\tUsed\tPriority\n";
        assert_eq!(swap_total(titles), Some(0));
        let two = format!("{titles}/dev/sda2 partition 1024 0 -2\n/swap file 1 0 -3\n");
        assert_eq!(swap_total(&two), Some(1025 * 1024));
        assert_eq!(swap_total(""), None);
        assert_eq!(swap_total(&format!("{titles}/swap file many 0 -3\n")), None);
    }
}
