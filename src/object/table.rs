//! Every object file that the agent knows, told apart by what it is.
//!
//! A file is met first by name, in a process's list of mappings, and gets its [`Object`] at once, so that
//! samples can point to it. What it is becomes known later: somebody opens it ([`ObjectTable::opened`]),
//! and if no equal file is known, the worker identifies it ([`ObjectTable::finished`]).

use super::kept::Sighting;
use super::mapped::{MappedFile, MappedRange};
use super::open::FileIdentity;
use super::{Object, ObjectId, ObjectInfo, Unidentified};
use crate::metrics::{Counter, Exposition};
use crate::process::id::ProcessId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Most objects. The least recently used goes out first.
pub const MAX_OBJECTS: usize = 8192;

/// Most bytes of all paths together, which the processes choose.
const MAX_PATH_BYTES: usize = 4 << 20;

/// How long a name is taken for the same file without a look. An upgrade writes a new file, whose inode
/// number may be one that was free again.
const TRUSTED: Duration = Duration::from_secs(600);

/// Objects by name and by identity.
#[derive(Debug)]
pub struct ObjectTable {
    capacity: usize,
    entries: Mutex<Entries>,
    evicted: Counter,
    identified: Counter,
    failed: [Counter; Unidentified::ALL.len()],
}

/// An object met in a list of mappings.
#[derive(Clone, Debug)]
pub struct Met {
    /// The object.
    pub object: Arc<Object>,
    /// The caller is to open the file, and to say how that went by [`ObjectTable::opened`] or
    /// [`ObjectTable::finished`]. Nobody else is told to meanwhile.
    pub to_open: bool,
}

/// An object whose file is open.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The object: another than was met, if the name belongs to another file by now.
    pub object: Arc<Object>,
    /// The caller is to have it identified, and to give the result to [`ObjectTable::finished`].
    pub to_identify: bool,
}

#[derive(Debug, Default)]
struct Entries {
    by_id: HashMap<ObjectId, Entry>,
    by_name: HashMap<Arc<MappedFile>, ObjectId>,
    by_identity: HashMap<FileIdentity, ObjectId>,
    /// Every entry by the moment of its last use.
    by_use: BTreeMap<u64, ObjectId>,
    path_bytes: usize,
    uses: u64,
    next_id: u32,
}

#[derive(Debug)]
struct Entry {
    object: Arc<Object>,
    name: Arc<MappedFile>,
    identity: Option<FileIdentity>,
    look: Look,
    /// Who mapped it last, and where, if anybody told.
    seen: Option<(ProcessId, MappedRange)>,
    used: u64,
}

/// When to look at the file behind a name.
#[derive(Clone, Copy, Debug)]
enum Look {
    /// At the next opportunity.
    Wanted,
    /// Somebody does.
    Underway,
    /// When this was long ago.
    Done(Instant),
}

impl Default for ObjectTable {
    fn default() -> Self {
        Self::new(MAX_OBJECTS)
    }
}

