//! Which processes are worth reading again: an address of theirs has no mapping.
//!
//! Either the process mapped code since it was read, or the kernel followed a frame pointer that was none.
//! The second is far more common, and stays so: each reading that finds nothing new doubles the wait
//! until the next.

use crate::process::id::ProcessId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(640);
/// Processes that are remembered; when there are more, all start anew.
const MAX_PROCESSES: usize = 4096;

/// When each process was last read in vain.
#[derive(Debug, Default)]
pub(super) struct Rereads {
    futile: HashMap<ProcessId, Futile>,
}

#[derive(Clone, Copy, Debug)]
struct Futile {
    at: Instant,
    wait: Duration,
}

impl Rereads {
    /// Whether a process may be read again now.
    pub(super) fn is_due(&self, process: ProcessId, now: Instant) -> bool {
        self.futile.get(&process).is_none_or(|futile| now.duration_since(futile.at) >= futile.wait)
    }

    /// Takes in whether reading a process found new mappings.
    pub(super) fn record(&mut self, process: ProcessId, now: Instant, found: bool) {
        if found {
            self.futile.remove(&process);
            return;
        }
        if self.futile.len() >= MAX_PROCESSES {
            self.futile.clear();
        }
        let wait = self.futile.get(&process).map_or(FIRST_WAIT, |futile| LONGEST_WAIT.min(2 * futile.wait));
        self.futile.insert(process, Futile { at: now, wait });
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_WAIT, LONGEST_WAIT, Rereads};
    use crate::process::id::{BootTime, ProcessId, Tgid};
    use std::time::Instant;

    #[test]
    fn each_futile_reading_doubles_the_wait_up_to_a_limit() {
        let process = ProcessId { tgid: Tgid(7), start: BootTime { nanos: 1 } };
        let (mut rereads, mut now) = (Rereads::default(), Instant::now());
        assert!(rereads.is_due(process, now));
        let mut wait = FIRST_WAIT;
        for _ in 0..12 {
            rereads.record(process, now, false);
            assert!(!rereads.is_due(process, now + wait / 2));
            assert!(rereads.is_due(process, now + wait));
            now += wait;
            wait = LONGEST_WAIT.min(2 * wait);
        }
        rereads.record(process, now, true);
        assert!(rereads.is_due(process, now));
    }
}
