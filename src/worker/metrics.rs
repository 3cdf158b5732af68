//! The worker's numbers.

use crate::debuginfo::plan::NoExtraction;
use crate::metrics::{Counter, Exposition, Gauge};
use crate::object::Unidentified;
use crate::unwind::NoTable;

/// Why a worker was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It gave no answer in time.
    Hung,
    /// It was gone, or sent nonsense.
    Died,
    /// It had worked enough.
    Recycled,
}

/// Counters of one supervisor.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    identified: Counter,
    failed: [Counter; Unidentified::ALL.len()],
    tables: Counter,
    without_table: [Counter; NoTable::ALL.len()],
    extractions: Counter,
    without_extraction: [Counter; NoExtraction::ALL.len()],
    restarts: [Counter; Restart::ALL.len()],
    /// Jobs that wait.
    pub queued: Gauge,
    /// Killed workers that the kernel does not let die.
    pub stuck: Gauge,
    /// Files that could not be closed, because too many file systems do not answer.
    pub left_open: Counter,
}

impl Restart {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Hung, Self::Died, Self::Recycled];

    /// As a metric's label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hung => "hung",
            Self::Died => "died",
            Self::Recycled => "recycled",
        }
    }
}

impl WorkerMetrics {
    /// Counts the end of an identification.
    pub fn identified<T>(&self, result: &Result<T, Unidentified>) {
        let counter = match result {
            Ok(_) => Some(&self.identified),
            Err(reason) => of(&Unidentified::ALL, &self.failed, *reason),
        };
        counter.into_iter().for_each(Counter::increment);
    }

    /// Counts the end of an unwind table.
    pub fn unwound<T>(&self, result: &Result<T, NoTable>) {
        let counter = match result {
            Ok(_) => Some(&self.tables),
            Err(reason) => of(&NoTable::ALL, &self.without_table, *reason),
        };
        counter.into_iter().for_each(Counter::increment);
    }

    /// Counts the end of a plan of a debug file.
    pub fn extracted<T>(&self, result: &Result<T, NoExtraction>) {
        let counter = match result {
            Ok(_) => Some(&self.extractions),
            Err(reason) => of(&NoExtraction::ALL, &self.without_extraction, *reason),
        };
        counter.into_iter().for_each(Counter::increment);
    }

    /// Counts the end of a worker.
    pub fn restarted(&self, reason: Restart) {
        of(&Restart::ALL, &self.restarts, reason).into_iter().for_each(Counter::increment);
    }

    /// How many workers have been replaced for a reason.
    pub fn restarts(&self, reason: Restart) -> u64 {
        of(&Restart::ALL, &self.restarts, reason).map(Counter::get).unwrap_or_default()
    }

    /// How many identifications ended with a reason.
    pub fn failures(&self, reason: Unidentified) -> u64 {
        of(&Unidentified::ALL, &self.failed, reason).map(Counter::get).unwrap_or_default()
    }

    /// How many files have no table for a reason.
    pub fn without_table(&self, reason: NoTable) -> u64 {
        of(&NoTable::ALL, &self.without_table, reason).map(Counter::get).unwrap_or_default()
    }

    /// How many files have no plan of a debug file for a reason.
    pub fn without_extraction(&self, reason: NoExtraction) -> u64 {
        of(&NoExtraction::ALL, &self.without_extraction, reason).map(Counter::get).unwrap_or_default()
    }

    /// Writes them all.
    pub fn collect(&self, exposition: &mut Exposition) {
        let results: Vec<_> = [([("result", "ok")], self.identified.get())]
            .into_iter()
            .chain(Unidentified::ALL.map(|reason| ([("result", reason.name())], self.failures(reason))))
            .collect();
        exposition.counter(
            "worker_jobs",
            "Identifications of files that ended, by result.",
            results.iter().map(|(labels, value)| (&labels[..], *value)),
        );
        let results: Vec<_> = [([("result", "ok")], self.tables.get())]
            .into_iter()
            .chain(NoTable::ALL.map(|reason| ([("result", reason.name())], self.without_table(reason))))
            .collect();
        exposition.counter(
            "worker_tables",
            "Unwind tables that were asked for and ended, by result.",
            results.iter().map(|(labels, value)| (&labels[..], *value)),
        );
        let failed =
            NoExtraction::ALL.map(|reason| ([("result", reason.name())], self.without_extraction(reason)));
        let results: Vec<_> =
            [([("result", "ok")], self.extractions.get())].into_iter().chain(failed).collect();
        exposition.counter(
            "worker_extractions",
            "Plans of debug files that were asked for and ended, by result.",
            results.iter().map(|(labels, value)| (&labels[..], *value)),
        );
        let restarts = Restart::ALL.map(|reason| ([("reason", reason.name())], self.restarts(reason)));
        exposition.counter(
            "worker_restarts",
            "Workers that were replaced, by reason.",
            restarts.iter().map(|(labels, value)| (&labels[..], *value)),
        );
        let gauge = |gauge: &Gauge| [(&[][..], gauge.get() as f64)];
        exposition.gauge("worker_queue_length", "Jobs that wait for the worker.", gauge(&self.queued));
        exposition.gauge("worker_stuck", "Killed workers that cannot die.", gauge(&self.stuck));
        exposition.counter(
            "worker_files_left_open",
            "Files that could not be closed, because their file systems do not answer.",
            [(&[][..], self.left_open.get())],
        );
    }
}

fn of<'a, T: PartialEq, const N: usize>(
    all: &[T; N],
    counters: &'a [Counter; N],
    wanted: T,
) -> Option<&'a Counter> {
    all.iter().zip(counters).find_map(|(each, counter)| (*each == wanted).then_some(counter))
}

#[cfg(test)]
mod tests {
    use super::{Restart, WorkerMetrics};
    use crate::debuginfo::plan::NoExtraction;
    use crate::metrics::{Format, Registry};
    use crate::object::Unidentified;
    use crate::unwind::NoTable;
    use std::sync::Arc;

    #[test]
    fn every_end_is_counted_under_its_name() {
        let metrics = Arc::new(WorkerMetrics::default());
        metrics.identified(&Ok(()));
        for reason in Unidentified::ALL {
            metrics.identified::<()>(&Err(reason));
        }
        metrics.unwound(&Ok(()));
        for reason in NoTable::ALL {
            metrics.unwound::<()>(&Err(reason));
        }
        metrics.extracted(&Ok(()));
        for reason in NoExtraction::ALL {
            metrics.extracted::<()>(&Err(reason));
        }
        Restart::ALL.into_iter().for_each(|reason| metrics.restarted(reason));
        metrics.queued.set(3);
        let registry = Registry::default();
        registry.register(move |exposition| metrics.collect(exposition));
        let text = registry.scrape(Format::Prometheus);
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let results = 3 + Unidentified::ALL.len() + NoTable::ALL.len() + NoExtraction::ALL.len();
        assert_eq!(samples.len(), results + Restart::ALL.len() + 3);
        assert!(samples.contains(&"parca_agent_worker_jobs_total{result=\"killed_worker\"} 1"), "{text}");
        assert!(samples.contains(&"parca_agent_worker_tables_total{result=\"too_many_rows\"} 1"), "{text}");
        assert!(samples.contains(&"parca_agent_worker_extractions_total{result=\"elf32\"} 1"), "{text}");
        assert!(samples.contains(&"parca_agent_worker_restarts_total{reason=\"hung\"} 1"), "{text}");
        assert!(samples.contains(&"parca_agent_worker_queue_length 3"), "{text}");
    }
}
