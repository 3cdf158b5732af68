//! The kernel's side of the tables: the maps of the `modern` object, and how their entries are written.

use crate::process::id::Tgid;
use crate::sample::object::{ObjectError, take_map};
use crate::sys::shared_array::SharedArray;
use aya::Ebpf;
use aya::maps::{Array, ArrayOfMaps, HashMap, IterableMap, MapData, MapError};
use parca_agent_common::limits::{
    BLOCKS_PER_SLAB, MAPPING_BLOCKS, MAX_CODE_PAGES, MAX_OBJECT_SLOTS, MAX_RULES, MAX_SLABS,
    REPLACEMENT_COUNTS,
};
use parca_agent_common::table::{
    BLOCK_BYTES, FileKey, MappingEntry, ObjectEntry, PageEntry, ProcessEntry, ROWS_PER_BLOCK, Run,
};
use parca_agent_common::unwind::rule::{Row, Rule, RuleId};
use std::io;
use std::mem::offset_of;
use std::os::fd::AsFd;

/// Bytes of an inner map of rows.
pub(super) const SLAB_BYTES: usize = BLOCK_BYTES * BLOCKS_PER_SLAB as usize;

/// `BPF_F_MMAPABLE`, which the inner maps have in common with their template.
const MMAPABLE: u32 = 1 << 10;

const WORD: usize = size_of::<u32>();

type RowBlock = [u32; ROWS_PER_BLOCK];

