//! Reads processes on threads of its own: what `/proc` tells, and which object files are mapped.

use super::attribute::holds;
use super::library::ObjectLibrary;
use crate::discovery::attribution::Attribution;
use crate::discovery::policy::Outcome;
use crate::discovery::{Discovery, Facts};
use crate::metrics::{Counter, Exposition};
use crate::object::mapped::MappedRange;
use crate::object::{FileOffset, ObjectId};
use crate::process::details::Details;
use crate::process::id::{BootTime, ProcessId};
use crate::process::inspect::{inspect, is_alive, read_details, read_mappings};
use crate::process::mapping::{Backing, Mapping, Mappings, MapsEntry};
use crate::process::table::Inspected;
use crate::sample::boot_time;
use crate::sample::selection::Holds;
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
    pub reading: Option<Reading>,
}

/// That nobody wants the samples of a process.
#[derive(Clone, Copy, Debug)]
pub struct Unwanted {
    /// For how long.
    pub holds: Holds,
    /// What the sources knew then, and on which terms: see [`Discovery::revision`].
    pub revision: [u64; 5],
}

/// What reading a process gave.
#[derive(Debug)]
pub struct Reading {
    /// What was found.
    pub inspected: Inspected,
    /// That nobody wants its samples, if that is known.
    pub unwanted: Option<Unwanted>,
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
    pub fn start(
        objects: &Arc<ObjectLibrary>,
        tables: Option<Arc<UnwindTables>>,
        discovery: &Arc<Discovery>,
    ) -> io::Result<Self> {
        let (requests, incoming) = bounded(QUEUE);
        // An answer follows from a request, and the collector takes answers as often as it makes requests.
        let (outgoing, answers) = bounded(2 * QUEUE);
        let metrics = Arc::new(InspectorMetrics::default());
        for index in 0..THREADS {
            let (incoming, outgoing) = (incoming.clone(), outgoing.clone());
            let (objects, tables) = (objects.clone(), tables.clone());
            let (discovery, metrics) = (discovery.clone(), metrics.clone());
            thread::Builder::new().name(format!("inspect-{index}")).spawn(move || {
                serve(&incoming, &outgoing, &objects, tables.as_deref(), &discovery, &metrics);
            })?;
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
    discovery: &Discovery,
    metrics: &InspectorMetrics,
) {
    while let Ok(process) = requests.recv_blocking() {
        let replaced = tables.map(|tables| tables.before_reading(process));
        let read_at = boot_time();
        let reading = read_process(process, objects, discovery);
        match reading {
            Some(_) => metrics.read.increment(),
            None => metrics.gone.increment(),
        }
        if let (Some(tables), Some(replaced), Some(reading)) = (tables, replaced, &reading)
            && let Some(mappings) = &reading.inspected.mappings
        {
            tables.publish(process, mappings, read_at, replaced);
        }
        if answers.send_blocking(Answer { process, read_at, reading }).is_err() {
            return;
        }
    }
}

/// Reads a process and opens the files it maps; `None` if it is gone. Of one that nobody wants no more is read than
/// what decides that.
pub fn read_process(process: ProcessId, objects: &ObjectLibrary, discovery: &Discovery) -> Option<Reading> {
    let identity = inspect(process)?;
    let cgroups = identity.cgroups.map(Arc::new);
    let wanted = discovery.wanted();
    let mut details = wanted.is_any().then(|| read_details(process, &wanted));
    let facts = Facts {
        process: Some(process),
        comm: identity.comm,
        cgroups: cgroups.clone(),
        details: details.clone().map(Arc::new),
        executable: None,
    };
    // What the executable is becomes known only after its mappings.
    let revision = discovery.revision();
    let attribution = (!wanted.executable).then(|| discovery.attribute(&facts));
    let unwanted = attribution.filter(|attribution| !is_wanted(attribution));
    let mut mappings = None;
    if unwanted.is_none() {
        let entries = read_mappings(process)?;
        let read: Vec<_> = entries.iter().map(|entry| to_mapping(process, entry, objects)).collect();
        if let Some(details) = &mut details {
            details.object = executable_of(details, &entries, &read);
        }
        mappings = Some(Arc::new(Mappings::new(read)));
    }
    // The files were opened through the process's own directory: it must have been its own to the end.
    is_alive(process).then(|| Reading {
        inspected: Inspected { comm: identity.comm, cgroups, details: details.map(Arc::new), mappings },
        unwanted: unwanted
            .filter(|attribution| attribution.is_final)
            .map(|attribution| Unwanted { holds: holds(&attribution), revision }),
    })
}

fn is_wanted(attribution: &Attribution) -> bool {
    attribution.is_waiting || matches!(attribution.outcome, Outcome::Profiled { .. })
}

/// Which of the mapped files the process executes.
fn executable_of(details: &Details, entries: &[MapsEntry], mappings: &[Mapping]) -> Option<ObjectId> {
    let executable = details.executable.as_deref()?;
    entries.iter().zip(mappings).find_map(|(entry, mapping)| match &entry.backing {
        Backing::File { file, .. } if *file.path == *executable => Some(mapping.object?.0),
        _ => None,
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
