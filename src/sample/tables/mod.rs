//! What the kernel side knows of processes and their code: written here, read by the unwinder.
//!
//! ```text
//! inspector --publish--> mappings of a process --> slots of objects <--load-- worker's table
//! ```
//! All of it may change while programs read it. So what is taken away is first taken out of sight, and its room
//! is given to others only after `GRACE`, when no program can be reading it and no frame that names it is on
//! its way.

mod extent;
mod loaded;
mod maps;
mod rules;
mod slots;

pub use maps::TablesError;
pub use slots::Slot;

use crate::metrics::{Counter, Exposition};
use crate::object::ObjectId;
use crate::object::open::FileIdentity;
use crate::process::id::{BootTime, ProcessId};
use crate::process::mapping::{Mapping, Mappings};
use crate::unwind::Table;
use aya::Ebpf;
use extent::Blocks;
use loaded::{Full, LoadedTable, Storage};
use maps::Maps;
use parca_agent_common::limits::{MAPPING_BLOCKS, MAX_PROCESSES};
use parca_agent_common::table::{
    FileKey, MAPPINGS_PER_BLOCK, MEMORY_PAGE_SHIFT, MappingEntry, NO_OBJECT, ObjectEntry, ProcessEntry, Run,
};
use slots::{SlotTable, Slots};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// For how long what was taken out of sight keeps its room: frames in the ring name it until they are read.
const GRACE: Duration = Duration::from_secs(3);

/// Idle objects that go out at once when there is little room left.
const EVICTED_AT_ONCE: usize = 32;

/// The tables of one running sampler.
pub struct UnwindTables {
    state: Mutex<State>,
    slots: Slots,
    metrics: Metrics,
}

struct State {
    maps: Maps,
    storage: Storage,
    runs: Blocks,
    slot_table: SlotTable,
    processes: HashMap<ProcessId, Published>,
    objects: HashMap<ObjectId, ObjectState>,
    tables: HashMap<[u8; 32], Weak<TableHandle>>,
    retired: VecDeque<(Instant, Retired)>,
    next_owner: u64,
    evicted: u64,
}

/// The mappings of a process as the kernel side has them.
struct Published {
    read_at: BootTime,
    mappings: Arc<MappingRun>,
}

/// A run of mappings, which a process shares with those it forked.
struct MappingRun {
    run: Run,
    entries: Vec<MappingEntry>,
    objects: Vec<ObjectId>,
    owner: u64,
}

/// What is known of an object that has a slot.
#[derive(Default)]
struct ObjectState {
    /// Runs of mappings that name it.
    users: u32,
    /// Since when none does. Its table stays until the room is wanted: programs come back.
    idle_since: Option<Instant>,
    table: Option<Arc<TableHandle>>,
    /// By which programs find its slot.
    file: Option<FileKey>,
}

/// A table in the kernel, shared by the objects that have its content.
struct TableHandle {
    table: LoadedTable,
    entry: ObjectEntry,
    digest: [u8; 32],
}

/// How many mappings of a process the kernel side had seen replaced at some moment: what was read of it since holds
/// for as long as there are no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacements(u64);

/// What is out of sight, and waits.
enum Retired {
    Run(Run),
    Slot(Slot),
    Table(LoadedTable),
}

/// Whether a table is in the kernel now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// It is.
    Done,
    /// It found no room.
    NoRoom,
}

/// What became of requests.
#[derive(Debug, Default)]
struct Metrics {
    loaded: Counter,
    rows_full: Counter,
    pages_full: Counter,
    refused: Counter,
    processes_full: Counter,
    mappings_full: Counter,
    slots_full: Counter,
}

impl UnwindTables {
    /// Takes the maps of a loaded object, with room for rows of so many bytes.
    pub(super) fn new(bpf: &mut Ebpf, row_bytes: usize) -> Result<Self, TablesError> {
        Ok(Self {
            state: Mutex::new(State {
                maps: Maps::take(bpf)?,
                storage: Storage::new(row_bytes),
                runs: Blocks::new(MAPPINGS_PER_BLOCK, MAPPING_BLOCKS),
                slot_table: SlotTable::default(),
                processes: HashMap::new(),
                objects: HashMap::new(),
                tables: HashMap::new(),
                retired: VecDeque::new(),
                next_owner: 0,
                evicted: 0,
            }),
            slots: Slots::default(),
            metrics: Metrics::default(),
        })
    }

