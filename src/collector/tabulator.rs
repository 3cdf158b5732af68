//! Sees to it that the code of running processes has unwind tables in the kernel.
//!
//! A process is read, an object of it has no table, the worker makes one, and the kernel side gets it. Until then
//! its stacks are followed by frame pointers, and marked as guessed.

use crate::metrics::{Counter, Exposition};
use crate::object::ObjectId;
use crate::object::open::FileIdentity;
use crate::sample::tables::{Load, UnwindTables};
use crate::unwind::report::TableSummary;
use crate::unwind::{NoTable, Table};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time until an object whose table did not fit, or did not get to the worker, is tried again.
const RETRY: Duration = Duration::from_secs(300);

/// Objects that are remembered, of which some may be forgotten elsewhere. When there are more, all start anew.
const MAX_REMEMBERED: usize = 16_384;

/// Which objects want a table.
pub struct Tabulator {
    tables: Arc<UnwindTables>,
    standings: Mutex<HashMap<ObjectId, Standing>>,
    built: Counter,
    refused: [Counter; NoTable::ALL.len()],
}

/// How far an object's table has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The worker has it, or will.
    Underway,
    /// It was made and loaded. The kernel side knows whether it is still there.
    Built(TableSummary),
    /// It cannot have one.
    Never(NoTable),
    /// It is tried again, but not before then.
    NotBefore(Instant),
}

impl Tabulator {
    /// For tables that are empty.
    pub fn new(tables: Arc<UnwindTables>) -> Self {
        Self { tables, standings: Mutex::default(), built: Counter::default(), refused: Default::default() }
    }

    /// Whether the caller is to have a table made of an object and to say how that went by [`Self::finished`].
    pub fn wants(&self, object: ObjectId, now: Instant) -> bool {
        if self.tables.has_table(object) {
            return false;
        }
        let mut standings = self.lock();
        match standings.get(&object) {
            Some(Standing::Underway | Standing::Never(_)) => return false,
            Some(Standing::NotBefore(moment)) if now < *moment => return false,
            // Built, and it had to make room for others since.
            Some(Standing::Built(_) | Standing::NotBefore(_)) | None => {}
        }
        if standings.len() >= MAX_REMEMBERED {
            standings.clear();
        }
        standings.insert(object, Standing::Underway);
        true
    }

    /// Takes in what became of the table of an object, whose file is this if it has one: it goes to the kernel, or the
    /// reason is kept.
    pub fn finished(
        &self,
        object: ObjectId,
        file: Option<FileIdentity>,
        result: &Result<Table, NoTable>,
        now: Instant,
    ) {
        let later = Standing::NotBefore(now + RETRY);
        let standing = match result {
            Ok(table) => {
                self.built.increment();
                match self.tables.load(object, file, table, table.digest()) {
                    Load::Done => Standing::Built(TableSummary::of(table)),
                    Load::NoRoom => later,
                }
            }
            Err(reason) => {
                self.count(*reason);
                if reason.is_final() { Standing::Never(*reason) } else { later }
            }
        };
        self.lock().insert(object, standing);
    }

    /// How far each object's table has come.
    pub fn standings(&self) -> HashMap<ObjectId, Standing> {
        self.lock().clone()
    }

    /// The file could not be opened this time.
    pub fn gave_up(&self, object: ObjectId) {
        self.lock().remove(&object);
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        let refused = NoTable::ALL.iter().zip(&self.refused);
        let results = [("ok", self.built.get())]
            .into_iter()
            .chain(refused.map(|(reason, counter)| (reason.name(), counter.get())));
        let results: Vec<_> = results.map(|(name, count)| ([("result", name)], count)).collect();
        exposition.counter(
            "unwind_tables_built",
            "Object files that were to have an unwind table, by result.",
            results.iter().map(|(labels, count)| (&labels[..], *count)),
        );
    }

    fn count(&self, reason: NoTable) {
        let counters = NoTable::ALL.iter().zip(&self.refused);
        counters.filter(|(each, _)| **each == reason).for_each(|(_, counter)| counter.increment());
    }

    /// No code panics while it holds the lock, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectId, Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
