//! One timer a CPU, each running the sampling program; CPUs that come and go are followed.
//!
//! A program that wakes up by a timer of its own, each 5 ms say, would meet a timer of 10 ms always at the
//! same point of its work, or never. So the period is a little longer for a while, then as much shorter.

use super::cpus;
use crate::sys::perf_event::{CpuId, sample_cpu, set_period};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The part of the period by which it is longer or shorter: within 71 samples all points of a rhythm of half
/// the period were met.
const VARIATION: u32 = 143;

/// The timers of all online CPUs. Dropping it stops them.
#[derive(Debug)]
pub(super) struct SamplingClock {
    period: Duration,
    longer: bool,
    events: BTreeMap<CpuId, OwnedFd>,
}

/// What [`SamplingClock::follow`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// CPUs that are online.
    pub online: usize,
    /// CPUs that have a timer.
    pub attached: usize,
}

impl SamplingClock {
    /// Starts no timer yet; [`Self::follow`] does.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, longer: false, events: BTreeMap::new() }
    }

    /// Starts a timer on each CPU that came online, and forgets those that left; those that stay get their other
    /// period. An error means that no CPU at all could be attached.
    pub(super) fn follow(&mut self, program: BorrowedFd<'_>) -> io::Result<Attached> {
        self.longer = !self.longer;
        let period = varied(self.period, self.longer);
        let online = cpus::online()?;
        // The kernel turns the event of a CPU that goes offline off, and leaves it off.
        self.events.retain(|cpu, _| online.contains(cpu));
        let mut failure = None;
        for cpu in &online {
            if let Some(event) = self.events.get(cpu) {
                // It costs half a period once in a while; on failure the timer goes on as it was.
                let _ = set_period(event.as_fd(), period);
                continue;
            }
            match sample_cpu(*cpu, period, program) {
                Ok(event) => drop(self.events.insert(*cpu, event)),
                // A CPU that left since the list was read gives ENODEV; the next round sees it gone.
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if self.events.is_empty() => Err(error),
            _ => Ok(Attached { online: online.len(), attached: self.events.len() }),
        }
    }

    /// Stops every timer.
    pub(super) fn stop(&mut self) {
        self.events.clear();
    }
}

fn varied(period: Duration, longer: bool) -> Duration {
    let variation = period / VARIATION;
    if longer { period + variation } else { period - variation }
}

#[cfg(test)]
mod tests {
    use super::varied;
    use std::time::Duration;

    #[test]
    fn both_periods_together_are_twice_the_nominal_one() {
        for nominal in [Duration::from_millis(10), Duration::from_micros(100), Duration::from_secs(1)] {
            let (longer, shorter) = (varied(nominal, true), varied(nominal, false));
            assert_eq!(longer + shorter, nominal * 2);
            assert!(longer > shorter);
        }
    }
}