    /// The objects of slots, for as long as `read` runs.
    pub(super) fn resolve<T>(&self, read: impl FnOnce(&dyn Fn(Slot) -> Option<ObjectId>) -> T) -> T {
        self.slots.resolve(read)
    }

    /// What is to be asked before a process is read.
    pub fn before_reading(&self, process: ProcessId) -> Replacements {
        Replacements(self.lock().maps.replacements(process.tgid))
    }

    /// Makes the mappings of a process known to the kernel side, as they were read after a moment.
    pub fn publish(
        &self,
        process: ProcessId,
        mappings: &Mappings,
        read_at: BootTime,
        replaced: Replacements,
    ) {
        let mut state = self.lock();
        state.reclaim(Instant::now(), &self.slots);
        let (entries, objects) = state.entries(mappings, &self.slots, &self.metrics);
        if let Some(known) = state.processes.get_mut(&process)
            && known.mappings.entries == entries
        {
            known.read_at = read_at;
            let run = Arc::clone(&known.mappings);
            // An exec since may have removed it.
            state.tell(process, &run, replaced, &self.metrics);
            return;
        }
        let Some(run) = state.write(entries, objects) else {
            self.metrics.mappings_full.increment();
            return;
        };
        state.tell(process, &run, replaced, &self.metrics);
        state.replace(process, Some(Published { read_at, mappings: run }));
    }

    /// Takes in that a process was forked: the kernel side gave it its parent's mappings already.
    pub fn forked(&self, parent: ProcessId, child: ProcessId) {
        let mut state = self.lock();
        let inherited = state
            .processes
            .get(&parent)
            .map(|known| Published { read_at: known.read_at, mappings: Arc::clone(&known.mappings) });
        if inherited.is_some() && !state.processes.contains_key(&child) {
            state.replace(child, inherited);
        }
    }

    /// Takes in that a process executed another program: what was read before is of no use.
    pub fn executed(&self, process: ProcessId, time: BootTime) {
        let mut state = self.lock();
        if state.processes.get(&process).is_some_and(|known| known.read_at < time) {
            state.forget(process);
        }
    }

    /// Forgets every process but some.
    pub fn retain(&self, keep: impl Fn(ProcessId) -> bool) {
        let mut state = self.lock();
        let gone: Vec<_> = state.processes.keys().copied().filter(|process| !keep(*process)).collect();
        gone.into_iter().for_each(|process| state.forget(process));
        state.reclaim(Instant::now(), &self.slots);
    }

    /// Loads the table of an object; `digest` is that of its content. With its file, processes that map it are unwound
    /// before they are read.
    pub fn load(
        &self,
        object: ObjectId,
        file: Option<FileIdentity>,
        table: &Table,
        digest: [u8; 32],
    ) -> Load {
        let mut state = self.lock();
        state.reclaim(Instant::now(), &self.slots);
        let Some(slot) = state.slot_table.meet(object, &self.slots) else {
            self.metrics.slots_full.increment();
            return Load::NoRoom;
        };
        let known = state.tables.get(&digest).and_then(Weak::upgrade);
        let handle = match known {
            Some(handle) => handle,
            None => match state.load(table, digest) {
                Ok(handle) => handle,
                Err(full) => {
                    self.metrics.full(full);
                    return Load::NoRoom;
                }
            },
        };
        state.maps.write_object(slot.0, handle.entry);
        let file = file.map(file_key);
        if let Some(file) = file {
            state.maps.set_file(file, slot.0);
        }
        let known = state.objects.entry(object).or_default();
        known.table = Some(handle);
        known.file = file;
        if known.users == 0 {
            known.idle_since = Some(Instant::now());
        }
        self.metrics.loaded.increment();
        Load::Done
    }

