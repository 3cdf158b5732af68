//! What is known of how each object file is unwound, for people.

use super::library::ObjectLibrary;
use super::stack_ends::StackEnds;
use super::tabulator::Standing;
use crate::object::ObjectId;
use crate::sample::tables::UnwindTables;
use crate::unwind::report::{ObjectReport, TableReport};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where the facts are.
pub struct UnwindReport {
    objects: Arc<ObjectLibrary>,
    stack_ends: Arc<StackEnds>,
    tables: Option<Arc<UnwindTables>>,
}

impl UnwindReport {
    /// Of a running collector.
    pub fn new(
        objects: Arc<ObjectLibrary>,
        stack_ends: Arc<StackEnds>,
        tables: Option<Arc<UnwindTables>>,
    ) -> Self {
        Self { objects, stack_ends, tables }
    }

    /// Every object file that had stacks or was to have a table, the one with the most stacks first.
    pub fn objects(&self) -> Vec<ObjectReport> {
        let stacks = self.stack_ends.of_objects();
        let standings = self.objects.tabulator().map(|tabulator| tabulator.standings()).unwrap_or_default();
        let ids: BTreeSet<ObjectId> = stacks.keys().chain(standings.keys()).copied().collect();
        let mut reports: Vec<_> = ids
            .into_iter()
            .filter_map(|id| {
                let loaded = self.tables.as_ref().is_some_and(|tables| tables.has_table(id));
                let table = match standings.get(&id) {
                    Some(Standing::Built(summary)) if loaded => TableReport::Loaded(*summary),
                    Some(Standing::Underway) => TableReport::Underway,
                    Some(Standing::Never(reason)) => TableReport::None(*reason),
                    Some(Standing::Built(_) | Standing::NotBefore(_)) | None => TableReport::Wanted,
                };
                let stacks = stacks.get(&id).copied().unwrap_or_default();
                Some(ObjectReport { object: self.objects.get(id)?, table, stacks })
            })
            .collect();
        reports.sort_by(|one, other| {
            (other.stacks.all, &one.object.path).cmp(&(one.stacks.all, &other.object.path))
        });
        reports
    }
}
