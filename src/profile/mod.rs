//! Profiles: the samples of one window of time, grouped by target.
//!
//! A [`Window`] is whole and unchanging once it is published. It holds everything needed to encode or
//! show any of its profiles, also after the processes, and the agent's caches, have forgotten them.

pub mod collect;
pub mod frame;
pub mod publish;
pub mod resolve;
pub mod stack;

use crate::address::KernelAddress;
use crate::discovery::target::Target;
use crate::object::{Object, ObjectId};
use crate::process::comm::Comm;
use crate::process::id::{Tgid, ThreadId};
use crate::symbolize::kernel::KernelSymbol;
use frame::Frame;
use stack::{StackId, StackTable};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Number of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SampleCount(pub u64);

/// All samples of the host between two moments.
#[derive(Debug)]
pub struct Window {
    /// Wall-clock time at which it began.
    pub start: SystemTime,
    /// How long it lasted, by the monotonic clock.
    pub duration: Duration,
    /// Time between two samples of one CPU.
    pub period: Duration,
    /// The stacks that the samples name.
    pub stacks: StackTable,
    /// Every object file that a frame names.
    pub objects: BTreeMap<ObjectId, Arc<Object>>,
    /// The name of every kernel address that a frame holds and that has one.
    pub kernel_symbols: BTreeMap<KernelAddress, KernelSymbol>,
    /// One profile for each target that had samples, in the order of labels.
    pub profiles: Vec<Profile>,
}

impl Window {
    /// The sum of all samples in all profiles.
    pub fn total(&self) -> SampleCount {
        SampleCount(self.profiles.iter().map(|profile| profile.total().0).sum())
    }

    /// In how many samples each object file is, however often in one.
    pub fn samples_by_object(&self) -> BTreeMap<ObjectId, SampleCount> {
        let mut counts = BTreeMap::new();
        let mut met = Vec::new();
        for sample in self.profiles.iter().flat_map(|profile| &profile.samples) {
            met.clear();
            for frame in self.stacks.frames(sample.stack) {
                if let Frame::Object { object, .. } = frame
                    && !met.contains(object)
                {
                    met.push(*object);
                    counts.entry(*object).or_insert(SampleCount(0)).0 += sample.count.0;
                }
            }
        }
        counts
    }
}

/// The samples of one target in one window.
#[derive(Debug)]
pub struct Profile {
    /// Whose they are.
    pub target: Arc<Target>,
    /// Each differs from the others in its stack or its thread.
    pub samples: Vec<Sample>,
}

impl Profile {
    /// The sum of all samples.
    pub fn total(&self) -> SampleCount {
        SampleCount(self.samples.iter().map(|sample| sample.count.0).sum())
    }
}

/// One stack of one thread, and how often it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// In [`Window::stacks`].
    pub stack: StackId,
    /// The thread.
    pub thread: Thread,
    /// How often.
    pub count: SampleCount,
}

/// The thread that a sample was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thread {
    /// Its process.
    pub tgid: Tgid,
    /// Its own id.
    pub tid: ThreadId,
    /// Its name when the sample was taken.
    pub name: Comm,
}
