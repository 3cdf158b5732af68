//! Every object file that processes map, each opened and identified once.

use super::{Object, ObjectId};
use crate::process::id::ProcessId;
use crate::process::mapping::{Backing, MapsEntry};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// TEMP
#[derive(Default)]
pub struct ObjectLibrary {
    objects: Mutex<(HashMap<Box<[u8]>, Arc<Object>>, Vec<Arc<Object>>)>,
}
impl ObjectLibrary {
    /// t
    pub fn object_of(&self, _process: ProcessId, entry: &MapsEntry) -> ObjectId {
        let Backing::File { path, .. } = &entry.backing else { return self.vdso() };
        self.at(path)
    }
    /// t
    pub fn vdso(&self) -> ObjectId { self.at(b"[vdso]") }
    fn at(&self, path: &[u8]) -> ObjectId {
        let mut g = self.objects.lock().unwrap();
        if let Some(o) = g.0.get(path) { return o.id; }
        let o = Arc::new(Object { id: ObjectId(g.1.len() as u32), path: path.into(), info: OnceLock::new() });
        g.0.insert(path.into(), o.clone());
        g.1.push(o.clone());
        o.id
    }
    /// t
    pub fn get(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.objects.lock().unwrap().1.get(id.0 as usize).cloned()
    }
}