    /// Whether an object's table is in the kernel.
    pub fn has_table(&self, object: ObjectId) -> bool {
        self.lock().objects.get(&object).is_some_and(|state| state.table.is_some())
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        let state = self.lock();
        let gauges = [
            ("unwind_table_bytes", "Bytes of unwind rows that the kernel holds.", state.maps.row_bytes()),
            ("unwind_rows", "Unwind rows in use.", state.storage.rows_used()),
            ("unwind_rules", "Different unwind rules in use.", state.storage.rules.len()),
            (
                "unwind_code_pages",
                "Pages of code that have unwind rows.",
                state.storage.pages_used() as usize,
            ),
            ("unwind_processes", "Processes whose mappings the kernel side knows.", state.processes.len()),
            ("unwind_objects", "Object files that the kernel side can name.", state.slot_table.len()),
            ("unwind_tables", "Unwind tables in the kernel.", state.tables.len()),
        ];
        let (overflowed, evicted) = (state.storage.rules.overflowed(), state.evicted);
        drop(state);
        for (name, help, value) in gauges {
            exposition.gauge(name, help, [(&[][..], value as f64)]);
        }
        let loaded = [(&[][..], self.metrics.loaded.get())];
        exposition.counter("unwind_tables_loaded", "Unwind tables given to object files.", loaded);
        let evicted = [(&[][..], evicted)];
        exposition.counter("unwind_objects_evicted", "Idle object files that made room.", evicted);
        let refused = [
            ("rows_full", self.metrics.rows_full.get()),
            ("pages_full", self.metrics.pages_full.get()),
            ("kernel", self.metrics.refused.get()),
            ("processes_full", self.metrics.processes_full.get()),
            ("mappings_full", self.metrics.mappings_full.get()),
            ("slots_full", self.metrics.slots_full.get()),
            ("rules_full", overflowed),
        ];
        let labels = refused.map(|(reason, _)| [("reason", reason)]);
        exposition.counter(
            "unwind_refused",
            "Tables, mappings and rules that found no room in the kernel, by what was full.",
            labels.iter().zip(refused).map(|(labels, (_, count))| (&labels[..], count)),
        );
    }

    /// No code panics while it holds the lock, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics {
    fn full(&self, full: Full) {
        match full {
            Full::Rows => self.rows_full.increment(),
            Full::Pages => self.pages_full.increment(),
            Full::Kernel => self.refused.increment(),
        }
    }
}

impl State {
    /// The mappings in the kernel's form, and the objects in them.
    fn entries(
        &mut self,
        mappings: &Mappings,
        slots: &Slots,
        metrics: &Metrics,
    ) -> (Vec<MappingEntry>, Vec<ObjectId>) {
        let mut entries = Vec::new();
        let mut objects = BTreeSet::new();
        for mapping in mappings.iter() {
            let slot = mapping.object.and_then(|(object, _)| {
                let slot = self.slot_table.meet(object, slots);
                if slot.is_none() {
                    metrics.slots_full.increment();
                }
                objects.insert(object);
                slot
            });
            entries.extend(entry(mapping, slot));
        }
        // The owner mark takes one place.
        if entries.len() >= MAPPINGS_PER_BLOCK {
            metrics.mappings_full.increment();
            entries.truncate(MAPPINGS_PER_BLOCK - 1);
        }
        entries.sort_unstable_by_key(|entry| entry.pages);
        (entries, objects.into_iter().collect())
    }

    /// Writes a run of mappings; `None` if there is no room.
    fn write(&mut self, entries: Vec<MappingEntry>, objects: Vec<ObjectId>) -> Option<Arc<MappingRun>> {
        let count = u16::try_from(entries.len() + 1).ok()?;
        let run = self.runs.take(count)?;
        self.next_owner += 1;
        self.maps.write_mappings(run, MappingEntry::owner_mark(self.next_owner), &entries);
        for object in &objects {
            let state = self.objects.entry(*object).or_default();
            state.users += 1;
            state.idle_since = None;
        }
        let owner = MappingEntry::owner_mark(self.next_owner).pages;
        Some(Arc::new(MappingRun { run, entries, objects, owner }))
    }

    fn tell(
        &mut self,
        process: ProcessId,
        run: &MappingRun,
        Replacements(replaced): Replacements,
        metrics: &Metrics,
    ) {
        let entry =
            ProcessEntry { start: process.start.nanos, mappings: run.run, owner: run.owner, replaced };
        if self.maps.set_process(process.tgid, entry).is_err() {
            metrics.processes_full.increment();
        }
    }

