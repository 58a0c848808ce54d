//! What the system gives this process: cores, the limits of its control groups, the machine's memory.

use std::path::Path;

/// Where control groups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";

/// The cores that this process may use; one if that cannot be found out.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The memory that this process may use, in bytes: the machine's, or less where a control group says
/// so. None if nothing can be found out.
pub(crate) fn memory() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo");
    let machine = machine.ok().as_deref().and_then(machine_memory);
    // The second is that of the older control groups, as a container sees its own.
    let older = Path::new(GROUPS).join("memory/memory.limit_in_bytes");
    let limits = [machine, group_limit("memory.max"), number(&older)];
    limits.into_iter().flatten().min()
}

/// The smallest number in this file from this process's control group up to the root; none where
/// nothing is limited.
fn group_limit(file: &str) -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    least(Path::new(GROUPS), &groups, file)
}

/// The same, for the group (`0::/...` of `/proc/self/cgroup`) in the tree that is mounted at `root`.
fn least(root: &Path, groups: &str, file: &str) -> Option<u64> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // A group outside of what is mounted here says nothing about this process.
    if group.split('/').any(|part| part == "..") {
        return None;
    }
    let mut least = None;
    let mut folder = root.join(group);
    while folder.starts_with(root) {
        least = match (least, number(&folder.join(file))) {
            (Some(a), Some(b)) => Some(u64::min(a, b)),
            (a, b) => a.or(b),
        };
        if !folder.pop() {
            break;
        }
    }
    least
}

/// The number that is all of a file; none for `max`.
fn number(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.trim().parse().ok()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn machine_memory(info: &str) -> Option<u64> {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_on_the_way_to_the_root_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let inner = root.join("outer/inner");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.swap.max"), "max\n").unwrap();
        std::fs::write(root.join("outer/memory.swap.max"), "0\n").unwrap();
        let least = |groups| least(root, groups, "memory.swap.max");
        assert_eq!(least("0::/outer/inner\n"), Some(0));
        assert_eq!(least("0::/\n"), None);
        assert_eq!(least("1:cpu:/outer\n"), None);
        assert_eq!(least("0::/../outer\n"), None);
    }

    #[test]
    fn the_memory_of_the_machine_is_in_kibibytes() {
        let info = "MemTotal:       24689764 kB\nMemFree:         1000 kB\n";
        assert_eq!(machine_memory(info), Some(24_689_764 * 1024));
        assert_eq!(machine_memory("MemFree: 1 kB\n"), None);
        assert_eq!(machine_memory("MemTotal: many kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn there_is_some_memory_here() {
        assert!(memory().unwrap() > 1 << 20);
    }
}
