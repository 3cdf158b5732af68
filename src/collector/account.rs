//! Where every sample went: taken = written + queued + dropped, at every moment.

use crate::metrics::{Exposition, Labels};
use crate::sample::Counters;
use parca_agent_common::counter::Counter;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the agent itself did with the samples it received. All of it changes under one lock, so that a
/// scrape never sees a sample in two places or in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Samples read from the kernel.
    pub total: u64,
    /// Of these, in the window that is being filled.
    pub in_window: u64,
    /// In windows that are being closed.
    pub closing: u64,
    /// In published windows.
    pub written: u64,
    /// Not wanted by anyone, and nevertheless sent by the kernel.
    pub unwanted: u64,
    /// Lost because their record could not be decoded.
    pub undecodable: u64,
    /// Lost because the window was full.
    pub window_full: u64,
    /// Lost because earlier windows were not closed in time.
    pub closing_full: u64,
    /// Kept, but without their stack, because the window was full. These are counted above, too.
    pub without_stack: u64,
}

/// The books of all samples.
pub struct Account {
    kernel: Counters,
    received: Mutex<Received>,
}

/// Reasons for which the kernel side drops a sample.
const KERNEL_LOSSES: [(&str, Counter); 4] = [
    ("ring_full", Counter::SampleRingFull),
    ("count_map_full", Counter::CountMapFull),
    ("outside_pid_namespace", Counter::OutsidePidNamespace),
    NOT_SELECTED,
];

/// Not wanted: of a target that is left out, or one of many of a target that is sampled less often.
const NOT_SELECTED: (&str, Counter) = ("not_selected", Counter::NotSelected);

impl Account {
    /// Empty books beside the counters of the BPF programs.
    pub fn new(kernel: Counters) -> Self {
        Self { kernel, received: Mutex::default() }
    }

    /// Changes what the agent did, as one step.
    pub fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        // The kernel's counters are read while the agent's cannot change: so what the agent received is never
        // more than what the kernel took.
        let received = self.received();
        let read = |counter| self.kernel.read(counter).unwrap_or_default();
        let lost = KERNEL_LOSSES.map(|(reason, counter)| (reason, read(counter)));
        // Last, so that no loss is counted of a sample that is not.
        let taken = read(Counter::SamplesTaken);
        let other_counters =
            [Counter::UserStackFailed, Counter::KernelStackFailed, Counter::StackCollision].map(read);
        let events_lost = read(Counter::EventRingFull);
        let received = *received;
        let lost_in_kernel: u64 = lost.iter().map(|(_, count)| count).sum();
        let in_kernel = taken.saturating_sub(lost_in_kernel + received.total);

        exposition.counter("samples_taken", "Samples that the BPF program took.", [(NONE, taken)]);
        exposition.counter("samples_written", "Samples in finished profiles.", [(NONE, received.written)]);
        let dropped = [
            lost[0],
            lost[1],
            lost[2],
            (NOT_SELECTED.0, lost[3].1 + received.unwanted),
            ("undecodable", received.undecodable),
            ("window_full", received.window_full),
            ("closing_full", received.closing_full),
        ];
        let labels = dropped.map(|(reason, _)| [("reason", reason)]);
        exposition.counter(
            "samples_dropped",
            "Samples that are in no profile, by reason.",
            labels.iter().zip(dropped).map(|(labels, (_, count))| (&labels[..], count)),
        );
        let queued = [("kernel", in_kernel), ("window", received.in_window), ("closing", received.closing)];
        let labels = queued.map(|(stage, _)| [("stage", stage)]);
        exposition.gauge(
            "samples_queued",
            "Samples taken that are in no finished profile yet, by where they are.",
            labels.iter().zip(queued).map(|(labels, (_, count))| (&labels[..], count as f64)),
        );
        let [user_failed, kernel_failed, collisions] = other_counters;
        let reasons = [
            ("user_stack_unreadable", user_failed),
            ("kernel_stack_unreadable", kernel_failed),
            ("stack_map_collision", collisions),
            ("window_full", received.without_stack),
        ];
        let labels = reasons.map(|(reason, _)| [("reason", reason)]);
        exposition.counter(
            "sample_stacks_lost",
            "Stacks that are missing from samples that were kept, by reason.",
            labels.iter().zip(reasons).map(|(labels, (_, count))| (&labels[..], count)),
        );
        exposition.counter(
            "process_events_lost",
            "Execs, exits and forks that the agent was not told of, because the ring was full.",
            [(NONE, events_lost)],
        );
    }
}

const NONE: Labels<'static> = &[];