impl ObjectTable {
    /// An empty table of a size.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            entries: Mutex::default(),
            evicted: Counter::default(),
            identified: Counter::default(),
            failed: Default::default(),
        }
    }

    /// The object of a name, made if there is none.
    pub fn meet(&self, name: &MappedFile, now: Instant) -> Met {
        let mut entries = self.lock();
        let id = match entries.by_name.get(name) {
            Some(id) => *id,
            None => {
                let id = entries.insert(Arc::new(name.clone()));
                self.evicted.add(entries.evict(self.capacity));
                id
            }
        };
        entries.touch(id);
        match entries.by_id.get_mut(&id) {
            Some(entry) => {
                let to_open = entry.look.is_due(now);
                if to_open {
                    entry.look = Look::Underway;
                }
                Met { object: Arc::clone(&entry.object), to_open }
            }
            // Not in the table: as good as met and forgotten.
            None => Met { object: Arc::new(object(id, name)), to_open: false },
        }
    }

    /// The object of an id, unless it went out.
    pub fn get(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.lock().by_id.get(&id).map(|entry| Arc::clone(&entry.object))
    }

    /// Tells who maps an object, and where.
    pub fn seen(&self, id: ObjectId, process: ProcessId, range: MappedRange) {
        if let Some(entry) = self.lock().by_id.get_mut(&id) {
            entry.seen = Some((process, range));
        }
    }

    /// Who mapped an object last, and which file it was, if somebody has opened it and told who maps it.
    pub fn sighting(&self, id: ObjectId) -> Option<(Sighting, FileIdentity)> {
        let entries = self.lock();
        let entry = entries.by_id.get(&id)?;
        let (process, range) = entry.seen?;
        Some((Sighting { process, range, mapped: MappedFile::clone(&entry.name) }, entry.identity?))
    }

    /// Tells which file is behind the name of an object. Nothing if the object went out meanwhile.
    pub fn opened(&self, id: ObjectId, identity: FileIdentity, now: Instant) -> Option<Opened> {
        let mut entries = self.lock();
        let id = match entries.by_id.get(&id)?.identity {
            Some(known) if known != identity => entries.replace(id)?,
            _ => id,
        };
        let equal = entries
            .by_identity
            .get(&identity)
            .and_then(|equal| entries.by_id.get(equal)?.object.info.get().cloned());
        let entry = entries.by_id.get_mut(&id)?;
        entry.identity = Some(identity);
        entry.look = Look::Done(now);
        if let Some(info) = equal {
            // An error means that this object had its own before.
            let _ = entry.object.info.set(info);
        }
        let object = Arc::clone(&entry.object);
        let to_identify = object.info.get().is_none();
        // The first of equal files, which is or will be identified, stands for them all.
        entries.by_identity.entry(identity).or_insert(id);
        Some(Opened { object, to_identify })
    }

    /// Tells how opening or identification of an object ended. A reason that does not lie in the file is
    /// not kept: the next process that maps it is another chance.
    pub fn finished(&self, object: &Object, result: Result<ObjectInfo, Unidentified>, now: Instant) {
        let counter = match &result {
            Ok(_) => Some(&self.identified),
            Err(reason) => self.counter_of(*reason),
        };
        counter.into_iter().for_each(Counter::increment);
        let is_final = !matches!(&result, Err(reason) if !reason.is_final());
        if is_final {
            // An error means that the object was known already, and was only looked at again.
            let _ = object.info.set(result);
        }
        if let Some(entry) = self.lock().by_id.get_mut(&object.id) {
            entry.look = if is_final { Look::Done(now) } else { Look::Wanted };
        }
    }

    /// Objects now in the table.
    pub fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Nothing was met yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Objects that went out for others.
    pub fn evicted(&self) -> u64 {
        self.evicted.get()
    }

    /// Writes the counters.
    pub fn collect(&self, exposition: &mut Exposition) {
        exposition.gauge("objects", "Object files known.", [(&[][..], self.len() as f64)]);
        let evicted = [(&[][..], self.evicted.get())];
        exposition.counter("objects_evicted", "Object files forgotten to make room.", evicted);
        let failed = Unidentified::ALL.map(|reason| {
            let count = self.counter_of(reason).map(Counter::get).unwrap_or_default();
            ([("result", reason.name())], count)
        });
        let results = [([("result", "ok")], self.identified.get())].into_iter().chain(failed);
        let results: Vec<_> = results.collect();
        exposition.counter(
            "object_identifications",
            "Object files opened or identified, by result.",
            results.iter().map(|(labels, value)| (&labels[..], *value)),
        );
    }

    fn counter_of(&self, reason: Unidentified) -> Option<&Counter> {
        let position = Unidentified::ALL.iter().position(|each| *each == reason)?;
        self.failed.get(position)
    }

    /// No code panics while it holds the lock, so poisoned entries are whole.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look {
    fn is_due(self, now: Instant) -> bool {
        match self {
            Self::Wanted => true,
            Self::Underway => false,
            Self::Done(at) => now.saturating_duration_since(at) >= TRUSTED,
        }
    }
}

impl Entries {
    fn insert(&mut self, name: Arc<MappedFile>) -> ObjectId {
        let id = self.free_id();
        self.uses += 1;
        self.path_bytes += name.path.len();
        self.by_name.insert(Arc::clone(&name), id);
        self.by_use.insert(self.uses, id);
        let object = Arc::new(object(id, &name));
        let entry = Entry { object, name, identity: None, look: Look::Wanted, seen: None, used: self.uses };
        self.by_id.insert(id, entry);
        id
    }

