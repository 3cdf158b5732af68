//! The samples of the window that is being filled, as they came: raw addresses, not yet resolved.
//!
//! What an address means is often known only later, when a process has been inspected. So the window keeps
//! raw stacks, and all are resolved at once when it closes.

use crate::address::KernelAddress;
use crate::process::cgroup::CgroupId;
use crate::process::id::ProcessId;
use crate::process::image::ImageId;
use crate::profile::Thread;
use crate::sample::record::{RawSample, UserFrame};
use std::collections::HashMap;

/// Bytes of raw stacks in one window. At 300 bytes a stack, 110 000 different ones: ten seconds of 100 CPUs
/// that never see the same stack twice.
const MAX_BYTES: usize = 32 << 20;

/// What tells the stacks of a window apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawStack {
    /// The process.
    pub process: ProcessId,
    /// What it ran; `None` if the process table was full.
    pub image: Option<ImageId>,
    /// The thread.
    pub thread: Thread,
    /// Its cgroup v2.
    pub cgroup: CgroupId,
    /// It is a thread of the kernel.
    pub kernel_thread: bool,
    /// As [`RawSample::kernel_stack`].
    pub kernel: Box<[KernelAddress]>,
    /// As [`RawSample::user_stack`].
    pub user: Box<[UserFrame]>,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It counts with its stack.
    Whole,
    /// The window was full: it counts, without its stack.
    WithoutStack,
    /// The window was full of threads, too: it is lost.
    Dropped,
}

/// How often a stack was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Samples that the kernel sent.
    pub samples: u64,
    /// What they stand for: more, if few of the process are kept.
    pub value: u64,
}

/// A window that is being filled.
#[derive(Debug, Default)]
pub struct RawWindow {
    stacks: HashMap<RawStack, Tally>,
    bytes: usize,
    samples: u64,
}

impl RawWindow {
    /// Counts a sample.
    pub fn add(&mut self, sample: RawSample, image: Option<ImageId>) -> Kept {
        let (count, value) = (sample.count, sample.count * u64::from(sample.weight));
        let mut stack = RawStack {
            process: sample.process,
            image,
            thread: Thread { tgid: sample.process.tgid, tid: sample.thread, name: sample.comm },
            cgroup: sample.cgroup,
            kernel_thread: sample.kernel_thread,
            kernel: sample.kernel_stack.into(),
            user: sample.user_stack.into(),
        };
        let mut kept = Kept::Whole;
        if self.bytes >= MAX_BYTES && !self.stacks.contains_key(&stack) {
            (stack.kernel, stack.user) = Default::default();
            kept = Kept::WithoutStack;
        }
        // Samples without a stack are few, one for each thread; a thread bomb needs a bound all the same.
        if self.bytes >= 2 * MAX_BYTES && !self.stacks.contains_key(&stack) {
            return Kept::Dropped;
        }
        let bytes = size_of::<(RawStack, Tally)>() + size_of_val(&*stack.kernel) + size_of_val(&*stack.user);
        let tally = self.stacks.entry(stack).or_insert_with(|| {
            self.bytes += bytes;
            Tally::default()
        });
        tally.samples += count;
        tally.value += value;
        self.samples += count;
        kept
    }

    /// Samples in the window.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Every stack and how often it was seen.
    pub fn iter(&self) -> impl Iterator<Item = (&RawStack, Tally)> {
        self.stacks.iter().map(|(stack, tally)| (stack, *tally))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, MAX_BYTES, RawWindow, Tally};
    use crate::address::{KernelAddress, UserAddress};
    use crate::process::cgroup::CgroupId;
    use crate::process::comm::Comm;
    use crate::process::id::{BootTime, ProcessId, Tgid, ThreadId};
    use crate::sample::record::{RawSample, UserFrame};
    use parca_agent_common::unwind::StackEnd;

    fn sample(user: Vec<u64>) -> RawSample {
        RawSample {
            time: BootTime { nanos: 1 },
            process: ProcessId { tgid: Tgid(7), start: BootTime { nanos: 1 } },
            thread: ThreadId(7),
            comm: Comm::new(b"a"),
            cgroup: CgroupId(1),
            kernel_thread: false,
            kernel_stack: vec![KernelAddress(1)],
            user_stack: user.into_iter().map(|address| UserFrame::Address(UserAddress(address))).collect(),
            user_end: StackEnd::Complete,
            guessed: false,
            unknown_process: false,
            count: 2,
            weight: 1,
        }
    }

    #[test]
    fn equal_stacks_are_counted_together() {
        let mut window = RawWindow::default();
        window.add(sample(vec![1, 2]), None);
        window.add(sample(vec![1, 2]), None);
        window.add(sample(vec![1, 3]), None);
        assert_eq!(window.iter().count(), 2);
        assert_eq!(window.samples(), 6);
    }

    #[test]
    fn a_sample_that_stands_for_others_counts_for_them() {
        let mut window = RawWindow::default();
        window.add(RawSample { weight: 10, ..sample(vec![1]) }, None);
        window.add(sample(vec![1]), None);
        let tallies: Vec<_> = window.iter().map(|(_, tally)| tally).collect();
        assert_eq!(tallies, [Tally { samples: 4, value: 22 }]);
        assert_eq!(window.samples(), 4, "the books are of samples");
    }

    #[test]
    fn a_full_window_keeps_samples_without_their_stacks() {
        let mut window = RawWindow::default();
        let frames_to_fill = (MAX_BYTES / size_of::<UserFrame>()) as u64;
        assert_eq!(window.add(sample((0..frames_to_fill).collect()), None), Kept::Whole);
        assert_eq!(window.add(sample(vec![5]), None), Kept::WithoutStack);
        assert_eq!(window.add(sample(vec![6]), None), Kept::WithoutStack);
        assert_eq!(window.samples(), 6);
        assert_eq!(window.iter().count(), 2);
    }
}
