//! One timer a CPU, each running the sampling program; CPUs that come and go are followed.

use super::per_cpu::{Attached, PerCpu};
use crate::sys::perf_event::sample_cpu;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// The timers of all online CPUs. Dropping it stops them.
#[derive(Debug)]
pub(super) struct SamplingClock {
    period: Duration,
    events: PerCpu<OwnedFd>,
}

impl SamplingClock {
    /// Starts no timer yet; [`Self::follow`] does.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, events: PerCpu::new() }
    }

    /// Starts a timer on each CPU that came online, and forgets those that left. An error means that no
    /// CPU at all could be attached.
    pub(super) fn follow(&mut self, program: BorrowedFd<'_>) -> io::Result<Attached> {
        self.events.follow(|cpu| sample_cpu(cpu, self.period, program), drop)
    }

    /// Stops every timer.
    pub(super) fn stop(&mut self) {
        self.events.clear();
    }
}
