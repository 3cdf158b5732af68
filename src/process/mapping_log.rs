//! What happened to the address spaces of those processes that had one id, one after the other.

use super::id::{BootTime, ProcessId};
use super::mapping::{Backing, MapsEntry};
use std::sync::Arc;

/// What a process maps.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// When its address space was made.
    pub(super) since: BootTime,
    /// It was made by an exec of which the event has not come.
    pub(super) event_due: bool,
    /// Ascending, and they do not overlap.
    pub(super) mappings: Arc<[MapsEntry]>,
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) time: BootTime,
    pub(super) change: Change,
}

/// What it was.
#[derive(Debug)]
pub(super) enum Change {
    Mapped(MapsEntry),
    /// By an exec.
    Replaced,
    /// The event of an exec, which follows the record.
    Executed,
    Forked {
        parent: ProcessId,
    },
    Exited,
}

impl Step {
    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let path = match &self.change {
            Change::Mapped(mapping) => path_bytes(mapping),
            Change::Replaced | Change::Executed | Change::Forked { .. } | Change::Exited => 0,
        };
        size_of::<Self>() + path
    }
}

impl Program {
    /// Bytes that the mappings take.
    pub(super) fn bytes(&self) -> usize {
        self.mappings.iter().map(|mapping| size_of::<MapsEntry>() + path_bytes(mapping)).sum()
    }
}

fn path_bytes(mapping: &MapsEntry) -> usize {
    match &mapping.backing {
        Backing::File { file, .. } => file.path.len(),
        Backing::Vdso | Backing::Anonymous => 0,
    }
}

/// The log of one id.
#[derive(Debug, Default)]
pub(super) struct MappingLog {
    /// What is known of the time before the steps.
    settled: Option<Program>,
    /// Ascending by time.
    steps: Vec<Step>,
    /// Bytes of the steps.
    bytes: usize,
}

/// How an address space came to be what it is at some moment.
#[derive(Debug)]
pub(super) struct Trace<'a> {
    pub(super) since: BootTime,
    pub(super) event_due: bool,
    pub(super) origin: Origin<'a>,
    /// What was mapped since, latest first.
    pub(super) mapped: Vec<&'a MapsEntry>,
}

/// What an address space was when it was made.
#[derive(Debug)]
pub(super) enum Origin<'a> {
    /// An exec made it empty.
    Empty,
    /// It is known as it was later.
    Settled(&'a Program),
    /// A copy of another's.
    Copied { parent: ProcessId },
}

impl MappingLog {
    /// Adds a step where it belongs in time.
    pub(super) fn insert(&mut self, step: Step) {
        let is_mapped = matches!(step.change, Change::Mapped(_));
        if !is_mapped && self.settled.as_ref().is_some_and(|program| step.time < program.since) {
            return; // it happened to an earlier program
        }
        self.bytes += step.bytes();
        let index = self.steps.partition_point(|other| other.time <= step.time);
        self.steps.insert(index, step);
    }

    /// Follows the process that began at `start` back from a moment to where its address space was made;
    /// `None` if that is not known.
    pub(super) fn trace(&self, start: BootTime, time: BootTime) -> Option<Trace<'_>> {
        let (mut mapped, mut executed) = (Vec::new(), false);
        for step in self.until(time).iter().rev() {
            if step.time < start {
                return None;
            }
            let since = step.time;
            match &step.change {
                Change::Mapped(mapping) => mapped.push(mapping),
                Change::Replaced => {
                    return Some(Trace { since, event_due: !executed, origin: Origin::Empty, mapped });
                }
                // An exec whose record was lost: what was mapped before it may belong to either program.
                Change::Executed | Change::Forked { .. } if executed => return None,
                Change::Executed => executed = true,
                Change::Forked { parent } => {
                    let origin = Origin::Copied { parent: *parent };
                    return Some(Trace { since, event_due: false, origin, mapped });
                }
                // Its threads may live on.
                Change::Exited => {}
            }
        }
        let program = self.settled.as_ref()?;
        let known = (start..=time).contains(&program.since) && (!executed || program.event_due);
        known.then(|| Trace {
            since: program.since,
            event_due: program.event_due && !executed,
            origin: Origin::Settled(program),
            mapped,
        })
    }

    /// Whether the process that had the id last at some moment had exited by then.
    pub(super) fn is_dead(&self, time: BootTime) -> bool {
        let deciding = self.until(time).iter().rev().find(|step| !matches!(step.change, Change::Mapped(_)));
        deciding.is_some_and(|step| matches!(step.change, Change::Exited))
    }

    /// Whether anything happened until some moment that is not settled.
    pub(super) fn is_due(&self, time: BootTime) -> bool {
        self.steps.first().is_some_and(|step| step.time <= time)
    }

    /// Puts what is known of a moment in the place of the steps until then.
    pub(super) fn settle(&mut self, time: BootTime, program: Option<Program>) {
        let count = self.until(time).len();
        self.steps.drain(..count);
        self.steps.shrink_to_fit();
        self.bytes = self.steps.iter().map(Step::bytes).sum();
        self.settled = program;
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.settled.is_none() && self.steps.is_empty()
    }

    /// When something happened last.
    pub(super) fn last_change(&self) -> BootTime {
        let settled = self.settled.as_ref().map(|program| program.since);
        self.steps.last().map(|step| step.time).or(settled).unwrap_or_default()
    }

    /// What is known of the time before the steps.
    pub(super) fn settled(&self) -> Option<&Program> {
        self.settled.as_ref()
    }

    /// Bytes of the steps.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn until(&self, time: BootTime) -> &[Step] {
        let count = self.steps.partition_point(|step| step.time <= time);
        self.steps.get(..count).unwrap_or_default()
    }
}
