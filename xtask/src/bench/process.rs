//! Processor time and memory of a process and all that come from it.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;

use super::host;

/// A process tree's use of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Processor time so far, of children that ended too.
    pub(super) cpu: Duration,
    /// Most memory that each had, added; they need not have had it at the same time.
    pub(super) peak_bytes: u64,
    /// Memory now.
    pub(super) resident_bytes: u64,
}

/// Adds up a process and its descendants.
pub(super) fn tree(root: u32) -> Usage {
    let mut usage = Usage::default();
    for id in members(root) {
        // One that ended meanwhile is in its parent's account.
        let Some(one) = usage_of(id) else { continue };
        usage.cpu += one.cpu;
        usage.peak_bytes += one.peak_bytes;
        usage.resident_bytes += one.resident_bytes;
    }
    usage
}

/// A process and its descendants. Only these are looked at: to read of a stranger may block for as long as
/// that one waits for a file system.
pub(super) fn members(root: u32) -> BTreeSet<u32> {
    let mut members = BTreeSet::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if members.insert(id) {
            open.extend(children(id));
        }
    }
    members
}

/// The children that each thread of a process has; none where the process has gone.
fn children(id: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn usage_of(id: u32) -> Option<Usage> {
    let children = cpu_of_children(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?;
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let cpu = cpu_of(id)? + children;
    Some(Usage { cpu, peak_bytes: bytes(&status, "VmHWM:")?, resident_bytes: bytes(&status, "VmRSS:")? })
}

/// Time that all threads of a process have run, also those that ended: nanoseconds, where `/proc` has only
/// hundredths of a second.
fn cpu_of(id: u32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(id).ok()?)).ok()?;
    Some(clock.now().ok()?.into())
}

/// From the text of `/proc/PID/stat`: time of children that ended and were waited for.
fn cpu_of_children(text: &str) -> Option<Duration> {
    // The name before may hold anything, spaces and parentheses too.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // Numbered from 3, as in proc_pid_stat(5).
    let field = |number: usize| fields.get(number - 3)?.trim().parse::<u64>().ok();
    Some(host::ticks(field(16)? + field(17)?))
}

/// A line of `/proc/PID/status` in kB.
fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 2 3 4 100 50 20 10 20 0 1 0 5 6 7\n";
        assert_eq!(cpu_of_children(text), Some(Duration::from_millis(300)));
        assert_eq!(cpu_of_children("7 (a"), None);
    }

    #[test]
    fn a_grandchild_belongs_to_the_tree_and_a_stranger_does_not() {
        let mut stranger = Command::new("sleep").arg("10").spawn().unwrap();
        let mut shell = Command::new("sh").args(["-c", "sleep 10; true"]).spawn().unwrap();
        let start = std::time::Instant::now();
        let found = loop {
            let found = members(shell.id());
            if found.len() == 2 || start.elapsed() > Duration::from_secs(5) {
                break found;
            }
        };
        for id in found.iter().filter(|id| **id != shell.id()) {
            Command::new("kill").arg(id.to_string()).status().unwrap();
        }
        for child in [&mut stranger, &mut shell] {
            let _ = child.kill();
            child.wait().unwrap();
        }
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(!found.contains(&stranger.id()));
    }

    #[test]
    fn memory_is_read_by_name() {
        let status = "VmPeak:\t  900 kB\nVmHWM:\t  120 kB\nVmRSS:\t  100 kB\n";
        assert_eq!(bytes(status, "VmHWM:"), Some(122_880));
        assert_eq!(bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_run_and_has_memory() {
        let usage = tree(std::process::id());
        assert!(usage.cpu > Duration::ZERO && usage.resident_bytes > 100_000, "{usage:?}");
        assert!(usage.peak_bytes >= usage.resident_bytes, "{usage:?}");
    }
}
