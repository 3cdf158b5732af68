//! Who a sample belongs to. A process id alone is never a key: ids are used again.

use crate::sys::time_namespace;
use std::fmt;
use std::time::Duration;

/// Process id: the kernel's thread group id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tgid(pub u32);

impl fmt::Display for Tgid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Thread id: what the kernel calls a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u32);

/// A moment on `CLOCK_BOOTTIME`, which goes on counting while the machine is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BootTime {
    /// Nanoseconds since boot.
    pub nanos: u64,
}

const NANOS_PER_TICK: u64 = 10_000_000;

impl BootTime {
    /// Field 22 of `/proc/PID/stat` for a process that is shown to have started at this moment: it counts in hundredths
    /// of a second (`USER_HZ`, 100 on x86_64 and aarch64), rounded down.
    pub fn clock_ticks(self) -> u64 {
        self.nanos / NANOS_PER_TICK
    }

    /// The first moment that counts as this many clock ticks.
    pub fn from_clock_ticks(ticks: u64) -> Self {
        Self { nanos: ticks.saturating_mul(NANOS_PER_TICK) }
    }

    /// This moment as the boot clock and `/proc` show it to this process, whose time namespace may be set off from the
    /// kernel's own time.
    pub fn shown(self) -> Self {
        Self { nanos: self.nanos.saturating_add_signed(time_namespace::offset_nanos()) }
    }

    /// The moment that is shown so.
    pub fn from_shown(shown: Self) -> Self {
        Self { nanos: shown.nanos.saturating_add_signed(time_namespace::offset_nanos().saturating_neg()) }
    }

    /// The time from an earlier moment to this one; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

/// One process for its whole life, whatever programs it executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// The kernel's id, which another process may get later.
    pub tgid: Tgid,
    /// When the process started, which no other process of this id shares.
    pub start: BootTime,
}