    fn forget(&mut self, process: ProcessId) {
        self.maps.remove_process(process.tgid, process.start.nanos);
        self.replace(process, None);
    }

    /// Puts other mappings in the place of a process's, which go when nobody shares them.
    fn replace(&mut self, process: ProcessId, new: Option<Published>) {
        let old = match new {
            Some(new)
                if self.processes.len() < MAX_PROCESSES as usize || self.processes.contains_key(&process) =>
            {
                self.processes.insert(process, new)
            }
            Some(new) => Some(new),
            None => self.processes.remove(&process),
        };
        if let Some(run) = old.and_then(|old| Arc::into_inner(old.mappings)) {
            self.retire_run(run);
        }
    }

    fn retire_run(&mut self, run: MappingRun) {
        let now = Instant::now();
        self.maps.disown_mappings(run.run);
        self.retired.push_back((now, Retired::Run(run.run)));
        for object in run.objects {
            let Some(state) = self.objects.get_mut(&object) else { continue };
            state.users = state.users.saturating_sub(1);
            if state.users == 0 {
                state.idle_since = Some(now);
            }
        }
    }

    /// Takes the object that has been idle longest out of sight; false if none is idle.
    fn evict(&mut self) -> bool {
        let idle = self.objects.iter().filter_map(|(id, state)| Some((state.idle_since?, *id)));
        let Some((_, object)) = idle.min() else { return false };
        let now = Instant::now();
        let (table, file) =
            self.objects.remove(&object).map(|state| (state.table, state.file)).unwrap_or_default();
        if let Some(slot) = self.slot_table.leave(object) {
            if let Some(file) = file {
                self.maps.remove_file(file, slot.0);
            }
            self.maps.forget_object(slot.0);
            self.retired.push_back((now, Retired::Slot(slot)));
        }
        if let Some(handle) = table.and_then(Arc::into_inner) {
            self.tables.remove(&handle.digest);
            self.retired.push_back((now, Retired::Table(handle.table)));
        }
        true
    }

    fn load(&mut self, table: &Table, digest: [u8; 32]) -> Result<Arc<TableHandle>, Full> {
        let table = self.storage.write(table, &mut self.maps)?;
        let handle = Arc::new(TableHandle { entry: table.entry, table, digest });
        self.tables.insert(digest, Arc::downgrade(&handle));
        Ok(handle)
    }

    /// Gives the room of what has been out of sight for long enough to others, and sees to it that there will be
    /// more when little is left.
    fn reclaim(&mut self, now: Instant, slots: &Slots) {
        if (self.storage.is_crowded() || self.slot_table.is_crowded()) && self.retired.is_empty() {
            let evicted = (0..EVICTED_AT_ONCE).take_while(|_| self.evict()).count();
            self.evicted += evicted as u64;
        }
        while let Some((since, _)) = self.retired.front()
            && now.saturating_duration_since(*since) >= GRACE
        {
            match self.retired.pop_front() {
                Some((_, Retired::Run(run))) => self.runs.give(run),
                Some((_, Retired::Slot(slot))) => self.slot_table.give(slot, slots),
                Some((_, Retired::Table(table))) => self.storage.free(table),
                None => {}
            }
        }
    }
}

/// A file in the kernel's form, which has other bits for the two numbers of a device than `stat` has.
fn file_key(file: FileIdentity) -> FileKey {
    let device = u64::from(rustix::fs::major(file.device)) << 20 | u64::from(rustix::fs::minor(file.device));
    FileKey { inode: file.inode, size: file.size, device }
}

/// A mapping in the kernel's form; `None` if its numbers do not fit, as no real one's do.
fn entry(mapping: &Mapping, slot: Option<Slot>) -> Option<MappingEntry> {
    let first = mapping.range.start.0 >> MEMORY_PAGE_SHIFT;
    let count = (mapping.range.end.0 >> MEMORY_PAGE_SHIFT).checked_sub(first)?;
    let file_page = mapping.object.map_or(0, |(_, offset)| offset.0 >> MEMORY_PAGE_SHIFT);
    MappingEntry::new(first, count, slot.map_or(NO_OBJECT, |slot| slot.0), u32::try_from(file_page).ok()?)
}
