//! One timer a CPU, each running the sampling program; CPUs that come and go are followed.

use super::cpus;
use crate::sys::perf_event::{CpuId, sample_cpu};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// The timers of all online CPUs. Dropping it stops them.
#[derive(Debug)]
pub(super) struct SamplingClock {
    period: Duration,
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
        Self { period, events: BTreeMap::new() }
    }

    /// Starts a timer on each CPU that came online, and forgets those that left. An error means that no
    /// CPU at all could be attached.
    pub(super) fn follow(&mut self, program: BorrowedFd<'_>) -> io::Result<Attached> {
        let online = cpus::online()?;
        // The kernel turns the event of a CPU that goes offline off, and leaves it off.
        self.events.retain(|cpu, _| online.contains(cpu));
        let mut failure = None;
        for cpu in &online {
            if self.events.contains_key(cpu) {
                continue;
            }
            match sample_cpu(*cpu, self.period, program) {
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
