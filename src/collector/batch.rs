//! What one look at the rings brings.

use super::account::{Account, Received};
use super::inspector::Inspector;
use super::stack_ends::StackEnds;
use crate::process::cgroup::CgroupResolver;
use crate::process::event::{ProcessChange, ProcessEvent};
use crate::process::image::ImageId;
use crate::process::table::ProcessTable;
use crate::profile::collect::{Kept, RawWindow};
use crate::sample::Record;
use crate::sample::record::RawSample;
use crate::sample::selection::Selection;
use crate::sample::tables::UnwindTables;
use parca_agent_common::unwind::StackEnd;
use std::sync::Arc;

/// Records on their way from the sampler to the window.
pub(super) struct Batch<'a> {
    pub(super) selection: Option<Arc<Selection>>,
    pub(super) processes: &'a mut ProcessTable,
    pub(super) inspector: &'a Inspector,
    pub(super) tables: Option<&'a UnwindTables>,
    pub(super) stack_ends: &'a StackEnds,
    pub(super) cgroups: &'a CgroupResolver,
    pub(super) window: &'a mut RawWindow,
    pub(super) account: &'a Account,
    /// What is to be entered in the books.
    pub(super) received: Received,
    /// A process is to be read.
    pub(super) met_process: bool,
}

impl Batch<'_> {
    /// Takes a record in.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Sample(sample) => self.add(sample),
            Record::Process(event) => self.follow(&event),
            Record::Undecodable => {
                self.received.total += 1;
                self.received.undecodable += 1;
            }
        }
    }

    /// What happened to a process, for all who know it.
    fn follow(&mut self, event: &ProcessEvent) {
        self.processes.apply(event);
        if let (Some(selection), ProcessChange::Exec) = (&self.selection, event.change) {
            selection.executed(event.process);
        }
        if let Some(tables) = self.tables {
            match event.change {
                ProcessChange::Fork { parent } => tables.forked(parent, event.process),
                ProcessChange::Exec => tables.executed(event.process, event.time),
                ProcessChange::Exit => {} // late samples may follow
            }
        }
    }

    fn add(&mut self, sample: RawSample) {
        let count = sample.count;
        self.stack_ends.add(&sample);
        // It may be gone when the window is closed.
        self.cgroups.find(sample.cgroup);
        let image = self.image_of(&sample);
        self.received.total += count;
        match self.window.add(sample, image) {
            Kept::Whole => self.received.in_window += count,
            Kept::WithoutStack => {
                self.received.in_window += count;
                self.received.without_stack += count;
            }
            Kept::Dropped => self.received.window_full += count,
        }
    }

    /// What the process ran when it was sampled; asks for the process to be read where that is due.
    fn image_of(&mut self, sample: &RawSample) -> Option<ImageId> {
        let leader_comm = (sample.thread.0 == sample.process.tgid.0).then_some(sample.comm);
        if sample.user_end == StackEnd::NoMapping || sample.unknown_process {
            self.processes.expire(sample.process, sample.time);
        }
        let observed = self.processes.observe(sample.process, sample.time, sample.cgroup, leader_comm)?;
        self.met_process |= observed.inspect;
        if observed.inspect && !self.inspector.request(sample.process) {
            self.processes.refuse(sample.process);
        }
        Some(observed.image)
    }

    /// Enters the batch in the books, as one step. Returns whether a process is to be read.
    pub(super) fn enter(self) -> bool {
        let mut books = self.account.received();
        books.total += self.received.total;
        books.in_window += self.received.in_window;
        books.undecodable += self.received.undecodable;
        books.window_full += self.received.window_full;
        books.without_stack += self.received.without_stack;
        self.met_process
    }
}
