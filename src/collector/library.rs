//! Every object file that processes map: met by name, opened through the process, identified by the worker.

use crate::metrics::Exposition;
use crate::object::mapped::{MappedFile, MappedRange};
use crate::object::open::open;
use crate::object::table::ObjectTable;
use crate::object::{Object, ObjectId};
use crate::process::id::ProcessId;
use crate::worker::supervisor::Supervisor;
use std::sync::Arc;
use std::time::Instant;

/// The kernel's vDSO, which has no file: one object for all processes.
const VDSO: &[u8] = b"[vdso]";

/// Object files, and what it takes to know them.
pub struct ObjectLibrary {
    table: Arc<ObjectTable>,
    worker: Supervisor,
}

impl ObjectLibrary {
    /// Nothing is known yet.
    pub fn new(worker: Supervisor) -> Self {
        Self { table: Arc::default(), worker }
    }

    /// The object behind a mapping of a process. A file that was not met before is opened, which may
    /// wait for its file system, and is identified later.
    pub fn object_of(&self, process: ProcessId, range: MappedRange, file: &MappedFile) -> ObjectId {
        let met = self.table.meet(file, Instant::now());
        if !met.to_open {
            return met.object.id;
        }
        let opened = match open(process, range, file) {
            Ok(opened) => opened,
            Err(reason) => {
                self.table.finished(&met.object, Err(reason), Instant::now());
                return met.object.id;
            }
        };
        let Some(known) = self.table.opened(met.object.id, opened.identity, Instant::now()) else {
            return met.object.id;
        };
        let object = known.object;
        let id = object.id;
        if known.to_identify {
            let table = self.table.clone();
            let done = move |result| table.finished(&object, result, Instant::now());
            self.worker.identify(opened.file, done);
        }
        id
    }

    /// The object of the vDSO. Its addresses are offsets from its start, as in the ELF image it is.
    pub fn vdso(&self) -> ObjectId {
        let name = MappedFile { device: (0, 0), inode: 0, path: VDSO.into() };
        self.table.meet(&name, Instant::now()).object.id
    }

    /// The object of an id, unless it was forgotten.
    pub fn get(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.table.get(id)
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        self.table.collect(exposition);
        self.worker.collect(exposition);
    }
}
