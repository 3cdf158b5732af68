//! How one object file is unwound, and how that goes: what pages show.

use super::{NoTable, Source, Statistics, Table};
use crate::object::Object;
use parca_agent_common::unwind::StackEnd;
use std::sync::Arc;

/// One object file.
#[derive(Clone, Debug)]
pub struct ObjectReport {
    /// The file.
    pub object: Arc<Object>,
    /// Its table.
    pub table: TableReport,
    /// Its stacks since it was met.
    pub stacks: ObjectStacks,
}

/// How far a file's table has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableReport {
    /// The kernel has it.
    Loaded(TableSummary),
    /// The worker has it, or will.
    Underway,
    /// There is none, and will not be.
    None(NoTable),
    /// There is none now; the next process that maps the file is another chance.
    Wanted,
}

/// What a table is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSummary {
    /// Where it came from.
    pub source: Source,
    /// Different rules.
    pub rules: usize,
    /// Pages of code that it covers.
    pub pages: usize,
    /// What went into it.
    pub statistics: Statistics,
}

impl TableSummary {
    /// Of a table.
    pub fn of(table: &Table) -> Self {
        let Table { source, rules, pages, statistics, .. } = table;
        Self { source: *source, rules: rules.len(), pages: pages.len(), statistics: *statistics }
    }
}

/// Stacks with frames of one object file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectStacks {
    /// All.
    pub all: u64,
    /// Those that go back to where the program or the thread began.
    pub whole: u64,
    /// Those whose last frame is in this file, by why there is no other.
    pub ended: [u64; StackEnd::COUNT],
}
