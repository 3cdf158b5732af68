//! Unwind tables in the kernel: one for each different content, whatever files have it.

use super::extent::{Blocks, Extents};
use super::maps::Maps;
use super::rules::Rules;
use crate::unwind::Table;
use parca_agent_common::limits::{BLOCKS_PER_SLAB, MAX_CODE_PAGES, MAX_SLABS};
use parca_agent_common::table::{BLOCK_BYTES, ObjectEntry, PageEntry, ROWS_PER_BLOCK, Run};
use parca_agent_common::unwind::rule::{Row, RuleId};

/// A table that was written.
#[derive(Debug)]
pub(super) struct LoadedTable {
    /// What objects that have it are told.
    pub(super) entry: ObjectEntry,
    runs: Vec<Run>,
    rules: Vec<RuleId>,
    /// Rows of all pages.
    pub(super) rows: usize,
}

/// Where tables are written.
#[derive(Debug)]
pub(super) struct Storage {
    rows: Blocks,
    pages: Extents,
    pub(super) rules: Rules,
    most_rows: usize,
    rows_used: usize,
    pages_used: u32,
}

/// Why a table was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// No room for its rows.
    Rows,
    /// No room for its pages.
    Pages,
    /// The kernel refused.
    Kernel,
}

impl Storage {
    /// Room for rows of so many bytes.
    pub(super) fn new(row_bytes: usize) -> Self {
        let blocks = (row_bytes / BLOCK_BYTES).clamp(1, (BLOCKS_PER_SLAB * MAX_SLABS) as usize);
        Self {
            rows: Blocks::new(ROWS_PER_BLOCK, blocks as u32),
            pages: Extents::new(MAX_CODE_PAGES),
            rules: Rules::new(),
            most_rows: blocks * ROWS_PER_BLOCK,
            rows_used: 0,
            pages_used: 0,
        }
    }

    /// Writes a table. Nothing is left behind where it does not fit.
    pub(super) fn write(&mut self, table: &Table, maps: &mut Maps) -> Result<LoadedTable, Full> {
        let (Some(first), Some(last)) = (table.pages.first(), table.pages.last()) else {
            return Ok(LoadedTable {
                entry: ObjectEntry::default(),
                runs: Vec::new(),
                rules: Vec::new(),
                rows: 0,
            });
        };
        let page_count = last.number.checked_sub(first.number).ok_or(Full::Pages)? + 1;
        let first_entry = self.pages.take(page_count).ok_or(Full::Pages)?;
        let entry = ObjectEntry { first_entry, first_page: first.number, page_count, reserved: 0 };
        let mut loaded = LoadedTable { entry, runs: Vec::new(), rules: Vec::new(), rows: 0 };
        self.pages_used += page_count;
        match self.write_parts(table, maps, &mut loaded) {
            Ok(()) => Ok(loaded),
            Err(full) => {
                // No program was told of it.
                self.free(loaded);
                Err(full)
            }
        }
    }

    fn write_parts(&mut self, table: &Table, maps: &mut Maps, loaded: &mut LoadedTable) -> Result<(), Full> {
        for rule in &table.rules {
            let met = self.rules.meet(*rule);
            if met.is_new {
                maps.write_rule(met.id, *rule);
            }
            loaded.rules.push(met.id);
        }
        let mut entries = vec![PageEntry::default(); loaded.entry.page_count as usize];
        for page in &table.pages {
            let count = u16::try_from(page.rows.len()).map_err(|_| Full::Rows)?;
            let run = self.rows.take(count).ok_or(Full::Rows)?;
            loaded.runs.push(run);
            loaded.rows += page.rows.len();
            self.rows_used += page.rows.len();
            maps.grow(self.rows.len()).map_err(|_| Full::Kernel)?;
            let global = |row: &Row| {
                let id = loaded.rules.get(usize::from(row.rule().0)).copied().unwrap_or(RuleId(0));
                Row::new(row.low(), id)
            };
            maps.write_rows(run, page.rows.iter().map(global)).map_err(|_| Full::Kernel)?;
            let index = page.number.wrapping_sub(loaded.entry.first_page) as usize;
            *entries.get_mut(index).ok_or(Full::Pages)? = run;
        }
        maps.write_pages(loaded.entry.first_entry, &entries);
        Ok(())
    }

    /// Gives a table's room to others. No program may be reading it any more.
    pub(super) fn free(&mut self, table: LoadedTable) {
        self.pages.give(table.entry.first_entry, table.entry.page_count);
        self.pages_used -= table.entry.page_count;
        self.rows_used -= table.rows;
        table.runs.into_iter().for_each(|run| self.rows.give(run));
        table.rules.into_iter().for_each(|id| self.rules.leave(id));
    }

    /// There is room for one more large table at most.
    pub(super) fn is_crowded(&self) -> bool {
        self.rows_used > self.most_rows / 8 * 7 || self.pages_used > MAX_CODE_PAGES / 8 * 7
    }

    /// Rows in use.
    pub(super) fn rows_used(&self) -> usize {
        self.rows_used
    }

    /// Pages in use.
    pub(super) fn pages_used(&self) -> u32 {
        self.pages_used
    }
}