    /// An id that no entry has. It may be one from 2^32 objects ago.
    fn free_id(&mut self) -> ObjectId {
        loop {
            let id = ObjectId(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    fn touch(&mut self, id: ObjectId) {
        self.uses += 1;
        let uses = self.uses;
        if let Some(entry) = self.by_id.get_mut(&id) {
            self.by_use.remove(&entry.used);
            entry.used = uses;
            self.by_use.insert(uses, id);
        }
    }

    /// Makes room; tells how many went out. The most recent entry always stays.
    fn evict(&mut self, capacity: usize) -> u64 {
        let mut evicted = 0;
        while self.by_id.len() > 1 && (self.by_id.len() > capacity || self.path_bytes > MAX_PATH_BYTES) {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.remove(oldest);
            evicted += 1;
        }
        evicted
    }

    fn remove(&mut self, id: ObjectId) -> Option<Arc<MappedFile>> {
        let entry = self.by_id.remove(&id)?;
        self.by_use.remove(&entry.used);
        self.by_name.remove(&entry.name);
        self.path_bytes -= entry.name.path.len();
        if let Some(identity) = entry.identity
            && self.by_identity.get(&identity) == Some(&id)
        {
            self.by_identity.remove(&identity);
        }
        Some(entry.name)
    }

    /// Gives the name of an object to a new one.
    fn replace(&mut self, id: ObjectId) -> Option<ObjectId> {
        let name = self.remove(id)?;
        Some(self.insert(name))
    }
}

fn object(id: ObjectId, name: &MappedFile) -> Object {
    Object { id, path: name.path.clone(), info: OnceLock::new() }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PATH_BYTES, ObjectTable, TRUSTED};
    use crate::metrics::{Format, Registry};
    use crate::object::build_id::{BuildId, BuildIdKind};
    use crate::object::kept::Sighting;
    use crate::object::mapped::{MappedFile, MappedRange};
    use crate::object::open::FileIdentity;
    use crate::object::{ObjectInfo, Unidentified};
    use crate::process::id::{BootTime, ProcessId, Tgid};
    use std::sync::Arc;
    use std::time::Instant;

    fn name(inode: u64, path: &str) -> MappedFile {
        MappedFile { device: (8, 1), inode, path: path.as_bytes().into() }
    }

    fn identity(inode: u64, size: u64) -> FileIdentity {
        FileIdentity { device: 1, inode, size, modified: (0, 0) }
    }

    fn info() -> ObjectInfo {
        let build_id = BuildId { kind: BuildIdKind::Gnu, bytes: b"abcd".as_slice().into() };
        ObjectInfo { build_id, elf_type: 3, machine: 62, segments: Vec::new(), making: Default::default() }
    }

    #[test]
    fn only_the_first_to_meet_a_name_is_told_to_open_it() {
        let table = ObjectTable::default();
        let now = Instant::now();
        let first = table.meet(&name(1, "/bin/cat"), now);
        let second = table.meet(&name(1, "/bin/cat"), now);
        assert!(first.to_open && !second.to_open);
        assert!(Arc::ptr_eq(&first.object, &second.object));
        let other = table.meet(&name(2, "/bin/cat"), now);
        assert_ne!(other.object.id, first.object.id);
        assert!(Arc::ptr_eq(&table.get(first.object.id).unwrap(), &first.object));
    }

    #[test]
    fn a_process_that_was_gone_leaves_the_next_a_chance() {
        let table = ObjectTable::default();
        let now = Instant::now();
        let met = table.meet(&name(1, "/bin/cat"), now);
        table.finished(&met.object, Err(Unidentified::Gone), now);
        assert_eq!(met.object.info.get(), None);
        assert!(table.meet(&name(1, "/bin/cat"), now).to_open);
        table.finished(&met.object, Err(Unidentified::Malformed), now);
        assert_eq!(met.object.info.get(), Some(&Err(Unidentified::Malformed)));
    }

    #[test]
    fn equal_files_under_two_names_are_identified_once() {
        let table = ObjectTable::default();
        let now = Instant::now();
        let first = table.meet(&name(1, "/lib/libc.so"), now).object;
        assert!(table.opened(first.id, identity(1, 9), now).unwrap().to_identify);
        table.finished(&first, Ok(info()), now);
        let second = table.meet(&name(1, "/host/lib/libc.so"), now).object;
        let opened = table.opened(second.id, identity(1, 9), now).unwrap();
        assert!(!opened.to_identify);
        assert_eq!(opened.object.id, second.id);
        assert_eq!(second.identified(), Some(&info()));
    }

    #[test]
    fn a_name_is_looked_at_again_and_may_belong_to_another_file_by_then() {
        let table = ObjectTable::default();
        let now = Instant::now();
        let old = table.meet(&name(1, "/bin/cat"), now).object;
        table.opened(old.id, identity(1, 9), now).unwrap();
        table.finished(&old, Ok(info()), now);
        assert!(!table.meet(&name(1, "/bin/cat"), now).to_open);
        let later = now + TRUSTED;
        assert!(table.meet(&name(1, "/bin/cat"), later).to_open);
        let same = table.opened(old.id, identity(1, 9), later).unwrap();
        assert!(!same.to_identify && Arc::ptr_eq(&same.object, &old));
        let much_later = later + TRUSTED;
        assert!(table.meet(&name(1, "/bin/cat"), much_later).to_open);
        let new = table.opened(old.id, identity(1, 10), much_later).unwrap();
        assert!(new.to_identify);
        assert_ne!(new.object.id, old.id);
        assert!(Arc::ptr_eq(&table.meet(&name(1, "/bin/cat"), much_later).object, &new.object));
    }

    #[test]
    fn the_least_recently_used_goes_out_and_its_id_is_not_used_again() {
        let table = ObjectTable::new(2);
        let now = Instant::now();
        let first = table.meet(&name(1, "/a"), now).object;
        let second = table.meet(&name(2, "/b"), now).object;
        table.opened(second.id, identity(2, 1), now).unwrap();
        table.meet(&name(1, "/a"), now);
        let third = table.meet(&name(3, "/c"), now).object;
        assert_eq!((table.len(), table.evicted()), (2, 1));
        assert!(table.get(second.id).is_none() && table.get(first.id).is_some());
        assert!(table.opened(second.id, identity(2, 1), now).is_none());
        let again = table.meet(&name(2, "/b"), now);
        assert!(again.to_open && again.object.id > third.id);
    }

    #[test]
    fn the_last_process_that_mapped_an_opened_file_is_remembered() {
        let table = ObjectTable::default();
        let now = Instant::now();
        let process =
            |tgid| ProcessId { tgid: Tgid(tgid), start: BootTime { nanos: u64::from(tgid) * 1_000_000_000 } };
        let range = |start| MappedRange { start, end: start + 0x1000 };
        let object = table.meet(&name(1, "/a"), now).object;
        table.seen(object.id, process(1), range(0x1000));
        assert_eq!(table.sighting(object.id), None, "nobody has opened it");
        assert!(table.opened(object.id, identity(1, 1), now).is_some());
        table.seen(object.id, process(2), range(0x2000));
        let expected = Sighting { process: process(2), range: range(0x2000), mapped: name(1, "/a") };
        assert_eq!(table.sighting(object.id), Some((expected, identity(1, 1))));
        let replaced = table.opened(object.id, identity(1, 2), now).unwrap().object;
        assert_eq!(table.sighting(object.id), None, "the name is another file's");
        assert_eq!(table.sighting(replaced.id), None, "nobody was seen to map it");
    }

    #[test]
    fn long_paths_are_bounded_in_sum() {
        let table = ObjectTable::default();
        let now = Instant::now();
        let long = "x".repeat(4095);
        for inode in 0..2000 {
            table.meet(&name(inode, &long), now);
        }
        assert_eq!(table.len(), MAX_PATH_BYTES / 4095);
        assert_eq!(table.evicted(), 2000 - table.len() as u64);
    }

    #[test]
    fn every_result_is_counted() {
        let table = Arc::new(ObjectTable::default());
        let now = Instant::now();
        let object = table.meet(&name(1, "/a"), now).object;
        table.finished(&object, Err(Unidentified::Gone), now);
        table.finished(&object, Ok(info()), now);
        let registry = Registry::default();
        registry.register(move |exposition| table.collect(exposition));
        let text = registry.scrape(Format::Prometheus);
        for line in [
            "parca_agent_objects 1",
            "parca_agent_object_identifications_total{result=\"ok\"} 1",
            "parca_agent_object_identifications_total{result=\"gone\"} 1",
            "parca_agent_object_identifications_total{result=\"refused\"} 0",
        ] {
            assert!(text.lines().any(|each| each == line), "{line}: {text}");
        }
    }
}
