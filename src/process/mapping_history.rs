//! What every process maps and lately mapped, from the records of the perf side-band: also of processes that
//! are dead, for whom `/proc` has no answer.
//!
//! ```text
//!        fork      Replaced  Mapped Mapped Mapped   Exec          Mapped    Exit
//! time ---|-----------|---------|------|------|------|----------- ---|--------|--->
//!      like parent    |   executable  ld.so  vdso    |             libc
//!                     +- address space of the new program
//! ```
//! Measured on Linux 6.18: an exec first replaces the address space, then maps what the kernel itself maps,
//! and then is told as [`ProcessChange::Exec`]; 0.1 to 0.4 ms lie between. So the mappings of a program start
//! with [`MappingChange::Replaced`], and the event only serves to see that such a record was lost.
//!
//! The history takes records and events in any order, for they come through one ring for each CPU and one
//! more, and tells them apart by their times. It answers for a moment once all records of that moment were
//! taken in; asked earlier, it answers with what it has. It does no I/O and has no clock.
//!
//! Not known, and never answered for: a process whose program started before the records. Not told by the
//! kernel: `munmap` (a later mapping at the same place overrides the earlier one), `mremap`, and that a child
//! of `vfork` works in its parent's address space.

use super::event::{ProcessChange, ProcessEvent};
use super::id::{BootTime, ProcessId, Tgid};
use super::mapping::MapsEntry;
use super::mapping_log::{Change, MappingLog, Origin, Program, Step, Trace};
use super::mapping_record::{MappingChange, MappingRecord};
use super::overlay::overlay;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Processes that are kept at most; when there are more, an eighth of them is dropped, oldest first.
pub const MAX_PROCESSES: usize = 16 * 1024;
/// Bytes that all mappings may take, with the same rule. The exec of a small program takes 700: room for
/// 12 000, or 24 seconds of 500 a second.
pub const MAX_BYTES: usize = 8 << 20;
/// Bytes that the mappings of one process may take: some 1800. A process with more is forgotten until it
/// executes again; it lives long enough to be read from `/proc`.
pub const MAX_BYTES_OF_ONE: usize = 256 << 10;
/// How late a record may come, and for how long the dead may be asked for. After this time the mappings of
/// the living are put together, and it can no longer be told which of them came when.
const SETTLED: Duration = Duration::from_secs(5);
/// Forks from one to the next without exec that are followed, when none of them is settled.
const MAX_GENERATIONS: usize = 16;

/// The mappings of all processes, as far as they are known.
#[derive(Debug, Default)]
pub struct MappingHistory {
    processes: HashMap<Tgid, MappingLog>,
    bytes: usize,
    dropped: u64,
}

impl MappingHistory {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many processes are remembered, dead ones too.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether no process is remembered.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Bytes that the mappings take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many processes were forgotten for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes in a record of the side-band.
    pub fn record(&mut self, record: MappingRecord) {
        let change = match record.change {
            MappingChange::Mapped(mapping) => Change::Mapped(mapping),
            MappingChange::Replaced => Change::Replaced,
        };
        self.insert(record.tgid, Step { time: record.time, change });
    }

    /// Takes in a change in the life of a process.
    pub fn apply(&mut self, event: &ProcessEvent) {
        let change = match event.change {
            ProcessChange::Exec => Change::Executed,
            ProcessChange::Fork { parent } => Change::Forked { parent },
            ProcessChange::Exit => Change::Exited,
        };
        self.insert(event.process.tgid, Step { time: event.time, change });
    }

    /// The executable mappings that a process had at a moment of its life, ascending; `None` if they are
    /// not known. Its start must be exact: it tells the process from others of the same id.
    pub fn mappings_at(&self, process: ProcessId, time: BootTime) -> Option<Vec<MapsEntry>> {
        if process.start == BootTime::default() {
            return None; // the kernel did not tell it
        }
        self.program_at(process, time, MAX_GENERATIONS).map(|program| program.mappings.to_vec())
    }

