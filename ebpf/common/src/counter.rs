//! Counters kept by the BPF programs, one slot each in a per-CPU array.

/// One thing that happened in a BPF program. The discriminant is the index in the per-CPU array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// A sample was taken: the timer hit a task other than the idle task.
    SamplesTaken = 0,
    /// The sample ring had no room; the sample is lost.
    SampleRingFull = 1,
    /// `baseline` only: the user stack could not be read; the sample went out without it.
    UserStackFailed = 2,
    /// The kernel stack could not be read; the sample went out without it.
    KernelStackFailed = 3,
    /// The event ring had no room; an exec, exit or fork went unseen.
    EventRingFull = 4,
    /// `baseline` only: the count map had no room; the sample is lost.
    CountMapFull = 5,
    /// `baseline` only: two different stacks fell in one bucket of the stack map; the sample went out
    /// without the second.
    StackCollision = 6,
    /// The agent decided that samples of this process or cgroup are not wanted, or not this one of several.
    NotSelected = 7,
    /// `modern` only: the task has no id in the pid namespace of the agent's `/proc`; the sample is not sent.
    OutsidePidNamespace = 8,
}

impl Counter {
    /// Slots in the per-CPU array.
    pub const COUNT: u32 = 9;
}

#[cfg(feature = "user")]
impl Counter {
    /// Every counter, in slot order.
    pub const ALL: [Self; Self::COUNT as usize] = [
        Self::SamplesTaken,
        Self::SampleRingFull,
        Self::UserStackFailed,
        Self::KernelStackFailed,
        Self::EventRingFull,
        Self::CountMapFull,
        Self::StackCollision,
        Self::NotSelected,
        Self::OutsidePidNamespace,
    ];
}

#[cfg(all(test, feature = "user"))]
mod tests {
    use super::Counter;

    #[test]
    fn all_lists_every_slot_in_order() {
        for (slot, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, slot);
        }
    }
}
