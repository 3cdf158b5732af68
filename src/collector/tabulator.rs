//! Sees to it that the code of running processes has unwind tables in the kernel.
//!
//! A process is read, an object of it has no table, the worker makes one, and the kernel side gets it. Until then
//! its stacks are followed by frame pointers, and marked as guessed.

use crate::metrics::{Counter, Exposition};
use crate::object::ObjectId;
use crate::sample::tables::{Load, UnwindTables};
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
    progress: Mutex<HashMap<ObjectId, Progress>>,
    built: Counter,
    refused: [Counter; NoTable::ALL.len()],
}

/// How far an object without a table in the kernel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// The worker has it, or will.
    Underway,
    /// It cannot have one.
    Never(NoTable),
    /// It is tried again, but not before then.
    NotBefore(Instant),
}

impl Tabulator {
    /// For tables that are empty.
    pub fn new(tables: Arc<UnwindTables>) -> Self {
        Self { tables, progress: Mutex::default(), built: Counter::default(), refused: Default::default() }
    }

    /// Whether the caller is to have a table made of an object and to say how that went by [`Self::finished`].
    pub fn wants(&self, object: ObjectId, now: Instant) -> bool {
        if self.tables.has_table(object) {
            return false;
        }
        let mut progress = self.lock();
        match progress.get(&object) {
            Some(Progress::Underway | Progress::Never(_)) => return false,
            Some(Progress::NotBefore(moment)) if now < *moment => return false,
            _ => {}
        }
        if progress.len() >= MAX_REMEMBERED {
            progress.clear();
        }
        progress.insert(object, Progress::Underway);
        true
    }

    /// Takes in what became of a table: it goes to the kernel, or the reason is kept.
    pub fn finished(&self, object: ObjectId, result: Result<Table, NoTable>, now: Instant) {
        let later = Progress::NotBefore(now + RETRY);
        let next = match result {
            Ok(table) => {
                self.built.increment();
                match self.tables.load(object, &table, table.digest()) {
                    Load::Done => None,
                    Load::NoRoom => Some(later),
                }
            }
            Err(reason) => {
                self.count(reason);
                Some(if reason.is_final() { Progress::Never(reason) } else { later })
            }
        };
        let mut progress = self.lock();
        match next {
            Some(next) => progress.insert(object, next),
            // From here on the kernel side knows, until it makes room for others.
            None => progress.remove(&object),
        };
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
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectId, Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
