//! Tests that measure the memory of their process, and therefore need one of their own.

use std::env;
use std::process::Command;

const MARK: &str = "WASM_GW_TEST_ALONE";

/// Runs the test of this name again in a process of its own, unless this is that process: then it
/// answers true, and the test does its work.
pub fn alone(name: &str) -> bool {
    if env::var_os(MARK).is_some() {
        return true;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failed}");
    // Else the name is wrong and nothing was tested.
    assert!(said.contains("1 passed"), "{said}");
    false
}

/// How far the memory of this process rises, in MiB.
pub struct Rise {
    before: u64,
}

impl Rise {
    /// From now on.
    pub fn begin() -> Self {
        // Lowers the high-water mark to what is in use now.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self {
            before: resident("VmRSS:"),
        }
    }

    /// The highest since then, even if only for a moment.
    pub fn mib(&self) -> u64 {
        resident("VmHWM:").saturating_sub(self.before) >> 10
    }
}

/// In KiB.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
