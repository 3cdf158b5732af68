//! The kernel's account of BPF run time, which is off unless someone asks: it costs each run two readings
//! of a clock.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Writes what it is told when its input ends.
const WATCHER: &str = "trap '' INT TERM HUP; read -r _; echo \"$0\" >\"$1\"";

/// Keeps the account switched on. What was set before comes back when this is dropped, and also when this
/// process is killed: a shell waits for its end.
pub(super) struct BpfStatistics {
    watcher: Child,
}

impl BpfStatistics {
    pub(super) fn enable() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).with_context(|| format!("cannot read {SWITCH}"))?;
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCHER, before.trim(), SWITCH]).stdin(Stdio::piped()).process_group(0);
        let watcher = shell.spawn().context("cannot start sh")?;
        let statistics = Self { watcher };
        fs::write(SWITCH, "1").with_context(|| format!("cannot write {SWITCH}"))?;
        Ok(statistics)
    }
}

impl Drop for BpfStatistics {
    fn drop(&mut self) {
        if let Some(mut input) = self.watcher.stdin.take() {
            let _ = input.flush(); // closing it is the message
        }
        let _ = self.watcher.wait();
    }
}