/// Why the tables cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// A map is missing from the object.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The kernel did not let us write a map.
    #[error("failed to map {name} into memory")]
    Map {
        /// Of the map.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Handles of all maps.
pub(super) struct Maps {
    processes: HashMap<MapData, u32, [u64; 4]>,
    files: HashMap<MapData, [u64; 3], u32>,
    replacements: SharedArray,
    mappings: SharedArray,
    objects: SharedArray,
    pages: SharedArray,
    rules: SharedArray,
    generation: SharedArray,
    rows: ArrayOfMaps<MapData, Array<MapData, RowBlock>>,
    slabs: Vec<Array<MapData, RowBlock>>,
}

impl Maps {
    /// Takes the maps out of a loaded object.
    pub(super) fn take(bpf: &mut Ebpf) -> Result<Self, TablesError> {
        Ok(Self {
            processes: take_map(bpf, "PROCESSES")?,
            files: take_map(bpf, "FILES")?,
            replacements: shared(bpf, "REPLACEMENTS", size_of::<u64>() * REPLACEMENT_COUNTS as usize)?,
            mappings: shared(bpf, "MAPPINGS", BLOCK_BYTES * MAPPING_BLOCKS as usize)?,
            objects: shared(bpf, "OBJECTS", size_of::<ObjectEntry>() * MAX_OBJECT_SLOTS as usize)?,
            pages: shared(bpf, "CODE_PAGES", size_of::<PageEntry>() * MAX_CODE_PAGES as usize)?,
            rules: shared(bpf, "RULES", size_of::<Rule>() * MAX_RULES as usize)?,
            generation: shared(bpf, "TABLES_GENERATION", size_of::<u64>())?,
            rows: take_map(bpf, "ROWS")?,
            slabs: Vec::new(),
        })
    }

    /// Makes a process's mappings known.
    pub(super) fn set_process(&mut self, tgid: Tgid, entry: ProcessEntry) -> Result<(), MapError> {
        let run = entry.mappings;
        let packed = u64::from(run.block) | u64::from(run.first) << 16 | u64::from(run.count) << 32;
        self.processes.insert(tgid.0, [entry.start, packed, entry.owner, entry.replaced], 0)
    }

    /// How many mappings of a process were replaced.
    pub(super) fn replacements(&self, tgid: Tgid) -> u64 {
        let index = (tgid.0 % REPLACEMENT_COUNTS) as usize * size_of::<u64>() / WORD;
        let word = |index| self.replacements.load(index).map_or(0, u64::from);
        word(index) | word(index + 1) << u32::BITS
    }

    /// Forgets a process, unless its id is another's by now.
    pub(super) fn remove_process(&mut self, tgid: Tgid, start: u64) {
        if self.processes.get(&tgid.0, 0).is_ok_and(|entry| entry[0] == start) {
            // An exec may have removed it meanwhile.
            let _ = self.processes.remove(&tgid.0);
        }
    }

    /// Writes mappings, the owner mark last.
    pub(super) fn write_mappings(&self, run: Run, mark: MappingEntry, entries: &[MappingEntry]) {
        let first = place::<MappingEntry>(run);
        let size = size_of::<MappingEntry>() / WORD;
        for (index, entry) in entries.iter().enumerate() {
            self.mappings.store(first + (index + 1) * size, mapping_words(*entry));
        }
        self.mappings.store(first, mapping_words(mark));
    }

    /// Takes the owner mark away: who still has the run has it no more.
    pub(super) fn disown_mappings(&self, run: Run) {
        self.mappings.store(place::<MappingEntry>(run), [0, 0]);
    }

    /// Writes the rows of a page of code, whose slab must be there.
    pub(super) fn write_rows(&self, run: Run, rows: impl Iterator<Item = Row>) -> Result<(), TablesError> {
        let slab = usize::from(run.block) / BLOCKS_PER_SLAB as usize;
        let Some(slab) = self.slabs.get(slab) else { return Err(ObjectError::Absent("ROWS").into()) };
        let map = |source| TablesError::Map { name: "ROWS", source };
        // Mapped for as long as it is written: mapped memory counts as the agent's own.
        let slab = SharedArray::map(slab.map().fd().as_fd(), SLAB_BYTES).map_err(map)?;
        let block = usize::from(run.block) % BLOCKS_PER_SLAB as usize;
        slab.store(block * ROWS_PER_BLOCK + usize::from(run.first), rows.map(|row| row.0));
        Ok(())
    }

    /// Makes slabs until there are those of so many blocks. Each waits some milliseconds for the kernel.
    pub(super) fn grow(&mut self, blocks: usize) -> Result<(), MapError> {
        while self.slabs.len() * (BLOCKS_PER_SLAB as usize) < blocks && self.slabs.len() < MAX_SLABS as usize
        {
            let slab: Array<MapData, RowBlock> = Array::create(BLOCKS_PER_SLAB, MMAPABLE)?;
            self.rows.set(self.slabs.len() as u32, &slab, 0)?;
            self.slabs.push(slab);
        }
        Ok(())
    }

    /// Writes a rule.
    pub(super) fn write_rule(&self, id: RuleId, rule: Rule) {
        let low = u32::from(rule.kind) | u32::from(rule.saved) << 8 | u32::from(rule.cfa as u16) << 16;
        let high = u32::from(rule.fp as u16) | u32::from(rule.extra) << 16;
        self.rules.store(usize::from(id.0) * size_of::<Rule>() / WORD, [low, high]);
    }

    /// Writes the entries of an object's pages.
    pub(super) fn write_pages(&self, first: u32, pages: &[PageEntry]) {
        let words = pages
            .iter()
            .flat_map(|run| [u32::from(run.block) | u32::from(run.first) << 16, u32::from(run.count)]);
        self.pages.store(first as usize * size_of::<PageEntry>() / WORD, words);
    }

    /// Makes an object's table known.
    pub(super) fn write_object(&self, slot: u32, entry: ObjectEntry) {
        // The count comes last: with it the entry is whole.
        let words = [entry.first_entry, entry.first_page, entry.page_count];
        self.objects.store(slot as usize * size_of::<ObjectEntry>() / WORD, words);
        self.renew();
    }

    /// Takes an object's table out of sight.
    pub(super) fn forget_object(&self, slot: u32) {
        let count = offset_of!(ObjectEntry, page_count);
        self.objects.store((slot as usize * size_of::<ObjectEntry>() + count) / WORD, [0]);
        self.renew();
    }

    /// Makes a file known as that of a slot. Where there is no room, its processes are unwound when they were read.
    pub(super) fn set_file(&mut self, file: FileKey, slot: u32) {
        let _ = self.files.insert([file.inode, file.size, file.device], slot, 0);
    }

    /// Forgets a file, unless another slot has it by now.
    pub(super) fn remove_file(&mut self, file: FileKey, slot: u32) {
        let key = [file.inode, file.size, file.device];
        if self.files.get(&key, 0).is_ok_and(|known| known == slot) {
            let _ = self.files.remove(&key);
        }
    }

    /// Makes void what programs keep of the tables.
    fn renew(&self) {
        let generation = self.generation.load(0).unwrap_or_default();
        self.generation.store(0, [generation.wrapping_add(1)]);
    }

    /// Bytes of rows that the kernel holds.
    pub(super) fn row_bytes(&self) -> usize {
        self.slabs.len() * SLAB_BYTES
    }
}

/// Where a run begins in a table of blocks, in words.
fn place<T>(run: Run) -> usize {
    (usize::from(run.block) * BLOCK_BYTES + usize::from(run.first) * size_of::<T>()) / WORD
}

fn mapping_words(entry: MappingEntry) -> [u32; 4] {
    [entry.pages as u32, (entry.pages >> 32) as u32, entry.slot, entry.file_page]
}

fn shared(bpf: &mut Ebpf, name: &'static str, bytes: usize) -> Result<SharedArray, TablesError> {
    let map = bpf.map(name).ok_or(ObjectError::Absent(name))?;
    let aya::maps::Map::Array(data) = map else { return Err(ObjectError::Absent(name).into()) };
    SharedArray::map(data.fd().as_fd(), bytes).map_err(|source| TablesError::Map { name, source })
}
