//! How much of something there is.

use super::entry::Entry;
use std::ops::{AddAssign, SubAssign};

/// Entries, the samples in them, and their bytes in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Entries.
    pub entries: u64,
    /// Samples of all of them.
    pub samples: u64,
    /// Bytes of all of them ([`Entry::bytes`]).
    pub bytes: u64,
}

impl Amount {
    /// Of one entry.
    pub fn of(entry: &Entry) -> Self {
        Self { entries: 1, samples: entry.samples, bytes: entry.bytes() }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.samples += other.samples;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.entries -= other.entries;
        self.samples -= other.samples;
        self.bytes -= other.bytes;
    }
}
