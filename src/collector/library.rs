//! Every object file that processes map: met by name, opened through the process, identified by the worker.

use super::stack_ends::StackEnds;
use super::table_cache::TableCache;
use super::table_cache::key::Key;
use super::tabulator::Tabulator;
use super::vdso;
use crate::debuginfo::stamp::Stamp;
use crate::metrics::Exposition;
use crate::object::kept::{KeptFile, KeptFiles, Sighting};
use crate::object::mapped::{MappedFile, MappedRange};
use crate::object::open::{OpenedObject, open};
use crate::object::table::ObjectTable;
use crate::object::{Object, ObjectId};
use crate::process::id::ProcessId;
use crate::sample::tables::UnwindTables;
use crate::unwind::NoTable;
use crate::worker::supervisor::Supervisor;
use rustix::fd::AsFd;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The kernel's vDSO, which has no file: one object for all processes.
const VDSO: &[u8] = b"[vdso]";

/// Object files, and what it takes to know them.
pub struct ObjectLibrary {
    table: Arc<ObjectTable>,
    worker: Arc<Supervisor>,
    /// Absent where nobody wants debug files.
    kept: Option<KeptFiles>,
    /// Absent where the kernel side has no unwinder.
    tabulator: Option<Arc<Tabulator>>,
    cache: Option<Arc<TableCache>>,
    samples: Arc<StackEnds>,
}

impl ObjectLibrary {
    /// Nothing is known yet. With tables, objects that are met get theirs, from the cache where it has them. With
    /// kept files, those that are opened are kept, to be claimed.
    pub fn new(
        worker: Arc<Supervisor>,
        tables: Option<Arc<UnwindTables>>,
        cache: Option<TableCache>,
        kept: Option<KeptFiles>,
    ) -> Self {
        let tabulator = tables.map(|tables| Arc::new(Tabulator::new(tables)));
        let samples = Arc::default();
        Self { table: Arc::default(), worker, kept, tabulator, cache: cache.map(Arc::new), samples }
    }

    /// The object behind a mapping of a process. A file that was not met before is opened, which may
    /// wait for its file system, and is identified later.
    pub fn object_of(&self, process: ProcessId, range: MappedRange, file: &MappedFile) -> ObjectId {
        let met = self.table.meet(file, Instant::now());
        let id = if met.to_open { self.identify(&met.object, process, range, file) } else { met.object.id };
        if let Some(kept) = &self.kept {
            kept.met(id, process, range);
            self.table.seen(id, process, range);
        }
        if let Some(tabulator) = &self.tabulator
            && tabulator.wants(id, Instant::now())
        {
            match open(process, range, file) {
                Ok(opened) => {
                    self.keep(id, &opened, process, range, file);
                    self.tabulate(tabulator, id, opened);
                }
                Err(_) => tabulator.gave_up(id),
            }
        }
        id
    }

    /// Opens the file of an object that is new, or was not looked at for long; it may be another object by now.
    fn identify(
        &self,
        object: &Arc<Object>,
        process: ProcessId,
        range: MappedRange,
        file: &MappedFile,
    ) -> ObjectId {
        let opened = match open(process, range, file) {
            Ok(opened) => opened,
            Err(reason) => {
                self.table.finished(object, Err(reason), Instant::now());
                return object.id;
            }
        };
        let Some(known) = self.table.opened(object.id, opened.identity, Instant::now()) else {
            return object.id;
        };
        let object = known.object;
        let id = object.id;
        self.keep(id, &opened, process, range, file);
        if known.to_identify {
            let table = self.table.clone();
            let done = move |result| table.finished(&object, result, Instant::now());
            self.worker.identify(opened.file, done);
        }
        id
    }

    fn keep(
        &self,
        id: ObjectId,
        opened: &OpenedObject,
        process: ProcessId,
        range: MappedRange,
        file: &MappedFile,
    ) {
        if let Some(kept) = &self.kept {
            kept.keep(id, opened.file.as_fd(), Sighting { process, range, mapped: file.clone() });
        }
    }

    /// The file of an object: the one that is kept, or else opened through the process that mapped it last, if that
    /// still runs and the file is the one that was identified. May wait for its file system.
    pub fn claim(&self, id: ObjectId) -> Option<KeptFile> {
        let kept = self.kept.as_ref()?;
        kept.claim(id).or_else(|| {
            let (Sighting { process, range, mapped }, identity) = self.table.sighting(id)?;
            let opened = open(process, range, &mapped).ok().filter(|opened| opened.identity == identity)?;
            let stamp = Stamp::of(&opened.file).ok()?;
            Some(KeptFile { file: Arc::new(opened.file), stamp, process, range, mapped })
        })
    }

    /// Sees to the table of an object that was opened: out of the cache, or made by the worker.
    fn tabulate(&self, tabulator: &Arc<Tabulator>, object: ObjectId, opened: OpenedObject) {
        let identity = Some(opened.identity);
        let kept = self.cache.clone().and_then(|cache| Some((cache, Key::of(&opened, SystemTime::now())?)));
        if let Some((cache, key)) = &kept
            && let Some(table) = cache.read(*key)
        {
            tabulator.finished(object, identity, &Ok(table), Instant::now());
            return;
        }
        let tabulator = tabulator.clone();
        self.worker.build_table(opened.file, self.weight(object), move |result| {
            tabulator.finished(object, identity, &result, Instant::now());
            if let (Some((cache, key)), Ok(table)) = (kept, result) {
                cache.write(key, table);
            }
        });
    }

    /// How much the table of an object is wanted: as often as samples met its code.
    fn weight(&self, object: ObjectId) -> impl Fn() -> u64 + Send + 'static {
        let samples = self.samples.clone();
        move || samples.of_object(object)
    }

    fn tabulate_vdso(&self, tabulator: &Arc<Tabulator>, object: ObjectId) {
        let Ok(copy) = vdso::copy() else {
            tabulator.finished(object, None, &Err(NoTable::Malformed), Instant::now());
            return;
        };
        let tabulator = tabulator.clone();
        self.worker.build_table(copy, self.weight(object), move |result| {
            tabulator.finished(object, None, &result, Instant::now());
        });
    }

    /// The object of the vDSO. Its addresses are offsets from its start, as in the ELF image it is.
    pub fn vdso(&self) -> ObjectId {
        let name = MappedFile { device: (0, 0), inode: 0, path: VDSO.into() };
        let id = self.table.meet(&name, Instant::now()).object.id;
        if let Some(tabulator) = &self.tabulator
            && tabulator.wants(id, Instant::now())
        {
            self.tabulate_vdso(tabulator, id);
        }
        id
    }

    /// How the user stacks of samples ended, to be told of each sample.
    pub fn stack_ends(&self) -> Arc<StackEnds> {
        self.samples.clone()
    }

    /// Who sees to unwind tables, where the kernel side has an unwinder.
    pub fn tabulator(&self) -> Option<&Tabulator> {
        self.tabulator.as_deref()
    }

    /// The object of an id, unless it was forgotten.
    pub fn get(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.table.get(id)
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        self.table.collect(exposition);
        self.worker.collect(exposition);
        if let Some(kept) = &self.kept {
            kept.collect(exposition);
        }
        if let Some(tabulator) = &self.tabulator {
            tabulator.collect(exposition);
        }
        if let Some(cache) = &self.cache {
            cache.collect(exposition);
        }
    }
}
