//! One target's profile of one window, as the store takes it.

use super::message::ExecutableInfo;
use crate::label::LabelSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What waits to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Those of the target, which name its series.
    pub labels: Arc<LabelSet>,
    /// Start of the window.
    pub start: SystemTime,
    /// Length of the window.
    pub duration: Duration,
    /// Samples in the profile.
    pub samples: u64,
    /// The profile, as gzip-compressed pprof.
    pub profile: Vec<u8>,
    /// One for each mapping of the profile, in its order.
    pub executables: Vec<ExecutableInfo>,
}

/// What a queue knows of each entry beside it, and what the allocator adds: 820 bytes by the resident memory of
/// 20 000 entries.
const OVERHEAD: usize = 832;

impl Entry {
    /// Bytes that it takes in a queue, its labels as if nobody else had them. In a request it takes less.
    pub fn bytes(&self) -> u64 {
        let executables = size_of_val(self.executables.as_slice());
        let bytes = size_of::<Self>() + OVERHEAD + self.labels.bytes() + self.profile.len() + executables;
        bytes as u64
    }

    /// End of the window.
    pub fn end(&self) -> SystemTime {
        self.start.checked_add(self.duration).unwrap_or(self.start)
    }

    /// Gives back what it does not need as long as it stays as it is.
    pub(super) fn shrink(&mut self) {
        self.profile.shrink_to_fit();
        self.executables.shrink_to_fit();
    }
}
