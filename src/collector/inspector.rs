//! Reads processes on threads of its own: what `/proc` tells, and which object files are mapped.

use super::library::ObjectLibrary;
use crate::metrics::{Counter, Exposition};
use crate::object::FileOffset;
use crate::object::mapped::MappedRange;
use crate::process::id::{BootTime, ProcessId};
use crate::process::inspect::{inspect, is_alive};
use crate::process::mapping::{Backing, Mapping, Mappings, MapsEntry};
use crate::process::table::Inspected;
use crate::sample::boot_time;
use crate::sample::tables::UnwindTables;
use smol::channel::{Receiver, Sender, TrySendError, bounded};
use std::io;
use std::sync::Arc;
use std::thread;

/// Threads that read. Reading one process takes 0.1 to 1 ms of CPU time, but may wait for its memory lock.
const THREADS: usize = 2;
/// Processes that may wait to be read.
const QUEUE: usize = 1024;

/// An answer of the inspector.
#[derive(Debug)]
pub struct Answer {
    /// Who was to be read.
    pub process: ProcessId,
    /// A moment before it was read.
    pub read_at: BootTime,
    /// What was found; `None` if the process was gone.
    pub inspected: Option<Inspected>,
}

/// Accepts processes to read, and gives answers.
pub struct Inspector {
    requests: Sender<ProcessId>,
    answers: Receiver<Answer>,
    metrics: Arc<InspectorMetrics>,
}

/// What became of requests.
#[derive(Debug, Default)]
pub struct InspectorMetrics {
    read: Counter,
    gone: Counter,
    refused: Counter,
}

impl InspectorMetrics {
    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        exposition.counter(
            "process_inspections",
            "Processes whose mappings were to be read, by result.",
            [
                (&[("result", "read")][..], self.read.get()),
                (&[("result", "gone")][..], self.gone.get()),
                (&[("result", "refused")][..], self.refused.get()),
            ],
        );
    }
}

impl Inspector {
    /// Starts the threads.
    pub fn start(objects: &Arc<ObjectLibrary>, tables: Option<Arc<UnwindTables>>) -> io::Result<Self> {
        let (requests, incoming) = bounded(QUEUE);
        // An answer follows from a request, and the collector takes answers as often as it makes requests.
        let (outgoing, answers) = bounded(2 * QUEUE);
        let metrics = Arc::new(InspectorMetrics::default());
        for index in 0..THREADS {
            let (incoming, outgoing) = (incoming.clone(), outgoing.clone());
            let (objects, tables, metrics) = (objects.clone(), tables.clone(), metrics.clone());
            thread::Builder::new()
                .name(format!("inspect-{index}"))
                .spawn(move || serve(&incoming, &outgoing, &objects, tables.as_deref(), &metrics))?;
        }
        Ok(Self { requests, answers, metrics })
    }

    /// Asks for a process to be read. False if too many wait.
    #[must_use]
    pub fn request(&self, process: ProcessId) -> bool {
        match self.requests.try_send(process) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.metrics.refused.increment();
                false
            }
        }
    }

    /// An answer, if one is there.
    pub fn answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    /// Counts of what became of requests.
    pub fn metrics(&self) -> Arc<InspectorMetrics> {
        self.metrics.clone()
    }
}

fn serve(
    requests: &Receiver<ProcessId>,
    answers: &Sender<Answer>,
    objects: &ObjectLibrary,
    tables: Option<&UnwindTables>,
    metrics: &InspectorMetrics,
) {
    while let Ok(process) = requests.recv_blocking() {
        let replaced = tables.map(|tables| tables.before_reading(process));
        let read_at = boot_time();
        let inspected = read_process(process, objects);
        match inspected {
            Some(_) => metrics.read.increment(),
            None => metrics.gone.increment(),
        }
        if let (Some(tables), Some(replaced), Some(inspected)) = (tables, replaced, &inspected) {
            tables.publish(process, &inspected.mappings, read_at, replaced);
        }
        if answers.send_blocking(Answer { process, read_at, inspected }).is_err() {
            return;
        }
    }
}

/// Reads a process and opens the files it maps; `None` if it is gone.
pub fn read_process(process: ProcessId, objects: &ObjectLibrary) -> Option<Inspected> {
    let inspection = inspect(process)?;
    let mappings: Vec<_> =
        inspection.mappings.iter().map(|entry| to_mapping(process, entry, objects)).collect();
    // The files were opened through the process's own directory: it must have been its own to the end.
    is_alive(process).then(|| Inspected {
        comm: inspection.comm,
        cgroups: inspection.cgroups.map(Arc::new),
        mappings: Arc::new(Mappings::new(mappings)),
    })
}

fn to_mapping(process: ProcessId, entry: &MapsEntry, objects: &ObjectLibrary) -> Mapping {
    let range = MappedRange { start: entry.range.start.0, end: entry.range.end.0 };
    let object = match &entry.backing {
        Backing::File { file, offset } => Some((objects.object_of(process, range, file), *offset)),
        Backing::Vdso => Some((objects.vdso(), FileOffset(0))),
        Backing::Anonymous => None,
    };
    Mapping { range: entry.range.clone(), object }
}
