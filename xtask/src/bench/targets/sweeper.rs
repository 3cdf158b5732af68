//! What removes cgroups when nobody else does any more, also if this process is killed.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Collects a directory a line, and when its input ends, kills who is in them and removes them, the last first. What
/// has just been killed is in its cgroup for another moment.
const SCRIPT: &str = "trap '' INT TERM HUP
    set --
    while read -r directory; do set -- \"$directory\" \"$@\"; done
    for directory; do
        for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            [ -d \"$directory\" ] || break
            while read -r process; do kill -s KILL \"$process\"; done <\"$directory/cgroup.procs\"
            rmdir \"$directory\" && break
            sleep 0.1
        done
    done 2>/dev/null";

/// A shell that waits for the end of this process.
pub(super) struct Sweeper(Child);

impl Sweeper {
    pub(super) fn start() -> Result<Self> {
        let mut shell = Command::new("sh");
        // In a group of its own, so that a key that interrupts this process does not interrupt it.
        shell.args(["-c", SCRIPT]).stdin(Stdio::piped()).process_group(0);
        shell.spawn().map(Self).context("cannot start sh")
    }

    /// Has a cgroup removed in the end. One that is gone by then is no trouble.
    pub(super) fn remember(&self, directory: &Path) -> Result<()> {
        let mut input = self.0.stdin.as_ref().context("the sweeper has no input")?;
        writeln!(input, "{}", directory.display()).context("the sweeper does not listen")
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take()); // this is the message
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_it_remembers_is_removed_the_last_first() {
        let outer = std::env::temp_dir().join(format!("sweeper test {}", std::process::id()));
        let inner = outer.join("inner");
        let other = outer.with_extension("other");
        let sweeper = Sweeper::start().unwrap();
        for directory in [&outer, &inner, &other] {
            fs::create_dir(directory).unwrap();
        }
        for directory in [&outer, &inner] {
            sweeper.remember(directory).unwrap();
        }
        drop(sweeper);
        assert!(!outer.exists() && other.exists());
        fs::remove_dir(other).unwrap();
    }
}