    /// Puts together what is settled, and forgets the dead. To be called when everything was asked for that
    /// is older than five seconds; the bounds rest on it being called often, such as at the end of a window.
    pub fn purge(&mut self, now: BootTime) {
        let nanos = u64::try_from(SETTLED.as_nanos()).unwrap_or(u64::MAX);
        let horizon = BootTime { nanos: now.nanos.saturating_sub(nanos) };
        // All first: a child needs to know what its parent mapped when it was forked.
        let due = self.processes.iter().filter(|(_, log)| log.is_due(horizon));
        let settled: Vec<_> = due.map(|(tgid, log)| (*tgid, self.settled_at(log, horizon))).collect();
        for (tgid, program) in settled {
            let too_large = program.as_ref().is_some_and(|program| program.bytes() > MAX_BYTES_OF_ONE);
            self.dropped += u64::from(too_large);
            if let Some(log) = self.processes.get_mut(&tgid) {
                log.settle(horizon, program.filter(|_| !too_large));
            }
        }
        self.processes.retain(|_, log| !log.is_empty());
        // A burst of processes must not hold its memory for ever.
        self.processes.shrink_to(2 * self.processes.len());
        self.count_bytes();
    }

    fn settled_at(&self, log: &MappingLog, horizon: BootTime) -> Option<Program> {
        if log.is_dead(horizon) {
            return None;
        }
        self.program(log.trace(BootTime::default(), horizon)?, MAX_GENERATIONS)
    }

    fn program_at(&self, process: ProcessId, time: BootTime, generations: usize) -> Option<Program> {
        let log = self.processes.get(&process.tgid)?;
        self.program(log.trace(process.start, time)?, generations)
    }

    fn program(&self, trace: Trace<'_>, generations: usize) -> Option<Program> {
        let Trace { since, event_due, origin, mapped } = trace;
        let original = match origin {
            Origin::Empty => Arc::default(),
            Origin::Settled(program) => program.mappings.clone(),
            Origin::Copied { parent } => {
                self.program_at(parent, since, generations.checked_sub(1)?)?.mappings
            }
        };
        if mapped.is_empty() {
            return Some(Program { since, event_due, mappings: original });
        }
        let mut mappings = original.to_vec();
        for mapping in mapped.into_iter().rev() {
            overlay(&mut mappings, mapping.clone());
        }
        Some(Program { since, event_due, mappings: mappings.into() })
    }

    fn insert(&mut self, tgid: Tgid, step: Step) {
        let is_new = !self.processes.contains_key(&tgid);
        if self.bytes + step.bytes() > MAX_BYTES || is_new && self.processes.len() >= MAX_PROCESSES {
            self.make_room();
        }
        let log = self.processes.entry(tgid).or_default();
        let before = log.bytes();
        log.insert(step);
        let after = log.bytes();
        self.bytes += after - before;
        if after > MAX_BYTES_OF_ONE {
            self.processes.remove(&tgid);
            self.bytes = self.bytes.saturating_sub(after);
            self.dropped += 1;
        }
    }

    /// Drops those to whom nothing happened for the longest time.
    fn make_room(&mut self) {
        self.count_bytes();
        while self.processes.len() >= MAX_PROCESSES || self.bytes > MAX_BYTES / 8 * 7 {
            let mut changes: Vec<_> = self.processes.values().map(MappingLog::last_change).collect();
            let Some(count) = changes.len().checked_sub(1).map(|last| last / 8) else { return };
            let (_, oldest, _) = changes.select_nth_unstable(count);
            let oldest = *oldest;
            let before = self.processes.len();
            self.processes.retain(|_, log| log.last_change() > oldest);
            self.dropped += (before - self.processes.len()) as u64;
            self.count_bytes();
        }
    }

    /// Mappings that processes share are counted once.
    fn count_bytes(&mut self) {
        let mut counted = HashSet::new();
        self.bytes = self
            .processes
            .values()
            .map(|log| {
                let settled = log.settled().filter(|program| counted.insert(Arc::as_ptr(&program.mappings)));
                log.bytes() + settled.map_or(0, Program::bytes)
            })
            .sum();
    }
}

#[cfg(test)]
mod tests;
